//! The same load while parts of the system die: nothing that was acknowledged is lost, duplicated or reordered.
//! Tests named `long_` are variants for `cargo xtask test --long`.

use std::{future::Future, time::Duration};

use anyhow::{Result, ensure};
use chat_test_client::{Verdict, load::Load};
use e2e::{
    ChatCluster,
    breaking::{crash, freeze},
    pods::Part,
};
use serde_json::json;

use crate::{
    brokers,
    outside::kafka::Kafka,
    shared::{NOTICE_LIMIT, SETTLE_LIMIT, shared},
};

/// The load of the required scenarios.
const FULL: u64 = 10_000;
/// A load that lasts through three rollouts.
const LONG: u64 = 20_000;
/// The load of their variants, which would otherwise double the time of the whole run.
const SHORT: u64 = 4_000;
/// Paced, so that the load lasts longer than any part is away.
const PER_SECOND: u32 = 500;
/// Rooms that they are sent to.
const ROOMS: usize = 50;
/// Devices of a [`Crowd`], each with one connection unless a gateway left it.
const DEVICES: u64 = 4;

/// So many messages, at the pace of all of these tests.
const fn load(messages: u64) -> Load {
    Load { messages, in_flight: 64, body_bytes: 200, per_second: PER_SECOND }
}

/// The load on the shared cluster while something of it breaks.
async fn under_load<F, R>(headline: &str, messages: u64, break_it: F) -> Result<Verdict>
where
    F: FnOnce(ChatCluster) -> R,
    R: Future<Output = Result<()>>,
{
    crate::under_load::under_load(&*shared().await?, ROOMS, load(messages), headline, |cluster, _| break_it(cluster))
        .await
}

/// The full load while something breaks, and when that is over and six tenths of the load are acknowledged, something else.
async fn under_two_troubles<A, B>(
    headline: &str,
    first: impl FnOnce(ChatCluster) -> A,
    second: impl FnOnce(ChatCluster) -> B,
) -> Result<Verdict>
where
    A: Future<Output = Result<()>>,
    B: Future<Output = Result<()>>,
{
    crate::under_load::under_load(&*shared().await?, ROOMS, load(FULL), headline, |cluster, progress| async move {
        first(cluster.clone()).await?;
        progress.reach(FULL / 10 * 6).await;
        let acked = progress.acked();
        ensure!(acked < FULL / 10 * 9, "the first trouble lasted through the load: {acked} messages are acknowledged");
        println!("{headline}: the second at {acked} messages");
        second(cluster).await
    })
    .await
}

fn assert_everybody_stayed(verdict: &Verdict) {
    assert_eq!(verdict.counts.connections, DEVICES, "a client lost its connection\n{verdict}");
}

