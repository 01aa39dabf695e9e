//! Two gateways, as the processes they will be, over each broker that goes bad in every way but those that tests/services.rs and
//! tests/kafka_services.rs show: connections that break off inside a frame, slow ones, a server that is full or refuses the credentials of a
//! moment ago, and everything on Redis. What was acknowledged arrives everywhere exactly once and in order.
//!
//! `CHATCLUSTER_LONG=1` keeps servers frozen for 30 seconds and not for a few.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use chat_gateway_config::Broker;
use support::{
    behind::{Behind, Proxied},
    eventually,
    kafka::Kafka,
    proxy::{Proxy, Way},
    rabbitmq::RabbitMq,
    redis::Redis,
    redis_cluster::RedisCluster,
    redis_sentinel::RedisSentinel,
    scene::{MINUTE, Scene},
    server::Service as _,
    stage::{BrokerService, Gateway},
};

/// A gateway with two sockets, eight rooms and everything that waits for its broker: far above what it takes, far below what a leak would.
const MEMORY: u64 = 200 * 1024 * 1024;

/// How long a server stays frozen.
fn freeze_time() -> Duration {
    Duration::from_secs(if chat_test_client::is_long() { 30 } else { 2 })
}

/// Waits until both gateways have their broker; from then on they ask the store for what they missed.
async fn available(gateways: [&Gateway; 2]) {
    let start = Instant::now();
    for gateway in gateways {
        let name = format!("{} has its broker", gateway.name);
        eventually(&name, MINUTE, async || gateway.stats().await.broker.available).await;
    }
    println!("both gateways have their broker {:?} after it could be had", start.elapsed());
}

/// How often a gateway has said that the broker, or a part of it, is away. A failover may be over before anybody looks at its state.
fn losses(gateway: &Gateway) -> usize {
    gateway.log().matches("is away").count()
}

/// Does something to the broker and waits until both gateways have noticed.
async fn both_miss(gateways: [&Gateway; 2], harm: impl FnOnce()) {
    let before = gateways.map(losses);
    harm();
    for (gateway, before) in gateways.into_iter().zip(before) {
        let name = format!("{} misses its broker", gateway.name);
        eventually(&name, MINUTE, async || losses(gateway) > before).await;
    }
}

async fn shows(gateway: &Gateway, reason: &str) {
    let what = format!("{} says {reason}", gateway.name);
    eventually(&what, MINUTE, async || gateway.stats().await.broker.reason == reason).await;
}

/// Connections are cut inside a frame, both ways, and then slow.
async fn bad_connections<B: Proxied>(scene: &mut Scene<Behind<B>>) {
    for way in [Way::ToServer, Way::ToGateway] {
        scene
            .chat(&format!("cut {way:?}"), 300, async |stage, a, b| {
                let cuts = |proxies: &[Proxy]| proxies.iter().map(Proxy::cuts).sum::<usize>();
                let before = cuts(&stage.broker.proxies);
                // Less than the smallest frame with a message has.
                stage.broker.proxies.iter().for_each(|proxy| proxy.cut_after(way, 100));
                eventually("a cut", MINUTE, async || cuts(&stage.broker.proxies) > before).await;
                available([a, b]).await;
            })
            .await;
    }
    scene
        .chat("slow", 300, async |stage, a, b| {
            let pace = |pace| {
                for proxy in &stage.broker.proxies {
                    [Way::ToServer, Way::ToGateway].into_iter().for_each(|way| proxy.pace(way, pace));
                }
            };
            pace(Some(10_000));
            tokio::time::sleep(Duration::from_secs(2)).await;
            pace(None);
            available([a, b]).await;
        })
        .await;
}

/// The file that holds the broker's address and credentials.
fn secret(broker: &impl BrokerService) -> PathBuf {
    match broker.config() {
        Broker::Rabbitmq(rabbitmq) => rabbitmq.uri_file,
        Broker::RedisPubSub(redis) => redis.url_file,
        other => panic!("{other:?} has no such file"),
    }
}

