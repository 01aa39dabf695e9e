//! Two gateways, as the processes they will be, on real PostgreSQL, RabbitMQ and Redis: what was acknowledged arrives everywhere exactly once
//! and in order, through the death of everything that can die. What else befalls a broker is in broker_outages/.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use std::time::Duration;

use chat_test_client::{accounts, socket::Socket};
use serde_json::json;
use support::{
    eventually,
    rabbitmq::RabbitMq,
    scene::{MINUTE, account},
    server::Service as _,
    stage::{Gateway, Stage},
};

type Scene = support::scene::Scene<RabbitMq>;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_doubled_or_reordered() {
    let mut scene = Scene::open().await;
    scene.chat("a quiet day", 400, async |_, _, _| {}).await;
    scene.stage.broker.kill();
    scene.chat("RabbitMQ gone all the time", 200, async |_, _, _| {}).await;
    scene.stage.broker.up().await;
    scene
        .chat("Redis away", 600, async |stage, a, _| {
            stage.redis.kill();
            let refused = async || a.stats().await.redis.reason == "ConnectionRefused";
            eventually("the loss of Redis shows", Duration::from_secs(10), refused).await;
            assert_eq!(a.admin("/readyz", None).await.0, 200, "chat goes on without Redis");
            stage.redis.up().await;
        })
        .await;
    scene
        .chat("PostgreSQL killed and back", 800, async |stage, _, _| {
            stage.postgres.kill();
            tokio::time::sleep(Duration::from_secs(1)).await;
            stage.postgres.up().await;
        })
        .await;
    scene.chat("a gateway killed", 800, async |_, a, _| a.process.kill()).await;
    assert_eq!(scene.alice.standing().gateway.as_deref(), Some("gateway-b"));
    scene.a = scene.stage.ready_gateway("gateway-d").await;
    scene.gateways_changed();
    scene
        .chat("a gateway drained", 800, async |_, _, b| {
            b.process.signal("TERM");
            assert_eq!(b.process.wait(), Some(0), "{}", b.log());
        })
        .await;
    assert_eq!(scene.bob.standing().gateway.as_deref(), Some("gateway-d"));
    scene.b = scene.stage.ready_gateway("gateway-c").await;
    let verdict = scene.ledger.verify();
    verdict.assert_clean(3_600);
    println!("{verdict:?}");
    let stats = scene.a.stats().await;
    println!("{stats:?}");
    assert!(
        stats.broker.available && stats.redis.available && stats.shards.iter().all(|shard| shard.component.available)
    );
    scene.nothing_secret_was_logged();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_starts_before_its_backends_and_says_what_is_missing() {
    let stage: Stage = Stage::start().await;
    stage.redis.kill();
    stage.broker.kill();
    let gateway = stage.gateway("early");
    eventually("it lives", MINUTE, async || gateway.admin("/healthz", None).await.0 == 200).await;
    eventually("it names RabbitMQ", MINUTE, async || gateway.stats().await.broker.reason == "ConnectionRefused").await;
    let (status, why) = gateway.admin("/readyz", None).await;
    assert_eq!((status, why.contains("broker")), (503, true), "{why}");
    stage.broker.up().await;
    eventually("it names Redis", MINUTE, async || gateway.admin("/readyz", None).await.1.contains("Redis")).await;
    stage.redis.up().await;
    gateway.wait_ready().await;
    accounts_are_refused_with_reasons(&gateway).await;
    bad_sockets_are_refused(&gateway).await;
    the_admin_port_tells_the_operator_only(&gateway).await;
    out_of_descriptors_it_waits_and_goes_on(&gateway).await;
}

/// Causes what the metrics of refusals and closes count.
async fn bad_sockets_are_refused(gateway: &Gateway) {
    let mut socket = Socket::connect(&gateway.address).await.unwrap();
    socket.send(&json!({ "type": "dance", "id": 1 })).await.unwrap();
    socket.send(&json!({ "type": "hello", "id": 2, "token": "nonsense" })).await.unwrap();
    while socket.recv().await.is_ok() {}
    let dave = account(gateway, "dave").await;
    let mut socket = Socket::connect(&gateway.address).await.unwrap();
    socket.send(&json!({ "type": "hello", "id": 1, "token": dave.token })).await.unwrap();
    socket.recv().await.unwrap();
    socket.send(&json!({ "type": "dance", "id": 2 })).await.unwrap();
    socket.recv().await.unwrap();
    socket.close().await;
}

async fn out_of_descriptors_it_waits_and_goes_on(gateway: &Gateway) {
    let pid = gateway.process.id();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let limit = |soft: usize| {
        let set = std::process::Command::new("prlimit")
            .arg(format!("--nofile={soft}:"))
            .args(["--pid", &pid.to_string()])
            .status();
        assert!(set.unwrap().success());
    };
    limit(open + 4);
    let mut crowd = Vec::new();
    for _ in 0..20 {
        crowd.push(tokio::net::TcpStream::connect(&gateway.address).await.unwrap());
    }
    let complains = async || gateway.log().contains("no connection can be accepted");
    eventually("the exhaustion is logged", Duration::from_secs(10), complains).await;
    drop(crowd);
    let serves = async || accounts::get(&gateway.address, "/", None).await.is_ok_and(|(status, _)| status.is_success());
    eventually("it serves again", Duration::from_secs(20), serves).await;
    limit(1_000);
}

async fn the_admin_port_tells_the_operator_only(gateway: &Gateway) {
    for token in [None, Some("wrong"), Some("")] {
        assert_eq!(gateway.admin("/stats", token).await.0, 401);
    }
    let stats = gateway.stats().await;
    assert_eq!((stats.gateway.as_str(), stats.draining), ("early", false));
    let slots: Vec<u32> = stats.shards.iter().map(|shard| shard.slots).collect();
    assert_eq!(slots, [32, 32], "half of the slots each");
    assert_eq!(accounts::get(&gateway.address, "/v1/connect", None).await.unwrap().0, 200);
    let (status, metrics) = gateway.admin("/metrics", None).await;
    assert_eq!(status, 200);
    let mut shown: Vec<&str> =
        metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    shown.retain(|name| name.starts_with("chat_gateway_"));
    shown.sort_unstable();
    let page = include_str!("../../docs/reference/gateway.md");
    let mut documented: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `chat_gateway_")?.split(['`', '{']).next()).collect();
    documented.sort_unstable();
    let shown: Vec<&str> = shown.iter().filter_map(|name| name.strip_prefix("chat_gateway_")).collect();
    assert_eq!(shown, documented, "docs/reference/gateway.md lists the metrics that there are");
}

async fn accounts_are_refused_with_reasons(gateway: &Gateway) {
    let at = gateway.address.as_str();
    let good = json!({ "name": "Carol", "password": "long enough" });
    let refusals = [
        ("/v1/sign-up", json!({ "name": "x", "password": "long enough" }), 400, "bad_request"),
        ("/v1/sign-up", json!({ "name": "carol", "password": "short" }), 400, "bad_request"),
        ("/v1/sign-up", json!({ "name": 7 }), 422, "bad_request"),
        ("/v1/sign-up", json!({ "name": "x".repeat(20_000) }), 413, "too_large"),
        ("/v1/sign-in", json!({ "name": "nobody", "password": "long enough" }), 401, "unauthenticated"),
        ("/v1/refresh", json!({ "refresh_token": "none" }), 401, "unauthenticated"),
        ("/v1/config", json!({}), 405, "bad_request"),
        ("/v2", json!({}), 405, "bad_request"),
    ];
    for (path, body, status, code) in refusals {
        let (got, answer) = accounts::post(at, path, None, &body).await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!((got.as_u16(), answer["error"]["code"].as_str()), (status, Some(code)), "{path} {answer}");
    }
    let (created, session) = accounts::post(at, "/v1/sign-up", None, &good).await.unwrap();
    assert_eq!(created.as_u16(), 201);
    let session: serde_json::Value = serde_json::from_slice(&session).unwrap();
    assert_eq!(session["user"]["name"], "carol", "folded");
    assert_eq!(accounts::post(at, "/v1/sign-up", None, &good).await.unwrap().0.as_u16(), 409);
    assert_eq!(accounts::post(at, "/v1/sign-in", None, &good).await.unwrap().0.as_u16(), 200);
    let refresh = json!({ "refresh_token": session["refresh_token"] });
    assert_eq!(accounts::post(at, "/v1/refresh", None, &refresh).await.unwrap().0.as_u16(), 200);
    let (status, page) = accounts::get(at, "/", None).await.unwrap();
    assert!(status.is_success() && page.starts_with(b"<!doctype html>"));
    assert_eq!(accounts::get(at, "/nothing.js", None).await.unwrap().0.as_u16(), 404);
    assert_eq!(accounts::get(at, "/v1/ws", None).await.unwrap().0.as_u16(), 426, "no upgrade asked for");
}
