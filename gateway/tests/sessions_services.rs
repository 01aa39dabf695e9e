//! Sessions on two gateways as the processes they will be, with real PostgreSQL, RabbitMQ and Redis: an end that is said on one is
//! felt on the other, with the broker and without it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use std::time::{Duration, Instant};

use chat_gateway_config::Bucket;
use chat_test_client::{
    Account, Addresses, accounts,
    socket::{Socket, SocketError},
    wire::Body,
};
use serde_json::{Value, json};
use support::{
    eventually,
    server::Service as _,
    stage::{Gateway, Stage},
};

const MINUTE: Duration = Duration::from_secs(60);
/// Within this time the end of a session is felt on every gateway.
const PROMISED: Duration = Duration::from_secs(2);
const PASSWORD: &str = "a good password";

async fn enter(gateway: &Gateway, name: &str) -> Account {
    accounts::enter(&Addresses::new(vec![gateway.address.clone()]), name, PASSWORD, MINUTE).await.unwrap()
}

/// Sockets of one account on each of these gateways.
async fn sockets(account: &Account, gateways: &[&Gateway]) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for gateway in gateways {
        let mut socket = Socket::connect(&gateway.address).await.unwrap();
        socket.send(&json!({ "type": "hello", "id": 0, "token": account.token })).await.unwrap();
        let first = socket.recv().await.unwrap();
        assert!(matches!(first.body, Body::Welcome(_)), "{first:?}");
        sockets.push(socket);
    }
    sockets
}

/// Waits until each is closed because its session ended; fails when one is not within `limit` of `begin`. The longest time.
async fn all_closed(what: &str, sockets: Vec<Socket>, begin: Instant, limit: Duration) -> Duration {
    let closing = sockets.into_iter().map(async |mut socket| {
        loop {
            match tokio::time::timeout(MINUTE, socket.recv()).await.unwrap_or_else(|_| panic!("{what}: not closed")) {
                Ok(_) => {}
                Err(SocketError::Closed { code: 4410, .. }) => return begin.elapsed(),
                Err(other) => panic!("{what}: {other}"),
            }
        }
    });
    let times = futures::future::join_all(closing).await;
    println!("{what}: connections closed after {times:?}");
    let longest = times.into_iter().max().unwrap_or_default();
    assert!(longest <= limit, "{what}: {longest:?}");
    longest
}

async fn post(gateway: &Gateway, path: &str, token: Option<&str>, body: Value) -> (u16, Value) {
    let (status, body) = accounts::post(&gateway.address, path, token, &body).await.unwrap();
    (status.as_u16(), serde_json::from_slice(&body).unwrap_or(Value::Null))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_session_is_felt_on_every_gateway() {
    let stage: Stage = Stage::start().await;
    let (a, b) = tokio::join!(stage.ready_gateway("gateway-a"), stage.ready_gateway("gateway-b"));
    let both = [&a, &b];

    let ann = enter(&a, "ann").await;
    let other = enter(&b, "ann").await;
    let (open, mut kept) = (sockets(&ann, &both).await, sockets(&other, &both).await);
    let begin = Instant::now();
    let gone = json!({ "refresh_token": ann.refresh_token });
    assert_eq!(post(&a, "/v1/sign-out", None, gone.clone()).await.0, 204);
    all_closed("sign-out", open, begin, PROMISED).await;
    for socket in &mut kept {
        socket.send(&json!({ "type": "ping", "id": 1 })).await.unwrap();
        socket.recv().await.expect("another session of the same user goes on");
    }
    assert_eq!(post(&b, "/v1/refresh", None, gone).await.0, 401);

    // A token used again on another gateway than the one that rotated it.
    let fresh = accounts::refresh(&a.address, &other).await.unwrap();
    let fresh = accounts::refresh(&b.address, &fresh).await.unwrap();
    kept.extend(sockets(&fresh, &both).await);
    let begin = Instant::now();
    let (status, _) = post(&b, "/v1/refresh", None, json!({ "refresh_token": other.refresh_token })).await;
    assert_eq!(status, 401);
    all_closed("reuse of a refresh token", kept, begin, PROMISED).await;
    let (_, metrics) = b.admin("/metrics", None).await;
    assert!(metrics.contains("chat_gateway_refresh_tokens_reused_total 1"), "{metrics}");

    let (one, two, three) = (enter(&a, "ann").await, enter(&b, "ann").await, enter(&b, "ann").await);
    let mut mine = sockets(&one, &both).await;
    let theirs = [sockets(&two, &both).await, sockets(&three, &both).await].into_iter().flatten().collect();
    let begin = Instant::now();
    let change = json!({ "old_password": PASSWORD, "new_password": "another good one" });
    assert_eq!(post(&a, "/v1/password", Some(&one.token), change).await.0, 204);
    all_closed("change of password", theirs, begin, PROMISED).await;
    for socket in &mut mine {
        socket.send(&json!({ "type": "ping", "id": 1 })).await.unwrap();
        socket.recv().await.expect("the session that changed the password goes on");
    }
    let begin = Instant::now();
    assert_eq!(post(&b, "/v1/sign-out-everywhere", Some(&one.token), Value::Null).await.0, 204);
    all_closed("sign-out everywhere", mine, begin, PROMISED).await;

    // Without the broker the other gateway reads it from the store, which it does each second. That leaves less time to a machine that is busy,
    // so the promise is held to the round in the middle.
    let bob = enter(&a, "bob").await;
    stage.broker.kill();
    let noticed = async || !a.stats().await.broker.available && !b.stats().await.broker.available;
    eventually("the loss of the broker shows", Duration::from_secs(30), noticed).await;
    let mut rounds = Vec::new();
    for _ in 0..3 {
        let again = enter(&a, "bob").await;
        let open = sockets(&again, &both).await;
        let begin = Instant::now();
        assert_eq!(post(&a, "/v1/sign-out", Some(&again.token), Value::Null).await.0, 204);
        rounds.push(all_closed("sign-out while the broker is away", open, begin, 5 * PROMISED).await);
    }
    rounds.sort_unstable();
    assert!(rounds[1] <= PROMISED, "{rounds:?}");
    assert_eq!(sockets(&bob, &both).await.len(), 2, "the other session goes on");
    stage.broker.up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_over_all_gateways_and_without_redis() {
    let stage: Stage = Stage::start().await;
    let config = || {
        let mut config = stage.config();
        config.http.rates.sign_in_per_name = Bucket { per_minute: 1, burst: 4 };
        config
    };
    let (a, b) = (stage.gateway_with("gateway-a", &config()), stage.gateway_with("gateway-b", &config()));
    tokio::join!(a.wait_ready(), b.wait_ready());
    let guess = async |gateway: &Gateway| {
        let (status, answer) =
            post(gateway, "/v1/sign-in", None, json!({ "name": "ann", "password": "a wrong guess" })).await;
        (status, answer["error"]["code"].as_str().unwrap_or_default().to_owned())
    };
    let mut statuses = Vec::new();
    for n in 0..6 {
        statuses.push(guess(if n % 2 == 0 { &a } else { &b }).await.0);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 429, 429], "one bucket for both gateways");
    stage.redis.kill();
    let away = async || !a.stats().await.redis.available;
    eventually("the loss of Redis shows", Duration::from_secs(30), away).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(guess(&a).await.0);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 429], "a bucket of this gateway alone while Redis is away");
}
