//! An authority of a test's own.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Vouches for servers and for their clients.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its private key, PEM.
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    /// Another one, whichever are there.
    pub fn new(name: &str) -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its own certificate, PEM.
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// A server of this name or address.
    pub fn server(&self, name: &str) -> Identity {
        self.sign(&CertificateParams::new([name.into()]).unwrap())
    }

    /// A client with this common name and serial number.
    pub fn client(&self, name: &str, serial: u64) -> Identity {
        let mut client = CertificateParams::default();
        client.distinguished_name.push(DnType::CommonName, name);
        client.serial_number = Some(serial.into());
        self.sign(&client)
    }

    fn sign(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// Makes an authority and a server of this name or address that it vouches for: `ca.pem` has the authority's certificate, `server.pem` the
/// server's key and certificate.
pub fn write_certificates(dir: &Path, name: &str) -> Authority {
    let authority = Authority::new("rcgen self signed cert");
    let server = authority.server(name);
    std::fs::write(dir.join("ca.pem"), authority.certificate()).unwrap();
    std::fs::write(dir.join("server.pem"), format!("{}{}", server.key, server.certificate)).unwrap();
    authority
}