fn assert_somebody_moved(verdict: &Verdict) {
    assert!(verdict.counts.connections > DEVICES, "no client had to connect again\n{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn a_gateway_is_killed_and_then_all_are_rolled_out() -> Result<()> {
    let headline = "gateway killed, then all gateways replaced by a rollout";
    let verdict = under_two_troubles(headline, kill_gateway, roll_out).await?;
    // A drain asks clients to leave; they resume elsewhere before their old sockets close.
    assert!(verdict.counts.connections >= 2 * DEVICES, "fewer moves than clients\n{verdict}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn long_a_gateway_crashes() -> Result<()> {
    let verdict = under_load("gateway crashed (SIGKILL)", SHORT, |cluster| async move {
        let pod = cluster.ready_pods(Part::Gateway).await?.remove(1);
        crash(&pod)?;
        cluster.wait_restarted(&pod, SETTLE_LIMIT).await
    })
    .await?;
    assert_somebody_moved(&verdict);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn b_rabbitmq_is_killed_and_then_redis() -> Result<()> {
    let kill = |part| move |cluster| replace(cluster, part);
    let verdict = under_two_troubles("RabbitMQ killed, then Redis", kill(Part::Broker), kill(Part::Cache)).await?;
    assert_everybody_stayed(&verdict);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn long_b_rabbitmq_is_frozen() -> Result<()> {
    let verdict = under_load("RabbitMQ frozen for 12 s", SHORT, |cluster| async move {
        freeze(&cluster.ready_pods(Part::Broker).await?[0], Duration::from_secs(12)).await
    })
    .await?;
    assert_everybody_stayed(&verdict);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn long_c_redis_is_frozen() -> Result<()> {
    let verdict = under_load("Redis frozen for 8 s", SHORT, |cluster| async move {
        freeze(&cluster.ready_pods(Part::Cache).await?[0], Duration::from_secs(8)).await
    })
    .await?;
    assert_everybody_stayed(&verdict);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn long_d_postgresql_crashes() -> Result<()> {
    let verdict = under_load("PostgreSQL crashed (SIGKILL)", SHORT, |cluster| async move {
        let pod = cluster.ready_pods(Part::Database).await?.remove(0);
        crash(&pod)?;
        cluster.wait_restarted(&pod, SETTLE_LIMIT).await
    })
    .await?;
    assert_everybody_stayed(&verdict);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn d_postgresql_is_killed_and_then_the_operator() -> Result<()> {
    let verdict = under_two_troubles("PostgreSQL killed, then the operator", kill_database, |cluster| async move {
        cluster.world.kill_operator().await
    })
    .await?;
    assert_everybody_stayed(&verdict);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn long_d_postgresql_is_frozen() -> Result<()> {
    let verdict = under_load("PostgreSQL frozen for 8 s", SHORT, |cluster| async move {
        freeze(&cluster.ready_pods(Part::Database).await?[1], Duration::from_secs(8)).await
    })
    .await?;
    assert_everybody_stayed(&verdict);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn long_g_the_broker_is_changed_and_changed_back() -> Result<()> {
    let headline = "RabbitMQ replaced by Redis Pub/Sub, by Kafka, which goes and comes, and back";
    let verdict = under_load(headline, LONG, |cluster| async move {
        // Java takes a few seconds to start; meanwhile Redis takes over.
        let (kafka, redis) = tokio::join!(
            Kafka::start(&cluster.world, &cluster.namespace),
            brokers::change(&cluster, json!({ "redisPubSub": {} })),
        );
        let kafka = redis.and(kafka)?;
        brokers::change(&cluster, kafka.broker()?).await?;
        brokers::kafka_goes_and_comes(&cluster, &kafka, NOTICE_LIMIT).await?;
        brokers::change(&cluster, json!({ "rabbitmq": { "managed": {} } })).await
    })
    .await?;
    assert_somebody_moved(&verdict);
    Ok(())
}

/// Kills the only pod of a part and waits for the next one.
async fn replace(cluster: ChatCluster, part: Part) -> Result<()> {
    let pod = cluster.ready_pods(part).await?.remove(0);
    cluster.kill_pod(&pod).await?;
    cluster.wait_replaced(&pod, Duration::from_secs(120)).await
}

/// Kills a gateway and waits until there are two again.
async fn kill_gateway(cluster: ChatCluster) -> Result<()> {
    let pod = cluster.ready_pods(Part::Gateway).await?.remove(0);
    cluster.kill_pod(&pod).await?;
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    Ok(())
}

/// Kills a shard and waits for the next pod. Crashed first: a pod deleted with grace 0 is forgotten by the API server while its processes may
/// still write.
async fn kill_database(cluster: ChatCluster) -> Result<()> {
    let pod = cluster.ready_pods(Part::Database).await?.remove(0);
    crash(&pod)?;
    cluster.kill_pod(&pod).await?;
    cluster.wait_replaced(&pod, SETTLE_LIMIT).await
}

/// Replaces all gateways, twice.
async fn roll_out(cluster: ChatCluster) -> Result<()> {
    let turn = uuid::Uuid::new_v4().to_string();
    let template = json!({ "annotations": { "example.com/rollout": turn } });
    for template in [template, serde_json::Value::Null] {
        cluster.merge(json!({ "spec": { "gateways": { "podTemplate": template } } })).await?;
        cluster.wait_ready(SETTLE_LIMIT).await?;
    }
    Ok(())
}
