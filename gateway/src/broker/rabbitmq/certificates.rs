//! Certificates for the connections to RabbitMQ.

use std::{path::Path, sync::Arc};

use lapin::tcp::{Identity, TLSConfig};

use super::{RabbitSettings, reason::SessionError, session::read};

/// PEM of what is believed besides the public authorities, and of what is shown. It holds a key, so there is no `Debug`.
#[derive(Clone)]
pub(super) struct Certificates(Arc<Texts>);

struct Texts {
    authorities: Option<String>,
    /// A certificate and its key.
    shown: Option<(String, String)>,
}

impl Certificates {
    /// Reads them; done anew for each session, since they are renewed.
    pub(super) async fn read(settings: &RabbitSettings) -> Result<Self, SessionError> {
        let authorities = match &settings.ca_file {
            Some(file) => Some(read(file).await?),
            None => None,
        };
        let shown = match &settings.client_certificate {
            Some(shown) => {
                let certificate = pem(&shown.certificate_file, "CERTIFICATE-----").await?;
                Some((certificate, pem(&shown.key_file, "PRIVATE KEY-----").await?))
            }
            None => None,
        };
        Ok(Self(Arc::new(Texts { authorities, shown })))
    }

    /// What the library takes.
    pub(super) fn tls(&self) -> TLSConfig<'_, '_, '_> {
        let Texts { authorities, shown } = &*self.0;
        let identity = shown
            .as_ref()
            .map(|(certificate, key)| Identity::PKCS8 { pem: certificate.as_bytes(), key: key.as_bytes() });
        TLSConfig { cert_chain: authorities.as_deref(), identity }
    }
}

/// A file with this in it. Of one without, the library would make an error without a name.
async fn pem(file: &Path, what: &str) -> Result<String, SessionError> {
    let text = read(file).await?;
    if text.contains(what) {
        return Ok(text);
    }
    Err(SessionError::Uri(format!("{} must be PEM with {}", file.display(), what.trim_end_matches('-'))))
}
