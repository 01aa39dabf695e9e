//! Rules B5 and C2: what holds while the operator is away, and after it came back.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{
    World,
    wait::{Seen, until},
    world::OPERATOR_NAMESPACE,
};

use crate::shared::{SETTLE_LIMIT, own, shared};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn b5_the_operator_never_moves_the_generation() -> Result<()> {
    let cluster = shared().await?;
    let before = cluster.get().await?.metadata.generation;
    cluster.world.kill_operator().await?;
    // Ten seconds are several polls and at least one full pass of the new operator.
    tokio::time::sleep(Duration::from_secs(10)).await;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    assert_eq!(cluster.get().await?.metadata.generation, before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn c2_nothing_waits_for_an_operator_that_is_gone() -> Result<()> {
    let (namespace, cluster) = own("e2e-c2", "orphan").await?;
    let finalizers = cluster.get().await?.metadata.finalizers.unwrap_or_default();
    ensure!(finalizers.is_empty(), "finalizers without outside state to undo: {finalizers:?}");
    scale_operator(&cluster.world, 0).await?;
    let gone = namespace.delete(Duration::from_secs(60)).await;
    scale_operator(&cluster.world, 1).await?;
    println!("namespace deletion without operator: {:.1} s", gone?.as_secs_f64());
    Ok(())
}

async fn scale_operator(world: &World, replicas: u32) -> Result<()> {
    let count = format!("--replicas={replicas}");
    world.kubectl(&["scale", "deployment/chat-operator", &count, "-n", OPERATOR_NAMESPACE]).await?;
    until(format!("{replicas} operators"), Duration::from_secs(120), || async {
        let is_there = world.operator_pod().await.is_ok();
        Ok(if is_there == (replicas > 0) { Seen::Yes(()) } else { Seen::NotYet(format!("there: {is_there}")) })
    })
    .await
}
