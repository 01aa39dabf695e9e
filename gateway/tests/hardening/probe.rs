//! The operator's probe has liberties; nobody else has them, and nobody meets it.

use chat_gateway_config::probe::{HEADER, NAME, USER};
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
