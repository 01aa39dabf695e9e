//! A broken part shows as a False condition within ten seconds, with a reason to act on, and recovers by itself.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::{
    ChatCluster,
    breaking::{cordon, crash},
    chat_cluster::condition,
    pods::Part,
};

use crate::shared::{SETTLE_LIMIT, shared};

const NOTICE_LIMIT: Duration = Duration::from_secs(10);

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
    let object = cluster.wait_condition(part.condition(), "False", NOTICE_LIMIT).await?;
    let told = condition(&object, part.condition()).cloned().unwrap_or_default();
    println!("{part:?} away: {} after {:.1} s: {}", told["reason"], started.elapsed().as_secs_f64(), told["message"]);
    ensure!(told["message"].as_str().is_some_and(|message| message.len() >= 20), "no message to act on: {told}");
    // Chat goes on without broker and cache; without a shard or gateways the cluster is not ready.
    if matches!(part, Part::Database | Part::Gateway) {
        cluster.wait_condition("Ready", "False", NOTICE_LIMIT).await?;
    }
    Ok(())
}
