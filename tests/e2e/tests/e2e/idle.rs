//! An idle cluster is left alone.

use std::time::Duration;

use anyhow::Result;
use chat_test_client::is_long;
use e2e::manifest;

use crate::shared::own_from;

/// Time for the counts of connections and the like to settle.
const SETTLE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn b9_no_write_while_nothing_changes() -> Result<()> {
    let (namespace, cluster) = own_from("e2e-idle", &manifest::quickstart()?).await?;
    let cluster = cluster.leave_turn();
    tokio::time::sleep(SETTLE).await;
    let writes = || cluster.world.operator_writes(&namespace.name);
    let (versions, before) = (cluster.versions().await?, writes().await?);
    let generation = cluster.get().await?.metadata.generation;
    let idle = Duration::from_secs(if is_long() { 600 } else { 120 });
    println!("idle for {} s, {} objects watched, {before} writes so far", idle.as_secs(), versions.len());
    tokio::time::sleep(idle).await;
    let after = cluster.versions().await?;
    // The operator writes neither the status nor the replicas of workloads; their controllers do, and not while idle.
    assert_eq!(versions, after, "something was written");
    // Exact on purpose: a counter is whole.
    assert!((writes().await? - before).abs() < 0.5, "the operator counted a write");
    assert_eq!(cluster.get().await?.metadata.generation, generation);
    namespace.discard().await
}
