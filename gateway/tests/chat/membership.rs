//! Rooms and who is in them.

use std::time::Duration;

use serde_json::json;

use crate::world::{World, limits};

/// Being added and connecting at the same moment: the list at `welcome` may be from before, and the news from before the connection.
#[tokio::test(flavor = "multi_thread")]
async fn who_connects_while_being_added_hears_of_the_room() {
    let many = chat_gateway_config::Limits { rooms_per_connection: 1_000, ..limits() };
    let world = World::with(1, Default::default(), many);
    world.user("ada").await;
    let mut ada = world.client(0, "ada").await;
    for round in 0..200 {
        let name = format!("bob{round}");
        world.user(&name).await;
        let mut bob = world.socket(0);
        let members = [name.as_str()];
        let (room, welcome) = tokio::join!(ada.group(&members), async {
            for _ in 0..round % 20 {
                tokio::task::yield_now().await;
            }
            bob.hello(&name, &[]).await
        });
        let listed = welcome["rooms"].as_array().unwrap().iter().any(|listed| listed["id"] == room);
        if !listed {
            assert_eq!(bob.event("room_added").await["room"]["id"], json!(room), "round {round}");
        }
        ada.send(&room, "welcome").await;
        bob.messages(&room, 0, 1).await;
    }
}

#[tokio::test]
async fn removal_stops_delivery_on_every_gateway() {
    let world = World::new(3);
    for name in ["ada", "bob"] {
        world.user(name).await;
    }
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&["bob"]).await;
    let mut bobs = Vec::new();
    for gateway in 0..3 {
        bobs.push(world.client(gateway, "bob").await);
    }
    ada.send(&room, "with bob").await;
    for bob in &mut bobs {
        bob.messages(&room, 0, 1).await;
    }
    assert_eq!(ada.ask(json!({ "type": "remove_member", "room": room, "member": "bob" })).await["type"], "ok");
    ada.send(&room, "without bob").await;
    for bob in &mut bobs {
        assert_eq!(bob.event("room_removed").await["room"], json!(room));
        bob.silence("message", Duration::from_millis(100)).await;
        assert_eq!(bob.ask(json!({ "type": "history", "room": room })).await["code"], "not_found");
        assert_eq!(bob.ask(crate::client::send(&room, "x")).await["code"], "not_found");
    }
    assert_eq!(ada.event("member_removed").await["user"], json!(crate::world::user("bob").id));
    // And back again: live from where the room stands.
    ada.ask(json!({ "type": "add_member", "room": room, "member": "bob" })).await;
    for bob in &mut bobs {
        assert_eq!(bob.event("room_added").await["room"]["last_seq"], 2);
    }
    ada.send(&room, "welcome back").await;
    for bob in &mut bobs {
        assert_eq!(bob.messages(&room, 2, 1).await, ["welcome back"]);
    }
}

#[tokio::test]
async fn a_pair_has_one_direct_room_and_a_key_names_one_group() {
    let world = World::new(2);
    for name in ["ada", "bob"] {
        world.user(name).await;
    }
    let mut ada = world.client(0, "ada").await;
    let mut bob = world.client(1, "bob").await;
    let one = ada.ask(json!({ "type": "create_room", "kind": "direct", "members": ["bob"] })).await;
    let two = bob.ask(json!({ "type": "create_room", "kind": "direct", "members": ["Ada"] })).await;
    assert_eq!((&one["created"], &two["created"]), (&json!(true), &json!(false)));
    assert_eq!(one["room"]["id"], two["room"]["id"]);
    let key = uuid::Uuid::new_v4();
    let request = json!({ "type": "create_room", "kind": "group", "title": "g", "members": ["bob"], "room_key": key });
    let first = ada.ask(request.clone()).await;
    let again = ada.ask(request).await;
    assert_eq!(first["room"]["id"], again["room"]["id"]);
    assert_eq!(again["created"], false);
    let rooms = ada.ask(json!({ "type": "rooms" })).await;
    assert_eq!(rooms["rooms"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn members_are_listed_and_everyone_hears_of_a_new_one() {
    let world = World::new(2);
    for name in ["ada", "bob", "cid"] {
        world.user(name).await;
    }
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&["bob"]).await;
    let mut bob = world.client(1, "bob").await;
    let cid = crate::world::user("cid").id;
    assert_eq!(ada.ask(json!({ "type": "add_member", "room": room, "member": cid })).await["type"], "ok");
    loop {
        let added = bob.event("member_added").await;
        if added["user"] == json!(cid) {
            assert_eq!(added["name"], "cid");
            break;
        }
    }
    let members = ada.ask(json!({ "type": "members", "room": room })).await;
    let roles: Vec<_> = members["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (m["name"].as_str().unwrap(), m["role"].as_str().unwrap()))
        .collect();
    assert_eq!(roles.len(), 3);
    assert!(roles.contains(&("ada", "owner")) && roles.contains(&("cid", "member")), "{roles:?}");
    assert_eq!(bob.ask(json!({ "type": "remove_member", "room": room, "member": "cid" })).await["code"], "forbidden");
    assert_eq!(bob.ask(json!({ "type": "remove_member", "room": room, "member": "bob" })).await["type"], "ok");
}

#[tokio::test]
async fn a_connection_follows_at_most_so_many_rooms() {
    let limits = chat_gateway_config::Limits { rooms_per_connection: 2, ..crate::world::limits() };
    let world = World::with(1, Default::default(), limits);
    world.user("ada").await;
    let mut ada = world.client(0, "ada").await;
    ada.group(&[]).await;
    ada.group(&[]).await;
    let over = ada.ask(json!({ "type": "create_room", "kind": "group", "members": [] })).await;
    assert_eq!(over["code"], "limit");
}
