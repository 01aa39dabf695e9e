//! Every member gets every message exactly once and in order, whatever the broker does.

use std::{sync::atomic::Ordering, time::Duration};

use serde_json::json;

use crate::{
    client::{Client, send},
    faulty::Faults,
    world::{World, limits},
};

#[tokio::test]
async fn two_people_on_two_gateways_chat() {
    let world = World::new(2);
    for name in ["ada", "bob"] {
        world.user(name).await;
    }
    let mut ada = world.client(0, "ada").await;
    let mut bob = world.client(1, "bob").await;
    let room = ada.group(&["bob"]).await;
    let added = bob.event("room_added").await;
    assert_eq!(added["room"]["id"], json!(room));
    let sent = ada.send(&room, "hello").await;
    assert_eq!(sent["seq"], 1);
    assert_eq!(bob.messages(&room, 0, 1).await, ["hello"]);
    assert_eq!(ada.messages(&room, 0, 1).await, ["hello"]);
    bob.send(&room, "hi").await;
    assert_eq!(ada.messages(&room, 1, 1).await, ["hi"]);
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_is_told_once() {
    let world = World::new(2);
    world.user("ada").await;
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&[]).await;
    let request = send(&room, "once");
    let first = ada.ask(request.clone()).await;
    assert_eq!(first["duplicate"], false);
    // The same gateway remembers, another one asks the store.
    let mut again = world.client(1, "ada").await;
    for client in [&mut ada, &mut again] {
        let repeat = client.ask(request.clone()).await;
        assert_eq!((&repeat["seq"], &repeat["at"], &repeat["duplicate"]), (&first["seq"], &first["at"], &json!(true)));
    }
    let mut other = request.clone();
    other["body"] = json!("something else");
    assert_eq!(ada.ask(other).await["code"], "conflict");
    ada.messages(&room, 0, 1).await;
    ada.silence("message", Duration::from_millis(200)).await;
}

#[tokio::test]
async fn a_broker_that_loses_repeats_and_reorders_harms_nobody() {
    let faults = Faults { lost: 10, repeated: 10, delayed: 30 };
    let world = World::with(3, faults, limits());
    let names = ["ada", "bob", "cid"];
    for name in names {
        world.user(name).await;
    }
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&names).await;
    // Later than the room: news of memberships are what such a broker loses for good.
    let clients = vec![ada, world.client(1, "bob").await, world.client(2, "cid").await];
    let each = 150;
    let total = 3 * each;
    let tasks = clients.into_iter().map(|client| tokio::spawn(talk_and_listen(client, room.clone(), each, total)));
    let heard = futures::future::try_join_all(tasks).await.unwrap();
    assert!(heard.windows(2).all(|pair| pair[0] == pair[1]), "all heard the same");
    let counters = world.gateways.iter().map(|gateway| &gateway.services.counters);
    let backfilled: u64 = counters.clone().map(|counters| counters.backfilled.load(Ordering::Relaxed)).sum();
    let duplicates: u64 = counters.map(|counters| counters.duplicates.load(Ordering::Relaxed)).sum();
    assert!(backfilled > 0 && duplicates > 0, "the faults were felt: {backfilled} filled, {duplicates} repeated");
}

async fn talk_and_listen(mut client: Client, room: String, each: u64, total: u64) -> Vec<String> {
    for nth in 0..each {
        client.send(&room, &format!("m{nth}")).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    client.messages(&room, 0, total).await
}

#[tokio::test]
async fn sends_of_one_connection_keep_their_order_in_a_room() {
    let world = World::new(1);
    world.user("ada").await;
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&[]).await;
    let bodies: Vec<String> = (0..100).map(|nth| format!("m{nth}")).collect();
    for body in &bodies {
        ada.request(send(&room, body)).await;
    }
    assert_eq!(ada.messages(&room, 0, 100).await, bodies);
}

#[tokio::test]
async fn the_ack_does_not_wait_for_the_broker() {
    let world = World::new(1);
    world.user("ada").await;
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&[]).await;
    world.switches.stuck.store(true, Ordering::SeqCst);
    for nth in 1..=20 {
        assert_eq!(ada.send(&room, "x").await["seq"], nth);
    }
    // Those on the same gateway do not wait for it either.
    ada.messages(&room, 0, 20).await;
}

#[tokio::test]
async fn chat_goes_on_without_a_broker_and_all_catch_up_when_it_is_back() {
    let world = World::new(2);
    for name in ["ada", "bob", "cid"] {
        world.user(name).await;
    }
    let mut ada = world.client(0, "ada").await;
    let mut bob = world.client(1, "bob").await;
    let room = ada.group(&["bob", "cid"]).await;
    bob.event("room_added").await;
    world.exchange.stop();
    for nth in 0..30 {
        ada.send(&room, &format!("m{nth}")).await;
    }
    ada.messages(&room, 0, 30).await;
    // A membership change meanwhile is not forgotten either.
    let mut cid = world.client(1, "cid").await;
    let second = ada.group(&["cid"]).await;
    world.exchange.start();
    bob.messages(&room, 0, 30).await;
    assert_eq!(cid.event("room_added").await["room"]["id"], json!(second));
    bob.send(&room, "back").await;
    assert_eq!(ada.messages(&room, 30, 1).await, ["back"]);
}

#[tokio::test(start_paused = true)]
async fn a_last_message_that_the_broker_lost_is_found() {
    let world = World::with(2, Faults { lost: 100, ..Faults::default() }, limits());
    for name in ["ada", "bob"] {
        world.user(name).await;
    }
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&["bob"]).await;
    let mut bob = world.client(1, "bob").await;
    ada.send(&room, "nobody hears").await;
    assert_eq!(bob.messages(&room, 0, 1).await, ["nobody hears"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_gateway_committed_is_swept() {
    let world = World::new(2);
    for name in ["ada", "bob"] {
        world.user(name).await;
    }
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&["bob"]).await;
    let mut bob = world.client(1, "bob").await;
    // Committed by a process that died before it could publish.
    use chat_gateway::{
        model::{MessageId, RoomId},
        store::{NewMessage, Store},
    };
    let new = NewMessage {
        room: RoomId(room.parse().unwrap()),
        message_id: MessageId(uuid::Uuid::now_v7()),
        sender: crate::world::user("ada").id,
        content: chat_gateway::model::Content::text("left behind"),
    };
    world.store.send(new).await.unwrap();
    assert_eq!(bob.messages(&room, 0, 1).await, ["left behind"]);
    assert_eq!(ada.messages(&room, 0, 1).await, ["left behind"]);
}
