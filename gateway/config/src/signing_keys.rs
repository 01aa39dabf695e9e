//! The keys of a cluster: each verifies tokens, one of them signs them. The operator names the one, so both have to read the file alike.

use std::fmt;

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};

/// Why a file of keys cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// It is not PEM with PKCS#8 private keys.
    Pem,
    /// A key is of another kind.
    Kind,
    /// There are more than [`SigningKeys::MAX`].
    Many,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem => f.write_str(
                "the signing key is not a PEM file with a PKCS#8 private key; make one with: openssl genpkey -algorithm ed25519",
            ),
            Self::Kind => {
                f.write_str("the signing key is not an Ed25519 key; make one with: openssl genpkey -algorithm ed25519")
            }
            Self::Many => write!(f, "there are more than {} signing keys; remove the oldest", SigningKeys::MAX),
        }
    }
}

impl std::error::Error for KeyError {}

/// The keys of one file, in its order; at least one, each once.
#[derive(Debug)]
pub struct SigningKeys(Vec<SigningKey>);

/// An Ed25519 key.
pub struct SigningKey {
    id: String,
    der: PrivatePkcs8KeyDer<'static>,
    pair: Ed25519KeyPair,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SigningKeys {
    /// Keys that one file may have: a token of nobody costs a check by each.
    pub const MAX: usize = 4;

    /// Reads the PEM text of a file; what is no private key in it is passed over.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(pem: &[u8]) -> Result<Self, KeyError> {
        let mut keys: Vec<SigningKey> = Vec::new();
        for der in PrivatePkcs8KeyDer::pem_slice_iter(pem) {
            let key = SigningKey::new(der.map_err(|_| KeyError::Pem)?)?;
            if keys.iter().all(|known| known.id != key.id) {
                keys.push(key);
            }
        }
        match keys.len() {
            0 => Err(KeyError::Pem),
            1..=Self::MAX => Ok(Self(keys)),
            _ => Err(KeyError::Many),
        }
    }

    /// The keys.
    pub fn iter(&self) -> impl Iterator<Item = &SigningKey> {
        self.0.iter()
    }

    /// Their ids.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.iter().map(|key| key.id.clone()).collect()
    }
}

impl SigningKey {
    fn new(der: PrivatePkcs8KeyDer<'static>) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).map_err(|_| KeyError::Kind)?;
        let digest = Sha256::digest(pair.public_key().as_ref());
        let id = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { id, der, pair })
    }

    /// Names the key without telling it: the first 8 bytes of SHA-256 over the public half. Tokens carry it as `kid`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The private key as it stands in the file.
    #[must_use]
    pub const fn der(&self) -> &PrivatePkcs8KeyDer<'static> {
        &self.der
    }

    /// The key ready for use.
    #[must_use]
    pub const fn pair(&self) -> &Ed25519KeyPair {
        &self.pair
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For tests only.
    const ONE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

    /// Another one, by its last byte of the seed.
    fn other(nth: u8) -> String {
        let letter = char::from(b'A' + nth);
        ONE.replace("rn9g", &format!("rn{letter}g"))
    }

    #[test]
    fn keys_stand_in_the_order_of_the_file_and_once() {
        let (one, two) =
            (SigningKeys::parse(ONE.as_bytes()).unwrap(), SigningKeys::parse(other(1).as_bytes()).unwrap());
        let both = SigningKeys::parse(format!("# newest\n{}{ONE}{ONE}", other(1)).as_bytes()).unwrap();
        assert_eq!(both.ids(), [two.ids(), one.ids()].concat());
        assert!(both.ids().iter().all(|id| id.len() == 16));
        assert!(!format!("{both:?}").contains("MC4C"));
    }

    #[test]
    fn what_is_no_key_is_told_with_the_way_out() {
        let refused = |text: &str| SigningKeys::parse(text.as_bytes()).unwrap_err();
        assert_eq!(refused(""), KeyError::Pem);
        assert_eq!(refused("hello"), KeyError::Pem);
        assert_eq!(refused(&format!("{ONE}{}", &ONE[..60])), KeyError::Pem, "cut off");
        let rsa = ONE.replace("K2Vw", "K2Vx");
        assert_eq!(refused(&format!("{ONE}{rsa}")), KeyError::Kind);
        let five: String = (0..5).map(other).collect();
        assert_eq!(refused(&five), KeyError::Many);
        assert!(refused("").to_string().contains("openssl genpkey"));
    }
}
