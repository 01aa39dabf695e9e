//! Typing, receipts and presence cross gateways.

use std::time::Duration;

use serde_json::json;

use crate::{
    client::Client,
    world::{World, user},
};

async fn pair(world: &World) -> (Client, Client, String) {
    for name in ["ada", "bob"] {
        world.user(name).await;
    }
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&["bob"]).await;
    let bob = world.client(1, "bob").await;
    (ada, bob, room)
}

#[tokio::test(start_paused = true)]
async fn typing_is_told_to_others_and_lapses() {
    let world = World::new(2);
    let (mut ada, mut bob, room) = pair(&world).await;
    ada.ask(json!({ "type": "typing_start", "room": room })).await;
    let typing = bob.event("typing").await;
    assert_eq!(
        (&typing["state"], &typing["name"], &typing["user"]),
        (&json!("start"), &json!("ada"), &json!(user("ada").id))
    );
    tokio::time::sleep(Duration::from_secs(4)).await;
    // Renewed in time: nothing new to tell.
    ada.ask(json!({ "type": "typing_start", "room": room })).await;
    bob.silence("typing", Duration::from_secs(4)).await;
    assert_eq!(bob.event("typing").await["state"], "stop");
    ada.silence("typing", Duration::from_secs(1)).await;
}

#[tokio::test]
async fn marks_are_stored_and_told_and_never_fall() {
    let world = World::new(2);
    let (mut ada, mut bob, room) = pair(&world).await;
    for _ in 0..5 {
        ada.send(&room, "x").await;
    }
    bob.messages(&room, 0, 5).await;
    assert_eq!(bob.ask(json!({ "type": "delivered", "room": room, "seq": 5 })).await["type"], "ok");
    assert_eq!(ada.event("receipt").await["delivered_seq"], 5);
    assert_eq!(bob.ask(json!({ "type": "read", "room": room, "seq": 4 })).await["type"], "ok");
    let receipt = ada.event("receipt").await;
    assert_eq!(
        (&receipt["read_seq"], &receipt["delivered_seq"], &receipt["user"]),
        (&json!(4), &json!(5), &json!(user("bob").id))
    );
    assert_eq!(bob.ask(json!({ "type": "read", "room": room, "seq": 2 })).await["type"], "ok");
    ada.silence("receipt", Duration::from_millis(200)).await;
    let members = ada.ask(json!({ "type": "members", "room": room })).await;
    let bob = members["members"].as_array().unwrap().iter().find(|member| member["name"] == "bob").unwrap();
    assert_eq!((&bob["delivered_seq"], &bob["read_seq"]), (&json!(5), &json!(4)));
}

#[tokio::test]
async fn many_marks_at_once_are_all_answered() {
    let world = World::new(1);
    world.user("ada").await;
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&[]).await;
    for _ in 0..100 {
        ada.request(crate::client::send(&room, "x")).await;
    }
    ada.messages(&room, 0, 100).await;
    let mut ids = Vec::new();
    for seq in 1..=100 {
        ids.push(ada.request(json!({ "type": "delivered", "room": room, "seq": seq })).await);
    }
    for id in ids {
        assert_eq!(ada.answer(id).await["type"], "ok");
    }
}

#[tokio::test(start_paused = true)]
async fn presence_is_told_once_and_a_reconnect_is_silent() {
    let world = World::new(2);
    let (mut ada, bob, _room) = pair(&world).await;
    // Two shared rooms, one announcement.
    ada.group(&["bob"]).await;
    drop(bob);
    let offline = ada.event("presence").await;
    assert_eq!(offline["user"], json!(user("bob").id));
    let state = |event: &serde_json::Value| event["state"].as_str().unwrap().to_owned();
    let mut states = vec![state(&offline)];
    while states.last().unwrap() != "offline" {
        states.push(state(&ada.event("presence").await));
    }
    ada.silence("presence", Duration::from_secs(5)).await;
    let bob = world.client(1, "bob").await;
    assert_eq!(ada.event("presence").await["state"], "online");
    ada.silence("presence", Duration::from_secs(1)).await;
    drop(bob);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let _bob = world.client(0, "bob").await;
    ada.silence("presence", Duration::from_secs(10)).await;
    let list = ada.ask(json!({ "type": "presence", "users": [user("bob").id, user("nobody").id] })).await;
    assert_eq!((&list["users"][0]["state"], &list["users"][1]["state"]), (&json!("online"), &json!("offline")));
}

#[tokio::test]
async fn somebody_online_who_is_added_to_a_room_is_seen_in_it() {
    let world = World::new(2);
    for name in ["ada", "bob"] {
        world.user(name).await;
    }
    let _bob = world.client(1, "bob").await;
    let mut ada = world.client(0, "ada").await;
    ada.group(&["bob"]).await;
    let online = ada.event("presence").await;
    assert_eq!((&online["state"], &online["user"]), (&json!("online"), &json!(user("bob").id)));
}
