//! Whom a certificate has to come from: the public authorities, or those of a file, which may change while the gateway runs.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio_rustls::TlsConnector;

/// Why `auth.oidc[].caFile` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// No PEM file with certificates.
    #[error("auth.oidc[].caFile {0}: is no PEM file with certificates")]
    NoCertificates(PathBuf),
    /// The TLS library refuses its own settings: a defect.
    #[error("failed to set TLS up for issuers: {0}")]
    Tls(#[from] rustls::Error),
}

/// See the module's documentation.
pub(super) struct Authorities {
    file: Option<PathBuf>,
    followed: Mutex<Followed>,
}

/// What the file said last, and the last good of it.
struct Followed {
    seen: Vec<u8>,
    good: TlsConnector,
    is_refused: bool,
}

impl Authorities {
    /// Those of a file, or the public ones. At its start a gateway has nothing better to go on with.
    pub(super) fn open(file: Option<&PathBuf>) -> Result<Self, RootsError> {
        let (seen, roots) = match file {
            None => (Vec::new(), RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }),
            Some(file) => {
                let seen = std::fs::read(file).map_err(|_| RootsError::NoCertificates(file.clone()))?;
                let roots = parse(file, &seen)?;
                (seen, roots)
            }
        };
        let followed = Followed { seen, good: connector(roots)?, is_refused: false };
        Ok(Self { file: file.cloned(), followed: Mutex::new(followed) })
    }

    /// For the next connection. The file is read each time: it is small, and issuers are asked every few minutes. What cannot be used changes nothing.
    pub(super) fn tls(&self) -> TlsConnector {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &self.file {
            followed.look(file);
        }
        followed.good.clone()
    }
}

impl Followed {
    fn look(&mut self, file: &Path) {
        let found = match std::fs::read(file) {
            Ok(text) if text == self.seen => {
                self.is_refused = false;
                return;
            }
            Ok(text) => {
                parse(file, &text).and_then(connector).map(|good| (text, good)).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match found {
            Ok((seen, good)) => {
                tracing::info!(file = %file.display(), "the changed authorities of an issuer are in force");
                *self = Self { seen, good, is_refused: false };
            }
            Err(error) if !self.is_refused => {
                tracing::warn!(file = %file.display(), error, "changed authorities of an issuer are no use; those before go on");
                self.is_refused = true;
            }
            Err(_) => {}
        }
    }
}

fn parse(file: &Path, text: &[u8]) -> Result<RootCertStore, RootsError> {
    let none = || RootsError::NoCertificates(file.to_owned());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(text) {
        roots.add(certificate.map_err(|_| none())?)?;
    }
    if roots.is_empty() { Err(none()) } else { Ok(roots) }
}

fn connector(roots: RootCertStore) -> Result<TlsConnector, RootsError> {
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether two ways to connect are one: a new one is made only when the file has changed.
    fn is_same(one: &TlsConnector, other: &TlsConnector) -> bool {
        Arc::ptr_eq(one.config(), other.config())
    }

    fn authority() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn a_changed_file_counts_and_one_that_is_no_use_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.crt");
        assert!(Authorities::open(Some(&file)).is_err(), "it is not there");
        std::fs::write(&file, authority()).unwrap();
        let authorities = Authorities::open(Some(&file)).unwrap();
        let first = authorities.tls();
        assert!(is_same(&first, &authorities.tls()));
        for useless in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            std::fs::write(&file, useless).unwrap();
            assert!(is_same(&first, &authorities.tls()), "{useless}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(is_same(&first, &authorities.tls()));
        std::fs::write(&file, authority()).unwrap();
        let second = authorities.tls();
        assert!(!is_same(&first, &second));
        assert!(is_same(&second, &authorities.tls()));
    }
}
