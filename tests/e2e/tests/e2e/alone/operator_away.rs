//! Rule C2: what holds while the operator is away.

use std::time::Duration;

use anyhow::Result;
use e2e::{
    World, manifest,
    wait::{Seen, until},
    world::OPERATOR_NAMESPACE,
};

use crate::shared::own_from;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn c2_nothing_waits_for_an_operator_that_is_gone() -> Result<()> {
    // The one that starts soonest; that no other child waits for the operator either, `c1` looks at.
    let (namespace, cluster) = own_from("e2e-c2", &manifest::embedded_for_load()?).await?;
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
