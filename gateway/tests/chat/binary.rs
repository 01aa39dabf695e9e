//! Connections with frames in CBOR: the same rooms, the same promises, the same refusals.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{client::send, world::World};

#[tokio::test]
async fn one_room_is_followed_in_both_encodings() {
    let world = World::new(2);
    for name in ["ada", "bob"] {
        world.user(name).await;
    }
    let mut ada = world.client(0, "ada").await;
    let mut compact_ada = world.binary_socket(0);
    let welcome = compact_ada.hello("ada", &[]).await;
    assert_eq!(welcome["user"]["name"], "ada");
    let mut bob = world.binary_socket(1);
    bob.hello("bob", &[]).await;
    let room = bob.group(&["ada"]).await;
    let (mut seen, mut compact) = (Vec::new(), Vec::new());
    for client in [&mut ada, &mut compact_ada] {
        assert_eq!(client.event("room_added").await["room"]["id"], json!(room));
    }
    for body in ["from bob", "again"] {
        let sent = bob.send(&room, body).await;
        assert_eq!(sent["room"], json!(room));
        seen.push(ada.event("message").await);
        compact.push(compact_ada.event("message").await);
    }
    assert_eq!(seen, compact, "what an event says does not depend on its encoding");
    assert_eq!(ada.send(&room, "from ada").await["seq"], 3);
    assert_eq!(bob.messages(&room, 0, 3).await, ["from bob", "again", "from ada"]);
    assert_eq!(compact_ada.event("message").await, ada.event("message").await);
    let asked = json!({ "type": "history", "room": room, "view": "log" });
    let (mut history, mut compact) = (ada.ask(asked.clone()).await, compact_ada.ask(asked).await);
    (history["re"], compact["re"]) = (Value::Null, Value::Null);
    assert_eq!(history, compact);
    let until = "2030-01-31T18:00:00.000Z";
    assert_eq!(compact_ada.ask(json!({ "type": "mute", "room": room, "until": until })).await["type"], "ok");
    assert_eq!(ada.event("muted").await["until"], until);
}

#[tokio::test]
async fn a_connection_goes_on_in_the_other_encoding() {
    let world = World::new(1);
    world.user("ada").await;
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&[]).await;
    for body in ["one", "two", "three"] {
        ada.send(&room, body).await;
    }
    let mut compact = world.binary_socket(0);
    let welcome = compact.hello("ada", &[(&room, 1)]).await;
    assert_eq!(welcome["resumed"], json!([{ "room": room, "from": 1, "to": 3, "recovered": true }]));
    assert_eq!(compact.messages(&room, 1, 2).await, ["two", "three"]);
}

#[tokio::test]
async fn frames_that_cannot_be_read_close_as_they_do_in_json() {
    let world = World::new(1);
    world.user("ada").await;
    let mut text = world.binary_socket(0);
    text.hello("ada", &[]).await;
    text.raw(Message::text(r#"{"type":"ping"}"#)).await;
    assert_eq!(text.closed().await, 1003);

    let mut broken = world.binary_socket(0);
    broken.hello("ada", &[]).await;
    for bytes in [vec![0x80], vec![0xa0, 0xa0]] {
        broken.raw(Message::binary(bytes)).await;
        let error = broken.frame().await.unwrap();
        assert_eq!((&error["code"], &error["re"]), (&json!("bad_json"), &Value::Null));
    }
    assert_eq!(broken.ask(json!({ "type": "ping" })).await["type"], "pong");
    for _ in 0..3 {
        broken.raw(Message::binary(vec![0xff])).await;
    }
    assert_eq!(broken.closed().await, 4400);

    let mut huge = world.binary_socket(0);
    huge.hello("ada", &[]).await;
    let pushed = tokio::spawn(async move {
        huge.raw(Message::binary(vec![0; 65 * 1024])).await;
        huge.closed().await
    });
    assert_eq!(pushed.await.unwrap(), 1009);

    let mut stranger = world.binary_socket(0);
    assert_eq!(stranger.ask(json!({ "type": "hello", "token": "old:ada" })).await["code"], "token_expired");
    assert_eq!(stranger.closed().await, 4401);
}

#[tokio::test]
async fn a_repeat_in_the_other_encoding_is_the_same_message() {
    let world = World::new(1);
    world.user("ada").await;
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&[]).await;
    let request = send(&room, "once");
    let first = ada.ask(request.clone()).await;
    let mut compact = world.binary_socket(0);
    compact.hello("ada", &[]).await;
    let again = compact.ask(request).await;
    assert_eq!((&again["seq"], &again["at"], &again["duplicate"]), (&first["seq"], &first["at"], &json!(true)));
}
