//! Bad input gets a typed error with a stable code, or the right close code; nobody else notices.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

use crate::{
    client::send,
    world::{World, limits},
};

#[tokio::test]
async fn answers_bad_requests_with_stable_codes() {
    let world = World::new(1);
    for name in ["ada", "bob", "eve"] {
        world.user(name).await;
    }
    let mut ada = world.client(0, "ada").await;
    let mut eve = world.client(0, "eve").await;
    let mut compact_eve = world.binary_socket(0);
    compact_eve.hello("eve", &[]).await;
    let room = ada.group(&["bob"]).await;
    let id = Uuid::now_v7();
    let v4 = Uuid::new_v4();
    let table: Vec<(Value, &str, Option<&str>)> = vec![
        (json!({}), "bad_request", Some("type")),
        (json!({ "type": 7 }), "bad_request", Some("type")),
        (json!({ "type": "fly" }), "unknown_type", None),
        (json!({ "type": "hello", "token": "eve" }), "bad_request", Some("type")),
        (json!({ "type": "send" }), "bad_request", Some("room")),
        (json!({ "type": "send", "room": "x" }), "bad_request", Some("room")),
        (json!({ "type": "send", "room": 5 }), "bad_request", Some("room")),
        (json!({ "type": "send", "room": room, "message_id": "x" }), "bad_request", Some("message_id")),
        (json!({ "type": "send", "room": room, "message_id": v4, "body": "x" }), "bad_request", Some("message_id")),
        (json!({ "type": "send", "room": room, "message_id": id }), "bad_request", Some("body")),
        (json!({ "type": "send", "room": room, "message_id": id, "body": 1 }), "bad_request", Some("body")),
        (json!({ "type": "send", "room": room, "message_id": id, "body": "a\u{0}b" }), "bad_request", Some("body")),
        (
            json!({ "type": "send", "room": room, "message_id": id, "body": "x".repeat(8_193) }),
            "too_large",
            Some("body"),
        ),
        (json!({ "type": "send", "room": v4, "message_id": id, "body": "x" }), "not_found", Some("room")),
        (json!({ "type": "send", "room": room, "message_id": id, "body": "x" }), "not_found", Some("room")),
        (json!({ "type": "history", "room": room }), "not_found", Some("room")),
        (json!({ "type": "history", "room": v4 }), "not_found", Some("room")),
        (json!({ "type": "history", "room": room, "limit": 0 }), "bad_request", Some("limit")),
        (json!({ "type": "history", "room": room, "limit": 101 }), "bad_request", Some("limit")),
        (json!({ "type": "history", "room": room, "before": -1 }), "bad_request", Some("before")),
        (json!({ "type": "history", "room": room, "before": 1, "after": 1 }), "bad_request", Some("after")),
        (json!({ "type": "members", "room": room }), "not_found", Some("room")),
        (json!({ "type": "typing_start", "room": room }), "not_found", Some("room")),
        (json!({ "type": "delivered", "room": room, "seq": 1 }), "not_found", Some("room")),
        (json!({ "type": "read", "room": room, "seq": "1" }), "bad_request", Some("seq")),
        (json!({ "type": "read", "room": room, "seq": 1.5 }), "bad_request", Some("seq")),
        (json!({ "type": "add_member", "room": room, "member": "eve" }), "not_found", Some("room")),
        (json!({ "type": "remove_member", "room": room, "member": "bob" }), "not_found", Some("room")),
        (json!({ "type": "create_room", "kind": "club", "members": [] }), "bad_request", Some("kind")),
        (json!({ "type": "create_room", "kind": "direct", "members": [] }), "bad_request", Some("members")),
        (json!({ "type": "create_room", "kind": "direct", "members": ["eve"] }), "bad_request", Some("members")),
        (json!({ "type": "create_room", "kind": "group", "members": ["nobody"] }), "not_found", Some("members")),
        (json!({ "type": "create_room", "kind": "group", "members": [1] }), "bad_request", Some("members")),
        (
            json!({ "type": "create_room", "kind": "group", "members": [], "title": "t".repeat(129) }),
            "bad_request",
            Some("title"),
        ),
        (
            json!({ "type": "create_room", "kind": "group", "members": [], "room_key": 1 }),
            "bad_request",
            Some("room_key"),
        ),
        (
            json!({ "type": "add_member", "room": room, "member": "bob", "request_id": uuid::Uuid::new_v4() }),
            "bad_request",
            Some("request_id"),
        ),
        (json!({ "type": "presence", "users": vec![v4; 201] }), "bad_request", Some("users")),
    ];
    for (request, code, field) in table {
        for client in [&mut eve, &mut compact_eve] {
            let answer = client.ask(request.clone()).await;
            assert_eq!(
                (&answer["type"], &answer["code"], answer["field"].as_str()),
                (&json!("error"), &json!(code), field),
                "{request}"
            );
        }
    }
    ada.send(&room, "undisturbed").await;
    ada.messages(&room, 0, 1).await;
    assert_eq!(eve.ask(json!({ "type": "ping" })).await["type"], "pong");
}

