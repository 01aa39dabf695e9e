//! The quickstart becomes Ready as soon as its page promises, and is then left alone.

use std::time::{Duration, Instant};

use anyhow::Result;
use chat_test_client::is_long;
use e2e::{ChatCluster, Namespace, World, manifest, pods::Part};

use crate::shared::{READY_LIMIT, turn};

/// Time for the counts of connections and the like to settle.
const SETTLE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn b9_a_quickstart_is_ready_within_two_minutes_and_then_nothing_is_written() -> Result<()> {
    let turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, "e2e-idle").await?;
    let started = Instant::now();
    let cluster = ChatCluster::apply(&world, &namespace.name, &manifest::quickstart()?).await?;
    cluster.kubectl_wait("Ready", READY_LIMIT).await?;
    println!("quickstart: Ready after {:.1} s", started.elapsed().as_secs_f64());
    cluster.wait_pods(Part::Gateway, 2, Duration::from_secs(1)).await?;
    // All that follows is watching: others may start theirs.
    drop(turn);
    tokio::time::sleep(SETTLE).await;
    let writes = || cluster.world.operator_writes(&namespace.name);
    let (versions, before) = (cluster.versions().await?, writes().await?);
    let calm = cluster.get().await?;
    let idle = Duration::from_secs(if is_long() { 600 } else { 120 });
    println!("idle for {} s, {} objects watched, {before} writes so far", idle.as_secs(), versions.len());
    tokio::time::sleep(idle).await;
    let after = cluster.versions().await?;
    let now = cluster.get().await?;
    // The operator writes neither the status nor the replicas of workloads; their controllers do, and not while idle.
    assert_eq!(versions, after, "something was written: from {:#} to {:#}", calm.data["status"], now.data["status"]);
    // Exact on purpose: a counter is whole.
    assert!((writes().await? - before).abs() < 0.5, "the operator counted a write");
    assert_eq!(now.metadata.generation, calm.metadata.generation);
    namespace.discard().await
}
