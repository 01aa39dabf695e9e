//! What a handshake that failed means to a person: who refuses whose certificate, and what to set.

use std::{error::Error, io, sync::Arc};

use rustls::{AlertDescription, Error as TlsError};

/// One of the two does not trust the other's certificate, or one speaks no TLS.
pub(crate) const TLS_FAILED: &str = "TlsFailed";

/// The failure of TLS behind an error, or `None` when it was another one.
pub(crate) fn behind<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TlsError> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    if let Some(io) = error.downcast_ref::<io::Error>() {
        return io.get_ref().and_then(|inner| behind(inner));
    }
    if let Some(shared) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        return behind(&**shared);
    }
    error.source().and_then(behind)
}

/// A sentence with the way out; `tls` is the field with certificates, such as `spec.redis.tls`.
pub(crate) fn explain(error: &TlsError, tls: &str) -> String {
    use AlertDescription as Alert;
    match error {
        TlsError::InvalidCertificate(_) => format!(
            "{error}: the server's certificate is not trusted; put its authority into the Secret of {tls}.caSecretRef, or name the host as the certificate does"
        ),
        TlsError::AlertReceived(Alert::CertificateRequired) => format!(
            "{error}: the server asks for a certificate and is shown none; set {tls}.clientCertificateSecretRef"
        ),
        TlsError::AlertReceived(Alert::HandshakeFailure) => format!(
            "{error}: the server asks for a certificate and is shown none, or refuses the one that it is shown; set or correct {tls}.clientCertificateSecretRef"
        ),
        TlsError::AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError,
        ) => format!(
            "{error}: the server refuses the certificate that it is shown; put one that it trusts into the Secret of {tls}.clientCertificateSecretRef"
        ),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_found_wherever_they_are_and_name_what_to_set() {
        let required = || TlsError::AlertReceived(AlertDescription::CertificateRequired);
        let io = io::Error::new(io::ErrorKind::InvalidData, required());
        assert_eq!(behind(&io), Some(&required()));
        let shared: Arc<dyn Error + Send + Sync> = Arc::new(io);
        assert_eq!(behind(&shared), Some(&required()));
        assert!(behind(&io::Error::from(io::ErrorKind::BrokenPipe)).is_none());
        assert!(explain(&required(), "spec.redis.tls").ends_with("set spec.redis.tls.clientCertificateSecretRef"));
        let unknown = TlsError::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        assert!(explain(&unknown, "tls").contains("tls.caSecretRef"));
        let stranger = TlsError::AlertReceived(AlertDescription::UnknownCA);
        assert!(explain(&stranger, "tls").contains("refuses the certificate"));
    }
}