/// Credentials stop being right while people chat.
async fn refused<B: Proxied>(scene: &mut Scene<Behind<B>>) {
    scene
        .chat("refused credentials", 300, async |stage, a, b| {
            let file = secret(&stage.broker);
            let right = std::fs::read_to_string(&file).unwrap();
            std::fs::write(&file, right.replace(":secret@", ":wrong@").replace("guest:guest@", "guest:wrong@"))
                .unwrap();
            stage.broker.proxies.iter().for_each(|proxy| proxy.cut_after(Way::ToServer, 0));
            for gateway in [&*a, &*b] {
                shows(gateway, "AuthenticationFailed").await;
            }
            std::fs::write(&file, right).unwrap();
            available([a, b]).await;
        })
        .await;
}

/// Servers are killed and frozen.
async fn lost<B: BrokerService>(scene: &mut Scene<B>) {
    scene
        .chat("killed and back", 300, async |stage, a, b| {
            both_miss([a, b], || stage.broker.kill()).await;
            stage.broker.up().await;
            available([a, b]).await;
        })
        .await;
    scene
        .chat("frozen", 300, async |stage, a, b| {
            both_miss([a, b], || stage.broker.freeze()).await;
            tokio::time::sleep(freeze_time()).await;
            stage.broker.thaw();
            available([a, b]).await;
        })
        .await;
}

/// Nothing is lost, doubled or reordered, both gateways lived through it all, and neither held more than it should.
fn all_is_well<B: BrokerService>(scene: &Scene<B>, acknowledged: u64) {
    let verdict = scene.ledger.verify();
    verdict.assert_clean(acknowledged);
    println!("{verdict:?}");
    assert_eq!(scene.alice.standing().gateway.as_deref(), Some("gateway-a"), "it stayed up");
    assert_eq!(scene.bob.standing().gateway.as_deref(), Some("gateway-b"), "it stayed up");
    for gateway in [&scene.a, &scene.b] {
        let peak = gateway.peak_memory();
        println!("{} used {} MiB at most", gateway.name, peak / 1024 / 1024);
        assert!(peak < MEMORY, "{peak}");
    }
    scene.nothing_secret_was_logged();
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_goes_bad() {
    let mut scene: Scene<Behind<RabbitMq>> = Scene::open().await;
    bad_connections(&mut scene).await;
    refused(&mut scene).await;
    scene
        .chat("full", 300, async |stage, a, b| {
            stage.broker.broker.allow_memory(1);
            for gateway in [&*a, &*b] {
                shows(gateway, "Blocked").await;
            }
            stage.broker.broker.allow_memory(512);
            available([a, b]).await;
        })
        .await;
    all_is_well(&scene, 1_500);
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_goes_bad() {
    let mut scene: Scene<Behind<Kafka>> = Scene::open().await;
    bad_connections(&mut scene).await;
    all_is_well(&scene, 900);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_goes_bad() {
    let mut scene: Scene<Behind<Redis>> = Scene::open().await;
    bad_connections(&mut scene).await;
    refused(&mut scene).await;
    lost(&mut scene).await;
    all_is_well(&scene, 1_800);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_behind_sentinels_fails_over() {
    let mut scene: Scene<RedisSentinel> = Scene::open().await;
    scene
        .chat("the primary killed", 300, async |stage, a, b| {
            let primary = stage.broker.primary().await;
            both_miss([a, b], || primary.kill()).await;
            available([a, b]).await;
        })
        .await;
    scene.stage.broker.up().await;
    scene
        .chat("the primary frozen", 300, async |stage, a, b| {
            let primary = stage.broker.primary().await;
            both_miss([a, b], || primary.freeze()).await;
            available([a, b]).await;
            primary.thaw();
        })
        .await;
    lost(&mut scene).await;
    all_is_well(&scene, 1_200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_cluster_goes_bad() {
    let mut scene: Scene<Behind<RedisCluster>> = Scene::open().await;
    bad_connections(&mut scene).await;
    refused(&mut scene).await;
    lost(&mut scene).await;
    scene
        .chat("one node killed and back", 300, async |stage, a, b| {
            both_miss([a, b], || stage.broker.servers()[1].kill()).await;
            stage.broker.up().await;
            available([a, b]).await;
        })
        .await;
    all_is_well(&scene, 2_100);
}
