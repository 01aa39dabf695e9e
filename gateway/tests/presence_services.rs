//! A gateway that is killed takes its people offline, and the others hear of it: three gateways as processes, with real PostgreSQL,
//! RabbitMQ and Redis.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use std::time::{Duration, Instant};

use chat_gateway_config::Presence;
use chat_test_client::{Account, socket::Socket, wire::Body};
use serde_json::json;
use support::{
    scene::account,
    stage::{Gateway, Stage},
};

/// Seconds without a sign of life after which a gateway counts as dead here.
const LIFE: u32 = 3;

async fn enter(gateway: &Gateway, account: &Account) -> Socket {
    let mut socket = Socket::connect(&gateway.address).await.unwrap();
    socket.send(&json!({ "type": "hello", "id": 0, "token": account.token })).await.unwrap();
    let first = socket.recv().await.unwrap();
    assert!(matches!(first.body, Body::Welcome(_)), "{first:?}");
    socket
}

/// What is told of presence within a time: user and state.
async fn told(socket: &mut Socket, time: Duration) -> Vec<(uuid::Uuid, String)> {
    let end = Instant::now() + time;
    let mut told = Vec::new();
    while let Ok(frame) = tokio::time::timeout(end.saturating_duration_since(Instant::now()), socket.recv()).await {
        if let Body::Presence(presence) = frame.expect("the connection goes on").body {
            told.push((presence.user, presence.state));
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn the_people_of_a_gateway_that_is_killed_go_offline_once() {
    let stage: Stage = Stage::start().await;
    let start = |name: &str| {
        let mut config = stage.config();
        config.presence = Presence { gateway_seconds: LIFE };
        stage.gateway_with(name, &config)
    };
    let (mut a, b, c) = (start("gateway-a"), start("gateway-b"), start("gateway-c"));
    tokio::join!(a.wait_ready(), b.wait_ready(), c.wait_ready());
    let (ann, bob) = tokio::join!(account(&a, "ann"), account(&a, "bob"));
    let (eve, dan) = tokio::join!(account(&b, "eve"), account(&c, "dan"));
    let mut watching = [enter(&b, &eve).await, enter(&c, &dan).await];
    let room =
        json!({ "type": "create_room", "id": 1, "kind": "group", "title": "t", "members": ["ann", "bob", "dan"] });
    watching[0].send(&room).await.unwrap();
    // Ann is on the gateway that dies, Bob also on another one.
    let _on_a = [enter(&a, &ann).await, enter(&a, &bob).await];
    let _on_b = enter(&b, &bob).await;
    // Until everybody has heard that they came, and each gateway has lived for long enough to judge others.
    let time = Duration::from_secs(u64::from(LIFE) + 2);
    let [one, other] = &mut watching;
    tokio::join!(told(one, time), told(other, time));

    a.process.kill();
    let killed = Instant::now();
    for socket in &mut watching {
        let mut first = Vec::new();
        while first.is_empty() {
            assert!(killed.elapsed() < Duration::from_secs(60), "nobody told that ann went offline");
            first = told(socket, Duration::from_millis(200)).await;
        }
        println!("told {:?} after the kill; a gateway counts as dead after {LIFE} s", killed.elapsed());
        assert_eq!(first, [(ann.user.id, "offline".to_owned())]);
    }
    for socket in &mut watching {
        assert_eq!(told(socket, Duration::from_secs(2)).await, [], "told once, and nothing of who is elsewhere");
        let who = json!({ "type": "presence", "id": 9, "users": [ann.user.id, bob.user.id] });
        socket.send(&who).await.unwrap();
        let Body::PresenceList { users, incomplete: false } = socket.recv().await.unwrap().body else {
            panic!("no list")
        };
        let states: Vec<_> = users.iter().map(|presence| presence.state.as_str()).collect();
        assert_eq!(states, ["offline", "online"]);
    }
}
