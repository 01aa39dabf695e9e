//! Certificates as a gateway finds them, in files that are replaced under it.

use std::{fs, path::PathBuf};

use chat_gateway_config::{ClientCertificate, RabbitMq, Redis};
use tempfile::TempDir;

use super::authority::Identity;

/// Whom a gateway believes, and what it shows.
pub struct Wallet(TempDir);

impl Wallet {
    /// One that believes authorities of these certificates, PEM, and shows this.
    pub fn new(believed: &str, shown: &Identity) -> Self {
        let wallet = Self(tempfile::tempdir().unwrap());
        wallet.replace("ca.crt", believed);
        wallet.show(shown);
        wallet
    }

    /// Shows this from the next connection on.
    pub fn show(&self, Identity { certificate, key }: &Identity) {
        self.replace("tls.crt", certificate);
        self.replace("tls.key", key);
    }

    /// A Redis by this URL.
    pub fn redis(&self, url_file: PathBuf) -> Redis {
        Redis { url_file, ca_file: Some(self.path("ca.crt")), client_certificate: Some(self.shown()) }
    }

    /// A RabbitMQ by this URI.
    pub fn rabbitmq(&self, uri_file: PathBuf) -> RabbitMq {
        RabbitMq { uri_file, ca_file: Some(self.path("ca.crt")), client_certificate: Some(self.shown()) }
    }

    fn shown(&self) -> ClientCertificate {
        ClientCertificate { certificate_file: self.path("tls.crt"), key_file: self.path("tls.key") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// At once, as Kubernetes does: nobody reads half of it.
    fn replace(&self, name: &str, content: &str) {
        let next = self.path("next");
        fs::write(&next, content).unwrap();
        fs::rename(next, self.path(name)).unwrap();
    }
}
