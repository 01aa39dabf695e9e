//! Changes of rooms, members and mutes that are asked for again, on whichever gateway, after things have changed.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::{Client, send},
    world::{World, limits},
};

/// ada and bob in a group that ada made, each on a gateway of their own, and ada on bob's as well.
struct Scene {
    world: World,
    ada: Client,
    elsewhere: Client,
    bob: Client,
    room: String,
}

impl Scene {
    async fn start() -> Self {
        let world = World::new(2);
        for name in ["ada", "bob", "eve"] {
            world.user(name).await;
        }
        let mut ada = world.client(0, "ada").await;
        let room = ada.group(&["bob"]).await;
        let (elsewhere, bob) = (world.client(1, "ada").await, world.client(1, "bob").await);
        Self { world, ada, elsewhere, bob, room }
    }

    async fn members(&mut self) -> Vec<(String, String)> {
        let answer = self.bob.ask(json!({ "type": "members", "room": self.room })).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let listed = answer["members"].as_array().unwrap();
        listed.iter().map(|member| (text(&member["name"]), text(&member["role"]))).collect()
    }
}

fn keyed(mut request: Value) -> Value {
    request["request_id"] = json!(Uuid::now_v7());
    request
}

fn without_number(mut answer: Value) -> Value {
    answer.as_object_mut().unwrap().remove("re");
    answer
}

#[tokio::test]
async fn a_group_without_a_key_is_made_once() {
    let Scene { world, mut ada, mut elsewhere, .. } = Scene::start().await;
    let create = keyed(json!({ "type": "create_room", "kind": "group", "title": "once", "members": ["bob"] }));
    let first = without_number(ada.ask(create.clone()).await);
    assert_eq!(first["created"], true);
    let room = first["room"]["id"].as_str().unwrap().to_owned();
    ada.send(&room, "said since").await;
    assert_eq!(without_number(elsewhere.ask(create.clone()).await), first);
    let rooms = elsewhere.ask(json!({ "type": "rooms" })).await;
    assert_eq!(rooms["rooms"].as_array().unwrap().len(), 2, "this one and that of the scene");
    // The same id with another title is a mistake, the same request of somebody else another room.
    let other = json!({ "type": "create_room", "kind": "group", "title": "twice", "members": ["bob"], "request_id": create["request_id"] });
    let conflict = elsewhere.ask(other).await;
    assert_eq!((&conflict["code"], &conflict["field"]), (&json!("conflict"), &json!("request_id")));
    let theirs = world.client(0, "eve").await.ask(create.clone()).await;
    assert_ne!(theirs["room"]["id"], first["room"]["id"]);
    // Who has left gets the answer and nothing of what is said.
    assert_eq!(ada.ask(json!({ "type": "remove_member", "room": room, "member": "ada" })).await["type"], "ok");
    let mut back = world.client(1, "ada").await;
    assert_eq!(without_number(back.ask(create).await), first);
    world.client(0, "bob").await.send(&room, "among us").await;
    back.silence("message", Duration::from_millis(200)).await;
    assert_eq!(back.ask(json!({ "type": "history", "room": room })).await["code"], "not_found");
}

#[tokio::test]
async fn a_connection_that_is_full_still_gets_the_answer_that_was_lost() {
    let world = World::with(1, Default::default(), chat_gateway_config::Limits { rooms_per_connection: 2, ..limits() });
    world.user("ada").await;
    let mut ada = world.client(0, "ada").await;
    let create = keyed(json!({ "type": "create_room", "kind": "group", "members": [] }));
    let first = without_number(ada.ask(create.clone()).await);
    let left = first["room"]["id"].clone();
    ada.ask(json!({ "type": "remove_member", "room": left, "member": "ada" })).await;
    ada.event("room_removed").await;
    ada.group(&[]).await;
    ada.group(&[]).await;
    assert_eq!(without_number(ada.ask(create.clone()).await), first);
    assert_eq!(ada.ask(keyed(create)).await["code"], "limit");
}

#[tokio::test]
async fn members_that_came_and_went_since_are_left_as_they_are() {
    let mut scene = Scene::start().await;
    let room = scene.room.clone();
    let add = keyed(json!({ "type": "add_member", "room": room, "member": "eve" }));
    let remove = keyed(json!({ "type": "remove_member", "room": room, "member": "eve" }));
    assert_eq!(scene.ada.ask(add.clone()).await["type"], "ok");
    assert_eq!(scene.ada.ask(remove.clone()).await["type"], "ok");
    assert_eq!(scene.elsewhere.ask(add.clone()).await["type"], "ok");
    assert_eq!(scene.members().await.len(), 2, "eve stays out");
    scene.ada.ask(json!({ "type": "add_member", "room": room, "member": "eve" })).await;
    assert_eq!(scene.elsewhere.ask(remove).await["type"], "ok");
    assert_eq!(scene.members().await.len(), 3, "eve stays in");
    let other = json!({ "type": "add_member", "room": room, "member": "bob", "request_id": add["request_id"] });
    let conflict = scene.elsewhere.ask(other).await;
    assert_eq!((&conflict["code"], &conflict["field"]), (&json!("conflict"), &json!("request_id")));

    // Who has left is told so again, and can do nothing else.
    let mut eve = scene.world.client(1, "eve").await;
    let leave = keyed(json!({ "type": "remove_member", "room": room, "member": "eve" }));
    assert_eq!(eve.ask(leave.clone()).await["type"], "ok");
    assert_eq!(eve.ask(leave.clone()).await["type"], "ok");
    assert_eq!(eve.ask(keyed(leave)).await["code"], "not_found");
    assert_eq!(eve.ask(add).await["code"], "not_found", "the id is ada's");
    assert_eq!(eve.ask(send(&room, "x")).await["code"], "not_found");
}

#[tokio::test]
async fn a_room_that_came_back_to_its_owner_is_not_handed_over_again() {
    let mut scene = Scene::start().await;
    let room = scene.room.clone();
    let hand_over = keyed(json!({ "type": "set_role", "room": room, "member": "bob", "role": "owner" }));
    assert_eq!(scene.ada.ask(hand_over.clone()).await["type"], "ok");
    assert_eq!(scene.elsewhere.ask(hand_over.clone()).await["type"], "ok", "she is an admin by now");
    assert_eq!(scene.elsewhere.ask(keyed(hand_over.clone())).await["code"], "forbidden");
    let back = json!({ "type": "set_role", "room": room, "member": "ada", "role": "owner" });
    assert_eq!(scene.bob.ask(back).await["type"], "ok");
    assert_eq!(scene.elsewhere.ask(hand_over).await["type"], "ok");
    let name = |name: &str, role: &str| (name.to_owned(), role.to_owned());
    assert_eq!(scene.members().await, [name("ada", "owner"), name("bob", "admin")]);
}

#[tokio::test]
async fn a_mute_that_was_lifted_is_not_told_again() {
    let mut scene = Scene::start().await;
    let mute = keyed(json!({ "type": "mute", "room": scene.room }));
    assert_eq!(scene.ada.ask(mute.clone()).await["type"], "ok");
    assert_eq!(scene.ada.ask(keyed(json!({ "type": "unmute", "room": scene.room }))).await["type"], "ok");
    for _ in 0..2 {
        scene.elsewhere.event("muted").await;
    }
    assert_eq!(scene.elsewhere.ask(mute).await["type"], "ok");
    scene.elsewhere.silence("muted", Duration::from_millis(200)).await;
    let rooms = scene.elsewhere.ask(json!({ "type": "rooms" })).await;
    assert_eq!(rooms["rooms"][0]["muted_until"], Value::Null);
}
