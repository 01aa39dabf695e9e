//! The same load while a part of the system dies: nothing that was acknowledged is lost, duplicated or reordered.

use std::{future::Future, time::Duration};

use anyhow::Result;
use chat_test_client::{
    Verdict,
    load::{Load, Progress},
};
use e2e::{ChatCluster, Crowd, breaking::crash, pods::Part};

use crate::shared::{SETTLE_LIMIT, shared};

const MESSAGES: u64 = 10_000;
/// Paced, so that the load lasts longer than any part is away.
const PER_SECOND: u32 = 400;
const BREAK_AFTER: u64 = 3_000;

/// Breaks something when a third of the load is acknowledged, and judges when all of it is and the cluster is well again.
async fn under_load<F, R>(headline: &str, break_it: F) -> Result<Verdict>
where
    F: FnOnce(ChatCluster) -> R,
    R: Future<Output = Result<()>>,
{
    let cluster = shared().await?;
    let crowd = Crowd::gather(&cluster, 50).await?;
    let progress = Progress::default();
    let load = Load { messages: MESSAGES, in_flight: 64, body_bytes: 200, per_second: PER_SECOND };
    let trouble = async {
        progress.reach(BREAK_AFTER).await;
        let broken = tokio::time::Instant::now();
        break_it(cluster.clone()).await?;
        println!("{headline}: broken and back after {:.1} s", broken.elapsed().as_secs_f64());
        Ok::<_, anyhow::Error>(())
    };
    let (report, trouble) = tokio::join!(crowd.chat(load, &progress), trouble);
    trouble?;
    let verdict = crowd.judge(headline, &report?);
    verdict.assert_clean(MESSAGES);
    cluster.wait_ready(SETTLE_LIMIT).await?;
    Ok(verdict)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn a_gateway_is_killed() -> Result<()> {
    let verdict = under_load("gateway killed", |cluster| async move {
        let pod = cluster.ready_pods(Part::Gateway).await?.remove(0);
        cluster.kill_pod(&pod).await?;
        cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
        Ok(())
    })
    .await?;
    assert!(verdict.counts.connections > 4, "no client had to connect again: {verdict}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn a_gateway_crashes() -> Result<()> {
    let verdict = under_load("gateway crashed (SIGKILL)", |cluster| async move {
        let pod = cluster.ready_pods(Part::Gateway).await?.remove(1);
        crash(&pod)?;
        cluster.wait_restarted(&pod, SETTLE_LIMIT).await
    })
    .await?;
    assert!(verdict.counts.connections > 4, "no client had to connect again: {verdict}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn b_rabbitmq_is_killed() -> Result<()> {
    let verdict = under_load("RabbitMQ killed", |cluster| replace(cluster, Part::Broker)).await?;
    assert_eq!(verdict.counts.connections, 4, "a broker's absence must not cost a client its connection: {verdict}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn c_redis_is_killed() -> Result<()> {
    let verdict = under_load("Redis killed", |cluster| replace(cluster, Part::Cache)).await?;
    assert_eq!(verdict.counts.connections, 4, "the cache's absence must not cost a client its connection: {verdict}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn d_postgresql_crashes() -> Result<()> {
    under_load("PostgreSQL crashed (SIGKILL)", |cluster| async move {
        let pod = cluster.ready_pods(Part::Database).await?.remove(0);
        crash(&pod)?;
        cluster.wait_restarted(&pod, SETTLE_LIMIT).await
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn d_postgresql_is_killed() -> Result<()> {
    // Crashed first: a pod deleted with grace 0 is forgotten by the API server while its processes may still write.
    under_load("PostgreSQL killed", |cluster| async move {
        let pod = cluster.ready_pods(Part::Database).await?.remove(0);
        crash(&pod)?;
        cluster.kill_pod(&pod).await?;
        cluster.wait_replaced(&pod, SETTLE_LIMIT).await
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn e_operator_is_killed() -> Result<()> {
    let verdict = under_load("operator killed", |cluster| async move { cluster.world.kill_operator().await }).await?;
    assert_eq!(
        verdict.counts.connections, 4,
        "the operator's absence must not cost a client its connection: {verdict}"
    );
    Ok(())
}

/// Kills the only pod of a part and waits for the next one.
async fn replace(cluster: ChatCluster, part: Part) -> Result<()> {
    let pod = cluster.ready_pods(part).await?.remove(0);
    cluster.kill_pod(&pod).await?;
    cluster.wait_replaced(&pod, Duration::from_secs(120)).await
}
