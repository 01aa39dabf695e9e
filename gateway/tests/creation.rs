//! Rooms that may exist once only, made by a hundred connections at once on four gateways over real services.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use std::{collections::HashSet, sync::Arc, time::Duration};

use chat_test_client::{
    Account, Addresses, Client, ClientConfig, Ledger, accounts,
    socket::Socket,
    wire::{Body, Refusal, Room},
};
use futures::future::join_all;
use serde_json::{Value, json};
use support::stage::Stage;
use tokio::sync::Barrier;
use uuid::Uuid;

const MINUTE: Duration = Duration::from_secs(60);
const GATEWAYS: [&str; 4] = ["one", "two", "three", "four"];
/// Creators at once, each on a connection of its own, since a gateway makes one room after the other for a connection: 25 on each gateway.
const CREATORS: usize = 100;

async fn account(homes: &[String], name: &str) -> Account {
    accounts::enter(&Addresses::new(homes.to_vec()), name, "a good password", MINUTE).await.unwrap()
}

async fn devices(homes: &[String], account: &Account) -> Vec<Client> {
    join_all(homes.iter().map(async |home| {
        let config = ClientConfig::new(account.clone(), Addresses::new(vec![home.clone()]), Ledger::new());
        Client::start(config).await.unwrap()
    }))
    .await
}

/// A connection that has been welcomed.
async fn connect(home: &str, token: &str) -> Socket {
    let mut socket = Socket::connect(home).await.unwrap();
    socket.send(&json!({ "type": "hello", "id": 0, "token": token })).await.unwrap();
    let first = tokio::time::timeout(MINUTE, socket.recv()).await.expect("a welcome").unwrap();
    assert!(matches!(first.body, Body::Welcome(_)), "{first:?}");
    socket
}

/// Asks for a room, again while the refusals are passing ones.
async fn ask(socket: &mut Socket, mut request: Value) -> (Room, bool) {
    for id in 1.. {
        request["id"] = json!(id);
        socket.send(&request).await.unwrap();
        let answered = async {
            loop {
                let frame = socket.recv().await.unwrap();
                if frame.re == Some(id) {
                    return frame.body;
                }
            }
        };
        match tokio::time::timeout(MINUTE, answered).await.expect("an answer") {
            Body::Room { room, created } => return (room, created),
            Body::Error(refusal) if refusal.is_passing() => wait(&refusal).await,
            other => panic!("{other:?}"),
        }
    }
    unreachable!("there is always a next number")
}

async fn wait(refusal: &Refusal) {
    tokio::time::sleep(Duration::from_millis(refusal.retry_after_ms.unwrap_or(100))).await;
}

/// Creators on all gateways, each in a task of its own, ask for a room at the same moment, `who` and `what` by number; the ids they were answered,
/// and how many were told that they made it.
async fn create<'a>(
    homes: &[String],
    who: impl Fn(usize) -> &'a Account,
    what: impl Fn(usize) -> Value,
) -> (HashSet<Uuid>, usize) {
    let together = Arc::new(Barrier::new(CREATORS));
    let creators = (0..CREATORS).map(|n| {
        let (home, token, request) = (homes[n % homes.len()].clone(), who(n).token.clone(), what(n));
        let together = Arc::clone(&together);
        tokio::spawn(async move {
            let mut socket = connect(&home, &token).await;
            together.wait().await;
            ask(&mut socket, request).await
        })
    });
    let (mut rooms, mut makers) = (HashSet::new(), 0);
    for answer in join_all(creators).await {
        let (room, created) = answer.unwrap();
        rooms.insert(room.id);
        makers += usize::from(created);
    }
    (rooms, makers)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_creators_on_four_gateways_make_one_room() {
    let stage: Stage = Stage::start().await;
    let gateways = join_all(GATEWAYS.map(|name| stage.ready_gateway(name))).await;
    let homes: Vec<String> = gateways.iter().map(|gateway| gateway.address.clone()).collect();
    let (alice, bob) = (account(&homes, "alice").await, account(&homes, "bob").await);
    // Both of the pair, on each of the gateways.
    let pair = |n: usize| if (n / homes.len()).is_multiple_of(2) { (&alice, "bob") } else { (&bob, "alice") };
    let (rooms, makers) =
        create(&homes, |n| pair(n).0, |n| json!({ "type": "create_room", "kind": "direct", "members": [pair(n).1] }))
            .await;
    assert_eq!((rooms.len(), makers), (1, 1), "one direct room of the pair: {rooms:?}");

    let key = Uuid::now_v7();
    let keyed =
        json!({ "type": "create_room", "kind": "group", "title": "keyed", "members": ["bob"], "room_key": key });
    let (groups, makers) = create(&homes, |_| &alice, |_| keyed.clone()).await;
    assert_eq!((groups.len(), makers), (1, 1), "one group under the key: {groups:?}");

    let request = Uuid::now_v7();
    let wish =
        json!({ "type": "create_room", "kind": "group", "title": "asked", "members": ["bob"], "request_id": request });
    let (asked, makers) = create(&homes, |_| &alice, |_| wish.clone()).await;
    assert_eq!((asked.len(), makers), (1, CREATORS), "one group, and the first answer for everybody: {asked:?}");

    // What is in the store is what the answers said, and nothing is there twice.
    let (alices, bobs) = (devices(&homes, &alice).await, devices(&homes, &bob).await);
    for device in alices.iter().chain(&bobs) {
        for room in rooms.iter().chain(&groups).chain(&asked) {
            assert!(device.wait_position(*room, 0, MINUTE).await, "everybody follows it");
        }
    }
    let sent = join_all(alices.iter().map(|device| device.send(*rooms.iter().next().unwrap(), "hello"))).await;
    let seqs: HashSet<u64> = sent.into_iter().map(|ack| ack.unwrap().seq).collect();
    assert_eq!(seqs, (1..=4).collect(), "one sequence for all");
}
