//! The keys of the cluster's own tokens, which may change while the gateway runs: each verifies, one signs.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use chat_gateway_config::{SigningKey, SigningKeys};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use ring::{hmac, signature::KeyPair as _};
use sha2::{Digest as _, Sha256};

/// What is signed to derive the key that seals refresh tokens; no token could ever be mistaken for its signature.
const PURPOSE: &[u8] = b"chatcluster refresh tokens, version 1";

/// The keys, as they are at this moment.
pub struct Keyring(ArcSwap<Keys>);

pub(super) struct Keys {
    all: Vec<Key>,
    signs: usize,
}

/// One key, ready for both kinds of tokens.
pub(super) struct Key {
    id: String,
    pub(super) header: Header,
    pub(super) signing: EncodingKey,
    pub(super) verifying: DecodingKey,
    /// Of refresh tokens: all gateways with this key have the same one.
    pub(super) seal: hmac::Key,
}

impl Key {
    fn new(key: &SigningKey) -> Self {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(key.id().to_owned());
        // Ed25519 signatures are deterministic, and nobody makes one without the private key.
        let seal = Sha256::digest(key.pair().sign(PURPOSE));
        Self {
            id: key.id().to_owned(),
            header,
            signing: EncodingKey::from_ed_der(key.der().secret_pkcs8_der()),
            verifying: DecodingKey::from_ed_der(key.pair().public_key().as_ref()),
            seal: hmac::Key::new(hmac::HMAC_SHA256, &seal),
        }
    }
}

impl Keys {
    fn new(keys: &SigningKeys, named: Option<&str>, before: Option<&str>) -> Self {
        let all: Vec<Key> = keys.iter().map(Key::new).collect();
        let place = |id: &str| all.iter().position(|key| key.id == id);
        let signs = named.and_then(|named| place(named).or_else(|| before.and_then(place)));
        Self { signs: signs.unwrap_or_default(), all }
    }

    /// The one that signs. There is always one: a file without a key is refused.
    pub(super) fn signer(&self) -> &Key {
        &self.all[self.signs]
    }

    /// Those that may have signed a token which names this key: that one, or all of them where it names none that is known, as tokens do that were
    /// made elsewhere with the cluster's key.
    pub(super) fn of(&self, id: Option<&str>) -> &[Key] {
        match self.all.iter().position(|key| Some(key.id.as_str()) == id) {
            Some(place) => &self.all[place..=place],
            None => &self.all,
        }
    }

    pub(super) fn all(&self) -> &[Key] {
        &self.all
    }
}

impl Keyring {
    /// The key called `signer` signs; the first one if none is named, or if that is not there.
    #[must_use]
    pub fn new(keys: &SigningKeys, signer: Option<&str>) -> Self {
        Self(ArcSwap::from_pointee(Keys::new(keys, signer, None)))
    }

    /// Takes these keys in place of those before. While the key called `signer` is not among them, the one that signed before goes on, if it is.
    pub fn replace(&self, keys: &SigningKeys, signer: Option<&str>) {
        let before = self.signer();
        self.0.store(Arc::new(Keys::new(keys, signer, Some(&before))));
    }

    /// Ids of all keys.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.keys().all.iter().map(|key| key.id.clone()).collect()
    }

    /// Id of the key that signs.
    #[must_use]
    pub fn signer(&self) -> String {
        self.keys().signer().id.clone()
    }

    pub(super) fn keys(&self) -> Guard<Arc<Keys>> {
        self.0.load()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use base64::Engine as _;

    use super::*;

    /// A new key.
    pub(in crate::auth) fn pem() -> String {
        let der = ring::signature::Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
        let text = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
        format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
    }

    pub(in crate::auth) fn keys(pem: &str) -> SigningKeys {
        SigningKeys::parse(pem.as_bytes()).unwrap()
    }

    #[test]
    fn the_first_signs_unless_another_is_named() {
        let (old, new) = (pem(), pem());
        let both = keys(&format!("{new}{old}"));
        let ids = both.ids();
        assert_eq!(Keyring::new(&both, None).signer(), ids[0]);
        assert_eq!(Keyring::new(&both, Some(&ids[1])).signer(), ids[1]);
        assert_eq!(Keyring::new(&both, Some("gone")).signer(), ids[0]);
    }

    #[test]
    fn who_signed_before_goes_on_until_the_one_that_is_named_is_there() {
        let (old, new) = (pem(), pem());
        let ring = Keyring::new(&keys(&old), None);
        let (before, after) = (ring.signer(), keys(&new).ids().remove(0));
        ring.replace(&keys(&format!("{old}{new}")), Some(&before));
        assert_eq!(ring.signer(), before);
        ring.replace(&keys(&old), Some(&after));
        assert_eq!(ring.signer(), before, "named before the file had it");
        ring.replace(&keys(&format!("{new}{old}")), Some("another"));
        assert_eq!(ring.signer(), before, "the first in the file is not named");
        ring.replace(&keys(&format!("{new}{old}")), Some(&after));
        assert_eq!(ring.signer(), after);
        ring.replace(&keys(&old), Some(&after));
        assert_eq!(ring.signer(), before, "nothing else is left");
    }
}
