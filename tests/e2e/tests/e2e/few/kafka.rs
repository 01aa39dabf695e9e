//! Gateways over an Apache Kafka that runs outside the Kubernetes.

use anyhow::Result;
use chat_test_client::load::Load;
use e2e::{ChatCluster, Namespace, World, manifest, pods::Part};
use serde_json::json;

use crate::{
    brokers,
    outside::kafka::Kafka,
    shared::{SETTLE_LIMIT, turn},
    under_load::under_load,
};

/// Paced, so that it lasts while Kafka is away and the broker changes twice.
const LOAD: Load = Load { messages: 5_000, in_flight: 32, body_bytes: 200, per_second: 100 };

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn the_documented_gateways_over_kafka_keep_their_promises_while_it_goes_and_comes_and_another_stands_in()
-> Result<()> {
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, "e2e-kafka").await?;
    let turn = turn().await?;
    let kafka = Kafka::start(&world, &namespace.name).await?;
    let manifest = manifest::kafka_for_load(&kafka.bootstrap)?;
    let cluster = ChatCluster::apply(&world, &namespace.name, &manifest).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    drop(turn);
    let headline = "Kafka killed, replaced by Redis Pub/Sub, and back";
    // Borrowed: it must outlive the load.
    let server = &kafka;
    under_load(&cluster, 10, LOAD, headline, |cluster, _| async move {
        // No time is promised here, where other tests run: the long test of `alone` promises one.
        brokers::kafka_goes_and_comes(&cluster, server, SETTLE_LIMIT).await?;
        brokers::change(&cluster, json!({ "redisPubSub": {} })).await?;
        brokers::change(&cluster, server.broker()?).await
    })
    .await?;
    namespace.discard().await
}
