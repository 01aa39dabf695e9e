//! Access tokens: JWTs signed with the cluster's Ed25519 key (RFC 8037). No other algorithm is ever accepted.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use chat_gateway_config::{KeyError, SigningKeys};
use jsonwebtoken::{Algorithm, Validation, errors::ErrorKind};
use serde::{Deserialize, Serialize};

use super::{Claims, Keyring, TokenError, Tokens, keyring::Key};
use crate::model::{SessionId, User, UserId};

/// Clocks of gateways may differ by this much.
const LEEWAY_SECONDS: u64 = 30;

/// [`Tokens`] over the cluster's Ed25519 keys.
pub struct Ed25519Tokens {
    issuer: String,
    life_seconds: u32,
    keys: Arc<Keyring>,
    validation: Validation,
}

#[derive(Serialize, Deserialize)]
struct Body {
    iss: String,
    sub: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<SessionId>,
    name: String,
    display_name: String,
    iat: i64,
    exp: i64,
}

impl Ed25519Tokens {
    /// Over the PEM text of the cluster's keys, of which the first signs; `issuer` is the cluster's `namespace/name`. Tokens live for
    /// `life_seconds`.
    ///
    /// # Errors
    /// [`KeyError`] when the text holds no Ed25519 key.
    pub fn new(pem: &[u8], issuer: &str, life_seconds: u32) -> Result<Self, KeyError> {
        let keys = Keyring::new(&SigningKeys::parse(pem)?, None);
        Ok(Self::over(Arc::new(keys), issuer, life_seconds))
    }

    /// Over keys that may change.
    #[must_use]
    pub fn over(keys: Arc<Keyring>, issuer: &str, life_seconds: u32) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.leeway = LEEWAY_SECONDS;
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        Self { issuer: issuer.to_owned(), life_seconds, keys, validation }
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[async_trait]
impl Tokens for Ed25519Tokens {
    fn issue(&self, user: &User, session: SessionId) -> (String, u32) {
        let issued = now();
        let body = Body {
            iss: self.issuer.clone(),
            sub: user.id,
            sid: Some(session),
            name: user.name.clone(),
            display_name: user.display_name.clone(),
            iat: issued,
            exp: issued + i64::from(self.life_seconds),
        };
        let keys = self.keys.keys();
        let key = keys.signer();
        // The key was checked when it was loaded and the body is plain strings, so an empty token is out of reach;
        // were it not, it would be refused by `verify` and harm nobody.
        let token = jsonwebtoken::encode(&key.header, &body, &key.signing).unwrap_or_default();
        (token, self.life_seconds)
    }

    async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let id = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?.kid;
        let keys = self.keys.keys();
        let check = |key: &Key| jsonwebtoken::decode::<Body>(token, &key.verifying, &self.validation);
        let mut refused = TokenError::Invalid;
        let data = keys.of(id.as_deref()).iter().find_map(|key| match check(key) {
            Ok(data) => Some(data),
            Err(error) => {
                // Said only of a token whose signature fits.
                if matches!(error.kind(), ErrorKind::ExpiredSignature) {
                    refused = TokenError::Expired;
                }
                None
            }
        });
        let data = data.ok_or(refused)?;
        let Body { sub, sid, name, display_name, exp, .. } = data.claims;
        Ok(Claims { user: User { id: sub, name, display_name }, session: sid, expires_at: exp })
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header};
    use ring::signature::KeyPair as _;

    use super::*;
    use crate::auth::{
        keyring::tests::{keys, pem},
        names::user_id,
    };

    fn alice() -> User {
        User { id: user_id("alice"), name: "alice".into(), display_name: "Alice".into() }
    }

    #[tokio::test]
    async fn a_token_says_who_it_was_issued_to() {
        let tokens = Ed25519Tokens::new(pem().as_bytes(), "chat/demo", 60).unwrap();
        let session = SessionId(uuid::Uuid::now_v7());
        let (token, life) = tokens.issue(&alice(), session);
        let claims = tokens.verify(&token).await.unwrap();
        assert_eq!((claims.user, claims.session), (alice(), Some(session)));
        assert!((now()..=now() + i64::from(life)).contains(&claims.expires_at));
    }

