//! Rooms and who is in them.

use std::{sync::atomic::Ordering, time::Duration};

use serde_json::json;

use crate::{
    client::Client,
    world::{World, limits},
};

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

/// Ada on one gateway, Bob and Cid on another one, in a room where each has said something.
async fn three(world: &World) -> ([Client; 3], String) {
    for name in ["ada", "bob", "cid"] {
        world.user(name).await;
    }
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&["bob", "cid"]).await;
    let (mut bob, mut cid) = (world.client(1, "bob").await, world.client(1, "cid").await);
    ada.send(&room, "from ada").await;
    bob.send(&room, "from bob").await;
    cid.send(&room, "from cid").await;
    for client in [&mut ada, &mut bob, &mut cid] {
        client.messages(&room, 0, 3).await;
    }
    ([ada, bob, cid], room)
}

async fn change(client: &mut Client, what: &str, room: &str, member: &str) {
    assert_eq!(client.ask(json!({ "type": what, "room": room, "member": member })).await["type"], "ok");
}

#[tokio::test(start_paused = true)]
async fn who_is_removed_while_the_broker_is_away_gets_nothing_more() {
    let world = World::new(2);
    let ([mut ada, mut bob, mut cid], room) = three(&world).await;
    world.exchange.stop();
    change(&mut ada, "remove_member", &room, "bob").await;
    for body in ["one", "two", "three"] {
        ada.send(&room, body).await;
    }
    // The others on his gateway get it all from the store, in time.
    assert_eq!(cid.messages(&room, 3, 3).await, ["one", "two", "three"]);
    assert_eq!(bob.event("room_removed").await["room"], json!(room));
    bob.silence("message", Duration::from_secs(15)).await;
    // When the broker is back it tells of what is long known, once more.
    world.exchange.start();
    ada.send(&room, "four").await;
    assert_eq!(cid.messages(&room, 6, 1).await, ["four"]);
    bob.silence("message", Duration::from_secs(15)).await;
    change(&mut ada, "add_member", &room, "bob").await;
    assert_eq!(bob.event("room_added").await["room"]["last_seq"], 7);
    ada.send(&room, "five").await;
    assert_eq!(bob.messages(&room, 7, 1).await, ["five"]);
    assert_eq!(cid.messages(&room, 7, 1).await, ["five"]);
}

/// The entries after it say that there was a removal: nobody who may be the removed one gets them before that is known.
#[tokio::test(start_paused = true)]
async fn a_removal_that_the_broker_lost_holds_back_what_it_brings_after_it() {
    let world = World::new(2);
    let ([mut ada, mut bob, mut cid], room) = three(&world).await;
    world.switches.removals_lost.store(true, Ordering::SeqCst);
    change(&mut ada, "remove_member", &room, "bob").await;
    let asked = tokio::time::Instant::now();
    ada.send(&room, "without bob").await;
    assert_eq!(cid.messages(&room, 3, 1).await, ["without bob"]);
    let waited = asked.elapsed();
    assert!(waited < Duration::from_millis(300), "the others wait for one question to the store: {waited:?}");
    assert_eq!(bob.event("room_removed").await["room"], json!(room));
    for body in ["again", "and again"] {
        ada.send(&room, body).await;
    }
    cid.messages(&room, 4, 2).await;
    bob.silence("message", Duration::from_secs(15)).await;
}

/// Where nothing is said, no entry tells of the removal, and yet typing and presence must not go on.
#[tokio::test(start_paused = true)]
async fn a_removal_is_known_where_nothing_is_said_and_the_broker_is_away() {
    let world = World::new(2);
    let ([mut ada, mut bob, mut cid], room) = three(&world).await;
    world.exchange.stop();
    let begin = tokio::time::Instant::now();
    change(&mut ada, "remove_member", &room, "bob").await;
    assert_eq!(bob.event("room_removed").await["room"], json!(room));
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    cid.ask(json!({ "type": "typing_start", "room": room })).await;
    cid.ask(json!({ "type": "read", "room": room, "seq": 3 })).await;
    bob.silence("typing", Duration::from_secs(2)).await;
    assert!(bob.events.iter().all(|event| event["type"] != "receipt" || event["read_seq"] != 3), "{:?}", bob.events);
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_before_anybody_knew_misses_nothing() {
    let world = World::new(2);
    let ([mut ada, mut bob, mut cid], room) = three(&world).await;
    world.exchange.stop();
    for round in 0..3 {
        change(&mut ada, "remove_member", &room, "bob").await;
        change(&mut ada, "add_member", &room, "bob").await;
        ada.send(&room, "everybody").await;
        for client in [&mut bob, &mut cid] {
            assert_eq!(client.messages(&room, 3 + round, 1).await, ["everybody"]);
        }
    }
    bob.silence("room_removed", Duration::from_secs(15)).await;
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
