//! Two gateways, as the processes they will be, on real PostgreSQL, Apache Kafka and Redis: what was acknowledged arrives everywhere exactly
//! once and in order, while partitions are added, a gateway dies and Kafka is away all the time. What else befalls it is in broker_outages/.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use std::time::Duration;

use support::{eventually, kafka::Kafka, scene::Scene, server::Service as _};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_doubled_or_reordered_over_kafka() {
    let mut scene: Scene<Kafka> = Scene::open().await;
    scene.chat("a quiet day", 400, async |_, _, _| {}).await;
    scene
        .chat("partitions added", 800, async |stage, _, _| {
            stage.broker.set_partitions("chatcluster.test.demo", 8).await;
        })
        .await;
    scene.chat("a gateway killed", 400, async |_, a, _| a.process.kill()).await;
    assert_eq!(scene.alice.standing().gateway.as_deref(), Some("gateway-b"));
    scene.a = scene.stage.ready_gateway("gateway-c").await;
    scene.gateways_changed();
    scene.stage.broker.kill();
    scene.chat("Kafka gone all the time", 200, async |_, _, _| {}).await;
    scene.stage.broker.up().await;
    let back = async || scene.b.stats().await.broker.available;
    eventually("Kafka is back", Duration::from_secs(60), back).await;
    scene.chat("a quiet evening", 200, async |_, _, _| {}).await;
    let verdict = scene.ledger.verify();
    verdict.assert_clean(2_000);
    println!("{verdict:?}");
    scene.nothing_secret_was_logged();
}
