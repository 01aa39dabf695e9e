//! Access tokens: JWTs signed with the cluster's Ed25519 key (RFC 8037). No other algorithm is ever accepted.

use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Claims, TokenError, Tokens};
use crate::model::{SessionId, User, UserId};

/// Clocks of gateways may differ by this much.
const LEEWAY_SECONDS: u64 = 30;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file is not PEM with a PKCS#8 private key.
    #[error(
        "the signing key is not a PEM file with a PKCS#8 private key; make one with: openssl genpkey -algorithm ed25519"
    )]
    Pem,
    /// The key is of another kind.
    #[error("the signing key is not an Ed25519 key; make one with: openssl genpkey -algorithm ed25519")]
    Kind,
}

/// [`Tokens`] over one Ed25519 key.
pub struct Ed25519Tokens {
    issuer: String,
    life_seconds: u32,
    header: Header,
    signing: EncodingKey,
    verifying: DecodingKey,
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
    /// Takes the PEM text of the cluster's key; `issuer` is the cluster's `namespace/name`. Tokens live for `life_seconds`.
    ///
    /// # Errors
    /// [`KeyError`] when the text holds no Ed25519 key.
    pub fn new(pem: &[u8], issuer: &str, life_seconds: u32) -> Result<Self, KeyError> {
        let (der, pair) = read_key(pem)?;
        let public = pair.public_key().as_ref();
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(key_id(public));
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.leeway = LEEWAY_SECONDS;
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        Ok(Self {
            issuer: issuer.to_owned(),
            life_seconds,
            header,
            signing: EncodingKey::from_ed_der(der.secret_pkcs8_der()),
            verifying: DecodingKey::from_ed_der(public),
            validation,
        })
    }
}

/// The key in a PEM text, as it stands there and ready for use.
pub(super) fn read_key(pem: &[u8]) -> Result<(PrivatePkcs8KeyDer<'static>, Ed25519KeyPair), KeyError> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| KeyError::Pem)?;
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).map_err(|_| KeyError::Kind)?;
    Ok((der, pair))
}

/// Names a key without telling it: the first 8 bytes of SHA-256 over the public half.
fn key_id(public: &[u8]) -> String {
    Sha256::digest(public)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
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
        // The key was checked when it was loaded and the body is plain strings, so an empty token is out of reach;
        // were it not, it would be refused by `verify` and harm nobody.
        let token = jsonwebtoken::encode(&self.header, &body, &self.signing).unwrap_or_default();
        (token, self.life_seconds)
    }

    async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let data =
            jsonwebtoken::decode::<Body>(token, &self.verifying, &self.validation).map_err(|error| {
                match error.kind() {
                    ErrorKind::ExpiredSignature => TokenError::Expired,
                    _ => TokenError::Invalid,
                }
            })?;
        let Body { sub, sid, name, display_name, exp, .. } = data.claims;
        Ok(Claims { user: User { id: sub, name, display_name }, session: sid, expires_at: exp })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::names::user_id;

    fn pem() -> Vec<u8> {
        use base64::Engine as _;
        let der = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
        let text = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
        format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n").into_bytes()
    }

    fn alice() -> User {
        User { id: user_id("alice"), name: "alice".into(), display_name: "Alice".into() }
    }

    #[tokio::test]
    async fn a_token_says_who_it_was_issued_to() {
        let tokens = Ed25519Tokens::new(&pem(), "chat/demo", 60).unwrap();
        let session = SessionId(uuid::Uuid::now_v7());
        let (token, life) = tokens.issue(&alice(), session);
        let claims = tokens.verify(&token).await.unwrap();
        assert_eq!((claims.user, claims.session), (alice(), Some(session)));
        assert!((now()..=now() + i64::from(life)).contains(&claims.expires_at));
    }

    #[tokio::test]
    async fn refuses_other_keys_other_issuers_and_altered_tokens() {
        let key = pem();
        let tokens = Ed25519Tokens::new(&key, "chat/demo", 60).unwrap();
        let session = SessionId(uuid::Uuid::now_v7());
        let (token, _) = tokens.issue(&alice(), session);
        assert_eq!(Ed25519Tokens::new(&pem(), "chat/demo", 60).unwrap().verify(&token).await, Err(TokenError::Invalid));
        assert_eq!(Ed25519Tokens::new(&key, "chat/other", 60).unwrap().verify(&token).await, Err(TokenError::Invalid));
        let mut altered = token.clone().into_bytes();
        let at = token.find('.').unwrap() + 4;
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        assert_eq!(tokens.verify(std::str::from_utf8(&altered).unwrap()).await, Err(TokenError::Invalid));
    }

    #[tokio::test]
    async fn refuses_algorithm_none_and_a_mac_with_the_public_key() {
        let key = pem();
        let tokens = Ed25519Tokens::new(&key, "chat/demo", 60).unwrap();
        let session = SessionId(uuid::Uuid::now_v7());
        let (token, _) = tokens.issue(&alice(), session);
        let body = token.split('.').nth(1).unwrap();
        let none = format!("eyJhbGciOiJub25lIn0.{body}.");
        assert_eq!(tokens.verify(&none).await, Err(TokenError::Invalid));
        let der = PrivatePkcs8KeyDer::from_pem_slice(&key).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).unwrap();
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
        let tokens = Ed25519Tokens::new(&key, "chat/demo", 60).unwrap();
        let claims = serde_json::json!({"iss": "chat/demo", "sub": alice().id, "name": "alice", "display_name": "Alice", "iat": 1, "exp": now() - 60});
        let old = jsonwebtoken::encode(&tokens.header, &claims, &tokens.signing).unwrap();
        assert_eq!(tokens.verify(&old).await, Err(TokenError::Expired));
    }

    #[test]
    fn a_bad_key_names_the_way_out() {
        let error = Ed25519Tokens::new(b"hello", "x", 60).err().unwrap().to_string();
        assert!(error.contains("openssl genpkey"), "{error}");
    }
}
