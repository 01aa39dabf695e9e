//! A broken part shows as a False condition within ten seconds, with a reason to act on, and recovers by itself.

use std::time::Instant;

use anyhow::Result;
use e2e::{
    ChatCluster,
    breaking::{cordon, crash},
    pods::Part,
};

use crate::shared::{NOTICE_LIMIT, SETTLE_LIMIT, shared};

/// What Kubernetes and the operator say about a pod that cannot come back: no node takes it, or, a moment before, that it is away.
const NO_POD: &[&str] = &["Unschedulable", "PodNotReady"];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn rabbitmq_away_shows_within_ten_seconds() -> Result<()> {
    away(Part::Broker).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn redis_away_shows_within_ten_seconds() -> Result<()> {
    away(Part::Cache).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn postgresql_away_shows_within_ten_seconds() -> Result<()> {
    away(Part::Database).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn all_gateways_away_shows_within_ten_seconds() -> Result<()> {
    away(Part::Gateway).await
}

/// Takes a part's pods away while no node accepts new ones, and gives the node back even when a check fails.
async fn away(part: Part) -> Result<()> {
    let cluster = shared().await?;
    cordon(&cluster.world, true).await?;
    let noticed = notice(&cluster, part).await;
    cordon(&cluster.world, false).await?;
    noticed?;
    let started = Instant::now();
    cluster.wait_condition(part.condition(), "True", SETTLE_LIMIT).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    println!("{part:?} back: Ready {:.1} s after the node", started.elapsed().as_secs_f64());
    Ok(())
}

async fn notice(cluster: &ChatCluster, part: Part) -> Result<()> {
    let pods = cluster.ready_pods(part).await?;
    for pod in &pods {
        // A database is crashed first: its processes must not outlive the pod that the API server forgets at once.
        if part == Part::Database {
            crash(pod)?;
        }
        cluster.kill_pod(pod).await?;
    }
    let started = Instant::now();
    let (reasons, names) = telling(part);
    let told = cluster.wait_told(part.condition(), reasons, names, NOTICE_LIMIT).await?;
    println!("{part:?} away: {} after {:.1} s: {}", told["reason"], started.elapsed().as_secs_f64(), told["message"]);
    // Chat goes on without broker and cache; without a shard or gateways the cluster is not ready.
    if matches!(part, Part::Database | Part::Gateway) {
        cluster.wait_condition("Ready", "False", NOTICE_LIMIT).await?;
    }
    Ok(())
}

/// The reasons that fit a part whose pods are gone, and what the message names, so that a person knows where to look.
fn telling(part: Part) -> (&'static [&'static str], &'static [&'static str]) {
    match part {
        Part::Broker => (NO_POD, &["RabbitMQ is not available", "demo-rabbitmq-0"]),
        Part::Cache => (NO_POD, &["Redis is not available", "demo-redis-0"]),
        Part::Database => (NO_POD, &["shard ", "is not available", "demo-shard-"]),
        Part::Gateway => (&["Unschedulable", "GatewaysNotReady"], &["0 of 2 gateways are ready"]),
        Part::Balancer => (&["Unschedulable", "BalancerNotReady"], &["no HAProxy in front of them is"]),
    }
}
