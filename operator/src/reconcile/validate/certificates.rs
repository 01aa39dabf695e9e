//! Certificates of authorities that a spec refers to.

use chat_crds::chat_cluster as crd;

use super::{Problem, References, ValidateError};
use crate::{names::key, reconcile::validated::SecretKey, sensitive::Sensitive};

impl References<'_> {
    /// Where they are, and their content.
    pub(super) fn certificates(
        &self,
        field: &str,
        from: &crd::CaSecretRef,
    ) -> Result<(SecretKey, Sensitive), ValidateError> {
        let at = SecretKey { secret: from.name.clone(), key: from.key_or_default().to_owned() };
        let content = self.get(field, &at)?;
        let content = self.pem(field, &at, content)?;
        Ok((at, content))
    }

    /// The certificate that is shown to a server, and its private key, in a Secret of type `kubernetes.io/tls`.
    pub(super) fn shown(&self, field: &str, secret: &str) -> Result<(Sensitive, Sensitive), ValidateError> {
        let at = |key: &str| SecretKey { secret: secret.to_owned(), key: key.to_owned() };
        let (certificate, private) = (at(key::TLS_CERTIFICATE), at(key::TLS_KEY));
        let content = self.get(field, &certificate)?;
        let content = self.pem(field, &certificate, content)?;
        let key = self.get(field, &private)?;
        let text = key.expose();
        if !text.contains("PRIVATE KEY-----")
            || text.contains("ENCRYPTED PRIVATE")
            || text.contains("Proc-Type: 4,ENCRYPTED")
        {
            let message = format!(
                "{field}: the key {} of Secret {secret} must be a private key as PEM that is not encrypted; correct the value",
                private.key
            );
            return Err(ValidateError::Unmet(Problem::new("SecretInvalid", message)));
        }
        Ok((content, key))
    }

    /// The content of a key, if it is certificates.
    pub(super) fn pem(&self, field: &str, at: &SecretKey, content: Sensitive) -> Result<Sensitive, ValidateError> {
        if content.expose().contains("-----BEGIN CERTIFICATE-----") {
            return Ok(content);
        }
        let SecretKey { secret, key } = at;
        let message =
            format!("{field}: the key {key} of Secret {secret} must be certificates as PEM; correct the value");
        Err(ValidateError::Unmet(Problem::new("SecretInvalid", message)))
    }
}
