//! Text that must not be printed, and where new such text comes from.

use std::fmt;

use base64::{Engine, engine::general_purpose};

/// A secret text. `Debug` shows only that there is one; there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Sensitive(String);

impl Sensitive {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Call it only where the value leaves for a Secret or for a request.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// The system gave no random bytes.
#[derive(Clone, Debug, thiserror::Error)]
#[error("failed to read random bytes from the system: {0}")]
pub struct EntropyError(String);

/// Where new secrets come from. A trait, so that golden objects can be built from fixed bytes.
pub trait Entropy {
    /// 32 random bytes.
    ///
    /// # Errors
    /// When the system gives none.
    fn bytes(&mut self) -> Result<[u8; 32], EntropyError>;

    /// A password: 32 random bytes in base64url without padding (43 characters, safe in URIs).
    ///
    /// # Errors
    /// When the system gives no random bytes.
    fn password(&mut self) -> Result<Sensitive, EntropyError> {
        Ok(Sensitive(general_purpose::URL_SAFE_NO_PAD.encode(self.bytes()?)))
    }

    /// A new Ed25519 private key as PKCS#8 PEM.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    fn ed25519_pem(&mut self) -> Result<Sensitive, EntropyError> {
        // RFC 8410: PrivateKeyInfo, version 1, algorithm 1.3.101.112, then the seed in two nested OCTET STRINGs.
        // Version 1 (no public key inside) is the form that every library reads.
        const PREFIX: [u8; 16] =
            [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
        let der = [PREFIX.as_slice(), &self.bytes()?].concat();
        let body = general_purpose::STANDARD.encode(der);
        Ok(Sensitive(format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")))
    }
}

/// The operating system's random bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn bytes(&mut self) -> Result<[u8; 32], EntropyError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| EntropyError(error.to_string()))?;
        Ok(bytes)
    }
}

/// Percent-encodes what may not stand in the user, password or path part of a URI.
#[must_use]
pub fn uri_part(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_value() {
        assert_eq!(format!("{:?}", Some(Sensitive::new("hunter2"))), "Some(<redacted>)");
    }

    #[test]
    fn passwords_differ_and_are_safe_in_uris() {
        let (first, second) = (SystemEntropy.password().unwrap(), SystemEntropy.password().unwrap());
        assert_ne!(first, second);
        assert_eq!(first.expose().len(), 43);
        assert_eq!(uri_part(first.expose()), first.expose());
        assert_eq!(uri_part("p@ss/ü"), "p%40ss%2F%C3%BC");
    }

    #[test]
    fn the_signing_key_is_one_that_tokens_can_be_signed_with() {
        let pem = SystemEntropy.ed25519_pem().unwrap();
        let key = jsonwebtoken::EncodingKey::from_ed_pem(pem.expose().as_bytes()).unwrap();
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA);
        jsonwebtoken::encode(&header, &serde_json::json!({ "sub": "somebody" }), &key).unwrap();
    }
}
