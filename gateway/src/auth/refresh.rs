//! Refresh tokens: `ccr_` and 128 characters of base64url. They are opaque to clients; to gateways they say whose they are, so that they
//! lead to a slot, and they carry a seal, so that what was never issued here does not reach a shard and an old token is known as one.
//!
//! The secret of the first token is random. The secret of each next one is HMAC-SHA-256 over a fresh random salt, keyed with the secret
//! before it: the store keeps hashes and the last salt, from which alone nobody makes a token, and yet the very client that lost an
//! answer gets the same token again when it repeats the old one.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chat_gateway_config::{KeyError, SigningKeys};
use ring::hmac;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::Keyring;
use crate::{
    model::{SessionId, UserId},
    store::sessions::TokenHash,
};

/// Tells people and secret scanners what it is.
const PREFIX: &str = "ccr_";
/// User, session, secret: 16, 16 and 32 bytes. The seal follows.
const SEALED: usize = 64;
const BYTES: usize = SEALED + 32;

/// Makes and reads refresh tokens.
pub struct RefreshTokens {
    keys: Arc<Keyring>,
}

/// A refresh token that was issued here, at some time.
#[derive(Clone)]
pub struct Presented {
    /// Whose.
    pub user: UserId,
    /// Of which session.
    pub session: SessionId,
    secret: [u8; 32],
}

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Presented").field("user", &self.user).field("session", &self.session).finish_non_exhaustive()
    }
}

impl Presented {
    /// What the store knows it by.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        Sha256::digest(self.secret).into()
    }

    /// The token that follows it by this salt.
    #[must_use]
    pub fn successor(&self, salt: &[u8; 32]) -> Self {
        let mut secret = [0; 32];
        secret.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.secret), salt).as_ref());
        Self { secret, ..*self }
    }
}

impl RefreshTokens {
    /// Sealed by the first of the cluster's keys in this PEM text.
    ///
    /// # Errors
    /// [`KeyError`] when the text holds no Ed25519 key.
    pub fn new(pem: &[u8]) -> Result<Self, KeyError> {
        Ok(Self::over(Arc::new(Keyring::new(&SigningKeys::parse(pem)?, None))))
    }

    /// Sealed by the key that signs, and read by each. What a key sealed that is removed is no token any more: its user has to sign in again.
    #[must_use]
    pub fn over(keys: Arc<Keyring>) -> Self {
        Self { keys }
    }

    /// The first token of a session.
    #[must_use]
    pub fn first(&self, user: UserId, session: SessionId) -> Presented {
        Presented { user, session, secret: rand::random() }
    }

    /// The text for the client.
    #[must_use]
    pub fn write(&self, token: &Presented) -> String {
        let mut bytes = [0; BYTES];
        bytes[..16].copy_from_slice(token.user.0.as_bytes());
        bytes[16..32].copy_from_slice(token.session.0.as_bytes());
        bytes[32..SEALED].copy_from_slice(&token.secret);
        let tag = hmac::sign(&self.keys.keys().signer().seal, &bytes[..SEALED]);
        bytes[SEALED..].copy_from_slice(tag.as_ref());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads a client's text; `None` for what was never issued here.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<Presented> {
        let bytes: [u8; BYTES] = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?.try_into().ok()?;
        let keys = self.keys.keys();
        let fits = |seal| hmac::verify(seal, &bytes[..SEALED], &bytes[SEALED..]).is_ok();
        keys.all().iter().any(|key| fits(&key.seal)).then_some(())?;
        Some(Presented {
            user: UserId(Uuid::from_slice(&bytes[..16]).ok()?),
            session: SessionId(Uuid::from_slice(&bytes[16..32]).ok()?),
            secret: bytes[32..SEALED].try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &[u8] = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

    fn first(tokens: &RefreshTokens) -> Presented {
        tokens.first(UserId(Uuid::from_u128(7)), SessionId(Uuid::from_u128(9)))
    }

    #[test]
    fn what_was_issued_is_read_and_nothing_else() {
        let tokens = RefreshTokens::new(PEM).unwrap();
        let token = first(&tokens);
        let text = tokens.write(&token);
        assert_eq!((text.len(), &text[..4]), (132, "ccr_"));
        let read = tokens.read(&text).unwrap();
        assert_eq!((read.user, read.session, read.hash()), (token.user, token.session, token.hash()));
        for at in 0..text.len() {
            let mut altered = text.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            assert!(tokens.read(std::str::from_utf8(&altered).unwrap()).is_none(), "altered at {at}");
        }
        for bad in ["", "ccr_", &text[..131], &text[4..], "ccr_é"] {
            assert!(tokens.read(bad).is_none(), "{bad}");
        }
        assert!(!format!("{token:?}").contains("secret"));
    }

    #[test]
    fn a_successor_follows_from_the_token_and_the_salt_together() {
        let tokens = RefreshTokens::new(PEM).unwrap();
        let (one, other) = (first(&tokens), first(&tokens));
        assert_ne!(one.hash(), other.hash(), "the secret is not random");
        assert_eq!(one.successor(&[1; 32]).hash(), one.successor(&[1; 32]).hash());
        assert_ne!(one.successor(&[1; 32]).hash(), one.successor(&[2; 32]).hash());
        assert_ne!(one.successor(&[1; 32]).hash(), other.successor(&[1; 32]).hash());
        assert_ne!(one.successor(&[1; 32]).hash(), one.hash());
    }
    #[test]
    fn a_seal_is_good_as_long_as_its_key_is_there() {
        use crate::auth::keyring::tests::{keys, pem};
        let (old, new) = (pem(), pem());
        let ring = Arc::new(Keyring::new(&keys(&old), None));
        let tokens = RefreshTokens::over(Arc::clone(&ring));
        let before = tokens.write(&first(&tokens));
        ring.replace(&keys(&format!("{new}{old}")), None);
        let after = tokens.write(&first(&tokens));
        assert!(tokens.read(&before).is_some() && tokens.read(&after).is_some());
        assert!(RefreshTokens::new(old.as_bytes()).unwrap().read(&after).is_none(), "the new key seals");
        ring.replace(&keys(&new), None);
        assert!(tokens.read(&before).is_none() && tokens.read(&after).is_some());
    }
}
