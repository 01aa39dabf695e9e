//! The operator's probe has liberties; nobody else has them, and nobody meets it.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chat_gateway_config::{
    SigningKeys,
    probe::{HEADER, NAME, USER},
};
use serde_json::json;

use crate::{
    place::Place,
    raw::{Raw, call},
};

#[tokio::test(flavor = "multi_thread")]
async fn who_only_says_to_be_the_probe_is_closed() {
    let place = Place::open().await;
    let ann = place.sign_up("ann").await;
    let (answer, stream) = Raw::knock(&place.at, "/v1/ws", &[(HEADER, "1")]).await;
    assert_eq!(answer.status, 101);
    let mut socket = Raw::over(stream);
    socket.text(&json!({ "type": "hello", "id": 1, "token": ann.token }).to_string()).await;
    assert_eq!(socket.closed().await, 4401);
    let mut honest = place.connect(&ann).await;
    assert!(honest.is_served().await, "it is only the liberty that is refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_called_like_the_probe_nor_meets_it() {
    let place = Place::open().await;
    let body = json!({ "name": NAME, "password": "correct horse" }).to_string();
    let refused = call(&place.at, "POST", "/v1/sign-up", &[], body.as_bytes()).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let ann = place.sign_up("ann").await;
    let mut socket = place.connect(&ann).await;
    for who in [NAME, USER] {
        for kind in ["group", "direct"] {
            let room = json!({ "type": "create_room", "kind": kind, "title": "t", "members": [who] });
            let answer = socket.ask(room).await;
            assert!(["not_found", "bad_request"].contains(&answer["code"].as_str().unwrap_or_default()), "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_are_for_who_has_the_token() {
    let place = Place::open().await;
    for headers in [&[][..], &[("authorization", "Bearer x")]] {
        assert_eq!(call(&place.admin, "GET", "/delivery", headers, b"").await.status, 401);
    }
}

/// A new revision is judged by how many of the clients that came could sign in, and the probe always can.
#[tokio::test(flavor = "multi_thread")]
async fn the_probe_is_no_client_that_signed_in() {
    let place = Place::open().await;
    let (answer, stream) = Raw::knock(&place.at, "/v1/ws", &[(HEADER, "1")]).await;
    assert_eq!(answer.status, 101);
    let mut probe = Raw::over(stream);
    probe.hello(&token(&place)).await;
    assert!(probe.is_served().await);
    assert_eq!(signed_in(&place).await, 0);
    let ann = place.sign_up("ann").await;
    let _socket = place.connect(&ann).await;
    assert_eq!(signed_in(&place).await, 1);
}

async fn signed_in(place: &Place) -> u64 {
    let token =
        std::fs::read_to_string(&place.config.admin_token_file).unwrap_or_else(|error| panic!("the token: {error}"));
    let bearer = format!("Bearer {}", token.trim());
    let stats = call(&place.admin, "GET", "/stats", &[("authorization", &bearer)], b"").await.json();
    stats["health"]["signedIn"].as_u64().unwrap_or_else(|| panic!("{stats}"))
}

/// What the operator signs for its probe.
fn token(place: &Place) -> String {
    let file =
        std::fs::read(&place.config.auth.signing_key_file).unwrap_or_else(|error| panic!("the signing key: {error}"));
    let keys = SigningKeys::parse(&file).unwrap_or_else(|error| panic!("the signing key: {error}"));
    let key = keys.iter().next().unwrap_or_else(|| panic!("no signing key"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let head = json!({ "alg": "EdDSA", "typ": "JWT", "kid": key.id() });
    let body = json!({ "iss": place.config.cluster, "sub": USER, "name": NAME, "display_name": "probe", "iat": now, "exp": now + 60 });
    let signed = [head, body].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = URL_SAFE_NO_PAD.encode(key.pair().sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}
