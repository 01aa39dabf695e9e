//! Gateways follow the connections, while something like a GitOps controller applies the same manifest again and again.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use chat_test_client::{Client, ClientConfig, Ledger, is_long};
use e2e::{
    ChatCluster, Namespace, World,
    chat_cluster::condition,
    crowd::{follow_gateways, sign_up},
    manifest,
    pods::Part,
    wait::{Seen, until},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::shared::{READY_LIMIT, SETTLE_LIMIT, turn};

/// A person's devices: over a gateway's 85 %, and what two gateways are to have.
const DEVICES: usize = 9;
/// From the connections to the decision: the goal is five seconds.
const DECISION_LIMIT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn gateways_follow_the_connections_and_gitops_changes_nothing() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, "e2e-autoscaling").await?;
    let mut wanted = manifest::smallest("follows");
    wanted["spec"]["gateways"] = json!({
        // Whatever stands here has no effect, also when it is applied again and again.
        "replicas": 5,
        "connectionsPerGateway": 10,
        "drainSeconds": 5,
        "autoscaling": {
            "mode": "Native", "minReplicas": 1, "maxReplicas": 4, "scaleDown": { "windowSeconds": 20 },
        },
    });
    let cluster = ChatCluster::apply(&world, &namespace.name, &wanted).await?;
    let ready = cluster.wait_ready(READY_LIMIT).await?;
    cluster.wait_pods(Part::Gateway, 1, SETTLE_LIMIT).await?;
    let (numbers, watcher) = watch_replicas(&cluster);
    let gitops = apply_for_ever(&cluster, wanted);

    let ledger = Ledger::new();
    let (addresses, follower) = follow_gateways(&cluster, 0).await?;
    let ann = sign_up(&addresses, "ann").await?;
    let mut devices = Vec::new();
    for _ in 0..DEVICES {
        devices.push(Client::start(ClientConfig::new(ann.clone(), addresses.clone(), ledger.clone())).await?);
    }
    let started = Instant::now();
    wait_desired(&cluster, 2, DECISION_LIMIT).await?;
    println!("decided {:.1} s after the last of {DEVICES} connections", started.elapsed().as_secs_f64());
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    println!("the second gateway is ready {:.1} s after it", started.elapsed().as_secs_f64());
    let told = cluster.get().await?;
    ensure!(told.data["status"]["effective"]["replicas"] == 2, "{}", told.data["status"]);
    ensure!(told.data["status"]["autoscaling"]["lastScaleTime"].is_string(), "{}", told.data["status"]);

    // Nine connections are what two gateways are for: nothing happens, for as long as somebody cares to look.
    tokio::time::sleep(Duration::from_secs(if is_long() { 600 } else { 40 })).await;
    ensure!(*numbers.lock().unwrap() == [1, 2], "it flapped: {:?}", numbers.lock().unwrap());

    // All are on the first gateway: the second is the emptiest, and nobody has to move for it.
    devices.truncate(2);
    let started = Instant::now();
    wait_desired(&cluster, 1, Duration::from_secs(90)).await?;
    cluster.wait_pods(Part::Gateway, 1, SETTLE_LIMIT).await?;
    println!("one gateway again {:.1} s after seven people left", started.elapsed().as_secs_f64());
    until("the others to be connected", SETTLE_LIMIT, || async {
        let connections = cluster.get().await?.data["status"]["connections"].clone();
        Ok(if connections == 2 { Seen::Yes(()) } else { Seen::NotYet(connections.to_string()) })
    })
    .await?;
    // A gateway that turns people away is not ready, a moment before the Deployment has one less.
    until("the Deployment to have one gateway less", SETTLE_LIMIT, || async {
        let seen = numbers.lock().unwrap().clone();
        Ok(if seen.len() > 2 { Seen::Yes(()) } else { Seen::NotYet(format!("{seen:?}")) })
    })
    .await?;
    ensure!(*numbers.lock().unwrap() == [1, 2, 1], "it flapped: {:?}", numbers.lock().unwrap());

    for device in &devices {
        let standing = device.standing();
        ensure!(standing.connections == 1, "somebody was moved, and nobody had to be: {standing:?}");
    }

    gitops.abort();
    watcher.abort();
    follower.abort();
    let now = cluster.wait_ready(SETTLE_LIMIT).await?;
    ensure!(now.metadata.generation == ready.metadata.generation, "somebody wrote the spec");
    let since = |object| condition(object, "Ready").map(|ready| ready["lastTransitionTime"].clone());
    ensure!(since(&now) == since(&ready), "it was not ready for a while: {}", now.data["status"]);
    cluster.check_spec_is_the_users().await?;
    namespace.discard().await
}

/// Waits until the operator wants so many gateways, and says why in words.
async fn wait_desired(cluster: &ChatCluster, count: i32, limit: Duration) -> Result<()> {
    let told = until(format!("{count} gateways to be wanted"), limit, || async {
        let told = cluster.get().await?.data["status"]["autoscaling"].clone();
        Ok(if told["desiredReplicas"] == count { Seen::Yes(told) } else { Seen::NotYet(told.to_string()) })
    })
    .await?;
    println!("{}: {}", told["reason"], told["message"]);
    Ok(())
}

/// The numbers that the Deployment is told, one for each change.
pub(super) fn watch_replicas(cluster: &ChatCluster) -> (Arc<Mutex<Vec<i32>>>, JoinHandle<()>) {
    let numbers = Arc::<Mutex<Vec<i32>>>::default();
    let (seen, cluster) = (Arc::clone(&numbers), cluster.clone());
    let task = tokio::spawn(async move {
        loop {
            let replicas = cluster.gateway_deployment().await.ok().and_then(|deployment| deployment.spec?.replicas);
            if let Some(replicas) = replicas {
                let mut seen = seen.lock().unwrap();
                if seen.last() != Some(&replicas) {
                    seen.push(replicas);
                }
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    });
    (numbers, task)
}

/// Applies the manifest every two seconds, as a GitOps controller that heals what it takes for drift.
fn apply_for_ever(cluster: &ChatCluster, manifest: Value) -> JoinHandle<()> {
    let cluster = cluster.clone();
    tokio::spawn(async move {
        loop {
            if let Err(error) = cluster.reapply(&manifest).await {
                println!("could not apply: {error:#}");
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    })
}