#[tokio::test]
async fn three_frames_that_are_no_json_close_with_4400() {
    let world = World::new(1);
    world.user("ada").await;
    let mut ada = world.client(0, "ada").await;
    for text in ["{", "[1]"] {
        ada.raw(Message::text(text)).await;
        let error = ada.frame().await.unwrap();
        assert_eq!((&error["code"], &error["re"]), (&json!("bad_json"), &Value::Null));
    }
    assert_eq!(ada.ask(json!({ "type": "ping" })).await["type"], "pong");
    for _ in 0..3 {
        ada.raw(Message::text("no")).await;
    }
    assert_eq!(ada.closed().await, 4400);
}

#[tokio::test]
async fn closes_with_the_code_of_the_protocol() {
    let world = World::new(1);
    world.user("ada").await;
    let mut binary = world.client(0, "ada").await;
    binary.raw(Message::binary(vec![1])).await;
    assert_eq!(binary.closed().await, 1003);
    let mut huge = world.client(0, "ada").await;
    let pushed = tokio::spawn(async move {
        huge.raw(Message::text("x".repeat(65 * 1024))).await;
        huge.closed().await
    });
    assert_eq!(pushed.await.unwrap(), 1009);
}

#[tokio::test]
async fn tokens_decide_who_comes_in() {
    let world = World::new(1);
    world.user("ada").await;
    for (token, code) in [("bad:ada", "unauthenticated"), ("old:ada", "token_expired")] {
        let mut client = world.socket(0);
        let answer = client.ask(json!({ "type": "hello", "token": token })).await;
        assert_eq!(answer["code"], code);
        assert_eq!(client.closed().await, 4401);
    }
    let mut rude = world.socket(0);
    assert_eq!(rude.ask(json!({ "type": "rooms" })).await["code"], "unauthenticated");
    assert_eq!(rude.closed().await, 4401);
    let mut brief = world.client(0, "soon:ada").await;
    assert_eq!(brief.closed().await, 4401);
}

#[tokio::test]
async fn the_rate_is_limited_and_flooding_closes() {
    let limits = chat_gateway_config::Limits { messages_per_second: 2, message_burst: 3, ..limits() };
    let world = World::with(1, Default::default(), limits);
    world.user("ada").await;
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&[]).await;
    for _ in 0..2 {
        ada.send(&room, "x").await;
    }
    let over = ada.ask(send(&room, "x")).await;
    assert_eq!(over["code"], "rate_limited");
    assert!(over["retry_after_ms"].as_u64().is_some_and(|wait| (1..=500).contains(&wait)), "{over}");
    for _ in 0..40 {
        ada.request(send(&room, "x")).await;
    }
    assert_eq!(ada.closed().await, 4429);
}

#[tokio::test]
async fn a_store_that_is_away_says_unavailable_and_the_connection_stays() {
    let world = World::new(1);
    world.user("ada").await;
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&[]).await;
    world.store.set_away(true);
    let request = send(&room, "later");
    let answer = ada.ask(request.clone()).await;
    assert_eq!(answer["code"], "unavailable");
    assert!(answer["retry_after_ms"].as_u64().is_some());
    world.store.set_away(false);
    assert_eq!(ada.ask(request).await["seq"], 1);
}