    #[tokio::test]
    async fn refuses_other_keys_other_issuers_and_altered_tokens() {
        let key = pem();
        let tokens = Ed25519Tokens::new(key.as_bytes(), "chat/demo", 60).unwrap();
        let session = SessionId(uuid::Uuid::now_v7());
        let (token, _) = tokens.issue(&alice(), session);
        assert_eq!(
            Ed25519Tokens::new(pem().as_bytes(), "chat/demo", 60).unwrap().verify(&token).await,
            Err(TokenError::Invalid)
        );
        assert_eq!(
            Ed25519Tokens::new(key.as_bytes(), "chat/other", 60).unwrap().verify(&token).await,
            Err(TokenError::Invalid)
        );
        let mut altered = token.clone().into_bytes();
        let at = token.find('.').unwrap() + 4;
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        assert_eq!(tokens.verify(std::str::from_utf8(&altered).unwrap()).await, Err(TokenError::Invalid));
    }

    #[tokio::test]
    async fn refuses_algorithm_none_and_a_mac_with_the_public_key() {
        let key = pem();
        let tokens = Ed25519Tokens::new(key.as_bytes(), "chat/demo", 60).unwrap();
        let session = SessionId(uuid::Uuid::now_v7());
        let (token, _) = tokens.issue(&alice(), session);
        let body = token.split('.').nth(1).unwrap();
        let none = format!("eyJhbGciOiJub25lIn0.{body}.");
        assert_eq!(tokens.verify(&none).await, Err(TokenError::Invalid));
        let keys = keys(&key);
        let pair = keys.iter().next().unwrap().pair();
        let claims = serde_json::json!({"iss": "chat/demo", "sub": alice().id, "name": "alice", "display_name": "Alice", "iat": now(), "exp": now() + 60});
        let mac = jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            &claims,
            &EncodingKey::from_secret(pair.public_key().as_ref()),
        )
        .unwrap();
        assert_eq!(tokens.verify(&mac).await, Err(TokenError::Invalid));
    }

    #[tokio::test]
    async fn tells_an_expired_token_from_a_false_one() {
        let key = pem();
        let tokens = Ed25519Tokens::new(key.as_bytes(), "chat/demo", 60).unwrap();
        let claims = serde_json::json!({"iss": "chat/demo", "sub": alice().id, "name": "alice", "display_name": "Alice", "iat": 1, "exp": now() - 60});
        let keys = tokens.keys.keys();
        let old = jsonwebtoken::encode(&keys.signer().header, &claims, &keys.signer().signing).unwrap();
        assert_eq!(tokens.verify(&old).await, Err(TokenError::Expired));
    }

    /// A rotation: the new key is known before it signs, and the old one until its tokens have ended.
    #[tokio::test]
    async fn each_key_verifies_and_what_is_removed_verifies_no_more() {
        let (old, new, session) = (pem(), pem(), SessionId(uuid::Uuid::now_v7()));
        let ring = Arc::new(Keyring::new(&keys(&old), None));
        let tokens = Ed25519Tokens::over(Arc::clone(&ring), "chat/demo", 60);
        let (before, after) = (tokens.issue(&alice(), session).0, keys(&new).ids().remove(0));
        ring.replace(&keys(&format!("{old}{new}")), Some(&after));
        let with_new = tokens.issue(&alice(), session).0;
        assert_eq!(jsonwebtoken::decode_header(&with_new).unwrap().kid, Some(after));
        let elsewhere = Ed25519Tokens::new(old.as_bytes(), "chat/demo", 60).unwrap();
        assert_eq!(elsewhere.verify(&with_new).await, Err(TokenError::Invalid), "it is the new key's");
        assert!(tokens.verify(&before).await.is_ok() && tokens.verify(&with_new).await.is_ok());
        ring.replace(&keys(&new), None);
        assert_eq!(tokens.verify(&before).await, Err(TokenError::Invalid));
        assert!(tokens.verify(&with_new).await.is_ok());
    }

    #[tokio::test]
    async fn a_token_that_names_no_key_is_tried_with_each() {
        let (one, other) = (pem(), pem());
        let tokens = Ed25519Tokens::new(format!("{one}{other}").as_bytes(), "chat/demo", 60).unwrap();
        let claims = |end: i64| serde_json::json!({"iss": "chat/demo", "sub": alice().id, "name": "alice", "display_name": "Alice", "iat": 1, "exp": now() + end});
        let keys = tokens.keys.keys();
        for key in keys.all() {
            let sign = |end| jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims(end), &key.signing).unwrap();
            assert!(tokens.verify(&sign(60)).await.is_ok());
            assert_eq!(tokens.verify(&sign(-60)).await, Err(TokenError::Expired));
        }
    }

    #[test]
    fn a_bad_key_names_the_way_out() {
        let error = Ed25519Tokens::new(b"hello", "x", 60).err().unwrap().to_string();
        assert!(error.contains("openssl genpkey"), "{error}");
    }
}
