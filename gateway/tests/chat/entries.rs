//! Edits, deletions, reactions, roles and lists over the wire, over several gateways.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{client::Client, world::World};

async fn two(world: &World) -> (Client, Client, String) {
    for name in ["ada", "bob"] {
        world.user(name).await;
    }
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&["bob"]).await;
    let bob = world.client(1, "bob").await;
    (ada, bob, room)
}

fn change(kind: &str, room: &str, target: u64, fields: &Value) -> Value {
    let mut request = json!({ "type": kind, "room": room, "message_id": Uuid::now_v7(), "target": target });
    if let Some(fields) = fields.as_object() {
        request.as_object_mut().unwrap().extend(fields.clone());
    }
    request
}

#[tokio::test]
async fn changes_arrive_like_messages_on_every_gateway() {
    let world = World::new(2);
    let (mut ada, mut bob, room) = two(&world).await;
    ada.send(&room, "helo").await;
    let edit = change("edit", &room, 1, &json!({ "body": "hello" }));
    let sent = ada.ask(edit.clone()).await;
    assert_eq!((&sent["type"], &sent["seq"], &sent["duplicate"]), (&json!("sent"), &json!(2), &json!(false)));
    let again = ada.ask(edit).await;
    assert_eq!((&again["seq"], &again["duplicate"]), (&json!(2), &json!(true)));
    bob.ask(change("react", &room, 1, &json!({ "emoji": "👍" }))).await;
    let reply = json!({
        "type": "send", "room": room, "message_id": Uuid::now_v7(), "body": "hi ada", "reply_to": 1,
        "mentions": [crate::world::user("ada").id],
    });
    assert_eq!(bob.ask(reply).await["seq"], 4);
    ada.ask(change("delete", &room, 1, &json!({}))).await;
    for client in [&mut ada, &mut bob] {
        let mut seen = Vec::new();
        for seq in 1..=5 {
            let message = client.event("message").await["message"].take();
            assert_eq!(message["seq"], json!(seq));
            seen.push((message["kind"].as_str().unwrap_or("text").to_owned(), message["target"].as_u64()));
        }
        let expected = [("text", None), ("edit", Some(1)), ("react", Some(1)), ("text", None), ("delete", Some(1))];
        assert_eq!(seen, expected.map(|(kind, target)| (kind.to_owned(), target)));
        client.silence("message", Duration::from_millis(50)).await;
    }
    let texts = bob.ask(json!({ "type": "history", "room": room })).await;
    let messages = texts["messages"].as_array().unwrap();
    assert_eq!((messages.len(), &texts["last_seq"]), (2, &json!(5)));
    assert_eq!((&messages[0]["deleted"], &messages[0]["body"]), (&json!(true), &json!("")));
    assert_eq!((&messages[1]["reply_to"], messages[1]["mentions"].as_array().unwrap().len()), (&json!(1), 1));
    let log = bob.ask(json!({ "type": "history", "room": room, "view": "log", "after": 0 })).await;
    assert_eq!(log["messages"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn what_was_changed_while_a_client_was_away_is_replayed() {
    let world = World::new(2);
    let (mut ada, bob, room) = two(&world).await;
    ada.send(&room, "one").await;
    drop(bob);
    ada.ask(change("edit", &room, 1, &json!({ "body": "1" }))).await;
    ada.ask(change("react", &room, 1, &json!({ "emoji": ":tada:" }))).await;
    let mut bob = world.socket(1);
    bob.hello("bob", &[(&room, 1)]).await;
    let bodies = bob.messages(&room, 1, 2).await;
    assert_eq!(bodies, ["1", ":tada:"]);
}

#[tokio::test]
async fn changes_of_what_is_not_there_are_refused_by_field() {
    let world = World::new(1);
    world.user("ada").await;
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&[]).await;
    ada.send(&room, "one").await;
    let long = "x".repeat(8_193);
    let cases = [
        (change("edit", &room, 2, &json!({ "body": "x" })), "not_found", "target"),
        (change("edit", &room, 0, &json!({ "body": "x" })), "bad_request", "target"),
        (change("edit", &room, 1, &json!({})), "bad_request", "body"),
        (change("edit", &room, 1, &json!({ "body": long })), "too_large", "body"),
        (change("delete", &room, 9, &json!({})), "not_found", "target"),
        (change("react", &room, 1, &json!({ "emoji": "" })), "bad_request", "emoji"),
        (change("react", &room, 1, &json!({ "emoji": "a b" })), "bad_request", "emoji"),
        (change("react", &room, 1, &json!({ "emoji": "x".repeat(65) })), "bad_request", "emoji"),
        (change("unreact", &room, 1, &json!({ "emoji": "👍" })), "not_found", "emoji"),
        (change("send", &room, 1, &json!({ "body": "x", "reply_to": 7 })), "not_found", "reply_to"),
        (
            change("send", &room, 1, &json!({ "body": "x", "mentions": vec![Uuid::nil(); 51] })),
            "bad_request",
            "mentions",
        ),
        (json!({ "type": "set_role", "room": room, "member": "ada", "role": "king" }), "bad_request", "role"),
        (json!({ "type": "mute", "room": room, "until": "tomorrow" }), "bad_request", "until"),
        (json!({ "type": "history", "room": room, "view": "all" }), "bad_request", "view"),
        (json!({ "type": "members", "room": room, "limit": 1001 }), "bad_request", "limit"),
        (json!({ "type": "rooms", "limit": 0 }), "bad_request", "limit"),
    ];
    for (request, code, field) in cases {
        let answer = ada.ask(request.clone()).await;
        assert_eq!((&answer["code"], &answer["field"]), (&json!(code), &json!(field)), "{request}: {answer}");
    }
    assert_eq!(ada.send(&room, "two").await["seq"], 2, "refusals took no number");
}

#[tokio::test]
async fn roles_are_given_told_and_kept_to() {
    let world = World::new(2);
    world.user("cid").await;
    let (mut ada, mut bob, room) = two(&world).await;
    ada.ask(json!({ "type": "add_member", "room": room, "member": "cid" })).await;
    let role = |member: &str, role: &str| json!({ "type": "set_role", "room": room, "member": member, "role": role });
    assert_eq!(bob.ask(role("cid", "admin")).await["code"], "forbidden");
    assert_eq!(ada.ask(role("bob", "admin")).await["type"], "ok");
    let told = bob.event("role_changed").await;
    assert_eq!((&told["user"], &told["role"]), (&json!(crate::world::user("bob").id), &json!("admin")));
    assert_eq!(bob.ask(json!({ "type": "remove_member", "room": room, "member": "ada" })).await["code"], "forbidden");
    assert_eq!(bob.ask(json!({ "type": "remove_member", "room": room, "member": "cid" })).await["type"], "ok");
    assert_eq!(ada.ask(role("bob", "owner")).await["type"], "ok");
    let mut told =
        vec![bob.event("role_changed").await["role"].clone(), bob.event("role_changed").await["role"].clone()];
    told.sort_by_key(|role| role.to_string());
    assert_eq!(told, [json!("admin"), json!("owner")], "the one who hands over becomes admin");
    bob.silence("role_changed", Duration::from_millis(50)).await;
    assert_eq!(ada.ask(role("bob", "member")).await["code"], "forbidden");
    assert_eq!(ada.ask(role("nobody", "member")).await["code"], "forbidden");
    assert_eq!(bob.ask(role("nobody", "member")).await["code"], "not_found");
}

#[tokio::test]
async fn rooms_are_listed_page_by_page_with_what_is_new() {
    let world = World::new(2);
    let (mut ada, mut bob, room) = two(&world).await;
    let mut rooms = vec![room.clone()];
    for _ in 0..4 {
        rooms.push(ada.group(&["bob"]).await);
    }
    for _ in 0..4 {
        bob.event("room_added").await;
    }
    ada.send(&room, "unread").await;
    bob.messages(&room, 0, 1).await;
    let other = world.client(0, "bob").await;
    assert_eq!(bob.ask(json!({ "type": "mute", "room": room })).await["type"], "ok");
    let mut other = other;
    let muted = other.event("muted").await;
    assert_eq!((&muted["room"], &muted["until"]), (&json!(room), &json!("9999-01-01T00:00:00.000Z")));
    let (mut seen, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = bob.ask(json!({ "type": "rooms", "limit": 2, "after": after })).await;
        assert_eq!(page["incomplete"], false);
        seen.extend(page["rooms"].as_array().unwrap().iter().cloned());
        after = page["next"].clone();
        if after.is_null() {
            break;
        }
    }
    rooms.sort_by(|a, b| b.cmp(a));
    let ids: Vec<_> = seen.iter().map(|room| room["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, rooms);
    let first = seen.iter().find(|summary| summary["id"] == json!(room)).unwrap();
    assert_eq!(
        (&first["unread"], &first["newest"]["body"], &first["role"]),
        (&json!(1), &json!("unread"), &json!("member"))
    );
    assert!(first["muted_until"].is_string() && first["members"] == 2);
    assert_eq!(bob.ask(json!({ "type": "unmute", "room": room })).await["type"], "ok");
    assert!(other.event("muted").await["until"].is_null());
}
