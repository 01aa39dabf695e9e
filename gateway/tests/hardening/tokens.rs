//! Tokens that are replayed or forged. `oidc_tokens` does the same for those of external issuers, `sessions` for refresh tokens.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::{Value, json};

use crate::place::{Person, Place};

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// What opens with a token: HTTP, and both doors of WebSockets; each one's answer as the protocol's code.
async fn tried(place: &Place, token: &str) -> (u16, String, u16) {
    let bearer = format!("Bearer {token}");
    let answer = place.get("/v1/sessions", &[("authorization", &bearer)]).await;
    let code = if answer.status == 200 { String::new() } else { answer.refusal().1 };
    let mut socket = place.socket().await;
    let hello = socket.ask(json!({ "type": "hello", "token": token })).await;
    let closed = if hello["type"] == "welcome" { 0 } else { socket.closed().await };
    (answer.status, code, closed)
}

struct Forge {
    pem: String,
    public: Vec<u8>,
}

impl Forge {
    fn of(place: &Place) -> Self {
        let pem = std::fs::read_to_string(&place.config.auth.signing_key_file).unwrap();
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).unwrap();
        Self { public: pair.public_key().as_ref().to_vec(), pem }
    }

    /// A token with the cluster's own key, as somebody who has it may make.
    fn signed(&self, claims: &Value) -> String {
        let key = EncodingKey::from_ed_pem(self.pem.as_bytes()).unwrap();
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &key).unwrap()
    }
}

fn claims(person: &Person) -> Value {
    json!({
        "iss": "local/chat", "sub": person.id, "name": "ann", "display_name": "ann", "iat": now(), "exp": now() + 600,
    })
}

fn with(mut claims: Value, field: &str, value: Value) -> Value {
    claims[field] = value;
    claims
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_expired_and_foreign_tokens_open_nothing() {
    let (place, other) = tokio::join!(Place::open(), Place::open());
    let ann = place.sign_up("ann").await;
    let forge = Forge::of(&place);
    let good = claims(&ann);
    assert_eq!(tried(&place, &forge.signed(&good)).await, (200, String::new(), 0), "what the table departs from");
    assert_eq!(tried(&place, &ann.token).await.0, 200);

    let none = |alg: &str| {
        format!("{}.{}.", BASE64.encode(json!({ "alg": alg }).to_string()), BASE64.encode(good.to_string()))
    };
    let mac = |algorithm, secret: &[u8]| {
        jsonwebtoken::encode(&Header::new(algorithm), &good, &EncodingKey::from_secret(secret)).unwrap()
    };
    let parts: Vec<&str> = ann.token.split('.').collect();
    let altered = BASE64.encode(with(good.clone(), "name", json!("bob")).to_string());
    let stranger = forge_of_a_stranger(&good);
    let table = [
        ("algorithm none", none("none")),
        ("algorithm None", none("None")),
        ("algorithm none with the signature of a good one", format!("{}{}", none("none"), parts[2])),
        ("HMAC with the public key", mac(Algorithm::HS256, &forge.public)),
        ("HMAC with the public key in base64", mac(Algorithm::HS512, BASE64.encode(&forge.public).as_bytes())),
        ("HMAC with nothing", mac(Algorithm::HS256, b"")),
        ("RSA in the header of a good one", swapped(&parts, "RS256")),
        ("an elliptic curve in the header of a good one", swapped(&parts, "ES256")),
        ("another claim under the same signature", format!("{}.{altered}.{}", parts[0], parts[2])),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("a signature that is cut", ann.token[..ann.token.len() - 3].to_owned()),
        ("another key", stranger),
        ("another issuer", forge.signed(&with(good.clone(), "iss", json!("chat/other")))),
        ("several issuers", forge.signed(&with(good.clone(), "iss", json!(["local/chat", "chat/other"])))),
        ("no issuer", forge.signed(&with(good.clone(), "iss", Value::Null))),
        ("no end", forge.signed(&with(good.clone(), "exp", Value::Null))),
        ("a subject that is no user", forge.signed(&with(good.clone(), "sub", json!("ann")))),
        ("a session that is none", forge.signed(&with(good.clone(), "sid", json!("1")))),
        ("a token of another cluster", other.sign_up("ann").await.token),
        ("nothing", String::new()),
        ("dots", "..".to_owned()),
        ("half of one", parts[1].to_owned()),
        ("much", "a.".repeat(4_000)),
    ];
    for (what, token) in table {
        assert_eq!(tried(&place, &token).await, (401, "unauthenticated".to_owned(), 4401), "{what}");
    }
    // Beyond what clocks may differ by.
    let expired = forge.signed(&with(good.clone(), "exp", json!(now() - 60)));
    assert_eq!(tried(&place, &expired).await, (401, "token_expired".to_owned(), 4401));
    // A session that never was, or was another's, has ended.
    for session in [json!(uuid::Uuid::now_v7()), json!(uuid::Uuid::nil())] {
        let token = forge.signed(&with(good.clone(), "sid", session));
        assert_eq!(tried(&place, &token).await, (401, "unauthenticated".to_owned(), 4410));
    }
}

/// Header and claims of a good token under another algorithm's name.
fn swapped(parts: &[&str], algorithm: &str) -> String {
    let header = BASE64.encode(json!({ "alg": algorithm, "typ": "JWT" }).to_string());
    format!("{header}.{}.{}", parts[1], parts[2])
}

fn forge_of_a_stranger(claims: &Value) -> String {
    let der = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
    let key = EncodingKey::from_ed_der(der.as_ref());
    jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &key).unwrap()
}

/// A session that was ended opens nothing, however good its tokens are otherwise: replayed access token, replayed refresh token.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_a_session_that_ended_are_replayed_in_vain() {
    let place = Place::open().await;
    let body = json!({ "name": "ann", "password": crate::place::PASSWORD });
    let session = place.post("/v1/sign-up", &[], &body).await.json();
    let token = session["token"].as_str().unwrap().to_owned();
    let refresh = json!({ "refresh_token": session["refresh_token"] });
    assert_eq!(tried(&place, &token).await.0, 200);
    let mut open = place.socket().await;
    open.hello(&token).await;
    assert_eq!(place.post("/v1/sign-out", &[], &refresh).await.status, 204);
    assert_eq!(open.closed().await, 4410);
    assert_eq!(tried(&place, &token).await, (401, "unauthenticated".to_owned(), 4410));
    assert_eq!(place.post("/v1/refresh", &[], &refresh).await.refusal(), (401, "unauthenticated".to_owned()));
    // Nor is a refresh token an access token, or part of an address or of a header of the upgrade.
    let text = session["refresh_token"].as_str().unwrap();
    assert_eq!(tried(&place, text).await, (401, "unauthenticated".to_owned(), 4401));
    let log = place.log();
    assert!(!log.contains(&token) && !log.contains(text) && !log.contains(crate::place::PASSWORD), "{log}");
}
