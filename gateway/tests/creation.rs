//! Rooms that may exist once only, made by many people at once on four gateways over real services.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use std::{collections::HashSet, time::Duration};

use chat_test_client::{Addresses, Client, ClientConfig, Ledger, accounts, wire::Body};
use futures::future::join_all;
use serde_json::json;
use support::stage::Stage;
use uuid::Uuid;

const MINUTE: Duration = Duration::from_secs(60);
/// Creators at once: 25 on each of four gateways.
const CREATORS: usize = 100;

async fn devices(homes: &[String], name: &str) -> Vec<Client> {
    let account = accounts::enter(&Addresses::new(homes.to_vec()), name, "a good password", MINUTE).await.unwrap();
    join_all(homes.iter().map(async |home| {
        let config = ClientConfig::new(account.clone(), Addresses::new(vec![home.clone()]), Ledger::new());
        Client::start(config).await.unwrap()
    }))
    .await
}

/// Every device asks for a room at once; the ids they were answered, and how many were told that they made it.
async fn create(devices: &[&Client], request: impl Fn(usize) -> serde_json::Value) -> (HashSet<Uuid>, usize) {
    let asked = (0..CREATORS).map(async |n| devices[n % devices.len()].request(request(n)).await.unwrap());
    let mut rooms = HashSet::new();
    let mut makers = 0;
    for answer in join_all(asked).await {
        let Body::Room { room, created, .. } = answer else { panic!("{answer:?}") };
        rooms.insert(room.id);
        makers += usize::from(created);
    }
    (rooms, makers)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_creators_on_four_gateways_make_one_room() {
    let stage: Stage = Stage::start().await;
    let names = ["one", "two", "three", "four"];
    let gateways = join_all(names.map(|name| stage.ready_gateway(name))).await;
    let homes: Vec<String> = gateways.iter().map(|gateway| gateway.address.clone()).collect();
    let (alice, bob) = (devices(&homes, "alice").await, devices(&homes, "bob").await);
    // Both of the pair, on all gateways.
    let pair: Vec<&Client> = alice.iter().zip(&bob).flat_map(|(a, b)| [a, b]).collect();
    let (rooms, makers) = create(&pair, |n| {
        let other = if n % 2 == 0 { "bob" } else { "alice" };
        json!({ "type": "create_room", "kind": "direct", "members": [other] })
    })
    .await;
    assert_eq!((rooms.len(), makers), (1, 1), "one direct room of the pair: {rooms:?}");

    let key = Uuid::now_v7();
    let alone: Vec<&Client> = alice.iter().collect();
    let (groups, makers) = create(
        &alone,
        |_| json!({ "type": "create_room", "kind": "group", "title": "keyed", "members": ["bob"], "room_key": key }),
    )
    .await;
    assert_eq!((groups.len(), makers), (1, 1), "one group under the key: {groups:?}");

    let request = Uuid::now_v7();
    let (asked, makers) = create(
        &alone,
        |_| json!({ "type": "create_room", "kind": "group", "title": "asked", "members": ["bob"], "request_id": request }),
    )
    .await;
    assert_eq!((asked.len(), makers), (1, CREATORS), "one group, and the first answer for everybody: {asked:?}");

    // What is in the store is what the answers said, and nothing is there twice.
    for device in pair {
        for room in rooms.iter().chain(&groups).chain(&asked) {
            assert!(device.wait_position(*room, 0, MINUTE).await, "everybody follows it");
        }
    }
    let sent = join_all(alice.iter().map(|device| device.send(*rooms.iter().next().unwrap(), "hello"))).await;
    let seqs: HashSet<u64> = sent.into_iter().map(|ack| ack.unwrap().seq).collect();
    assert_eq!(seqs, (1..=4).collect(), "one sequence for all");
}
