//! What is being emptied stands on the pods, and an operator that starts anew goes on with it.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{
    ChatCluster, Crowd,
    pods::{Part, is_ready},
    wait::{Seen, until},
};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::shared::{SETTLE_LIMIT, shared};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn a_drain_outlives_the_operator() -> Result<()> {
    let cluster = shared().await?;
    let crowd = Crowd::gather(&cluster, 1).await?;
    // Waits for people to leave by themselves, which these do not.
    let patient = json!({ "mode": "External", "scaleDown": { "policy": "WhenEmpty" } });
    cluster.merge(json!({ "spec": { "gateways": { "replicas": 1, "autoscaling": patient } } })).await?;
    let leaving = cordoned(&cluster).await?;
    let since = cluster.get().await?.data["status"]["draining"].clone();
    cluster.world.kill_operator().await?;
    cluster.wait_reason("Ready", ("False", "Draining"), SETTLE_LIMIT).await?;
    tokio::time::sleep(Duration::from_secs(6)).await;
    ensure!(cluster.get().await?.data["status"]["draining"] == since, "another gateway, or another time");
    ensure!(cordoned(&cluster).await? == leaving, "another gateway was chosen");
    let made = |crowd: &Crowd| crowd.devices().map(|device| device.standing().connections);
    ensure!(made(&crowd) == [1; 4], "somebody was moved: {:?}", made(&crowd));

    cluster.merge(json!({ "spec": { "gateways": { "autoscaling": null } } })).await?;
    let left = cluster.wait_pods(Part::Gateway, 1, SETTLE_LIMIT).await?;
    ensure!(left.iter().all(|pod| pod.name_any() != leaving), "the wrong gateway went");
    let mut moved = made(&crowd);
    moved.sort_unstable();
    ensure!(moved == [1, 1, 2, 2], "connections that the devices made: {moved:?}");
    drop(crowd);
    cluster.merge(json!({ "spec": { "gateways": { "replicas": 2 } } })).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    Ok(())
}

/// The one gateway that takes nobody new.
async fn cordoned(cluster: &ChatCluster) -> Result<String> {
    until("one gateway to be cordoned", SETTLE_LIMIT, || async {
        let told: Value = cluster.get().await?.data["status"]["draining"].clone();
        let pods = cluster.pods(Part::Gateway).await?;
        let unready: Vec<String> = pods.iter().filter(|pod| !is_ready(pod)).map(|pod| pod.name_any()).collect();
        let is_told = told.as_array().is_some_and(|told| told.len() == 1 && told[0]["name"] == json!(unready.first()));
        Ok(match unready.as_slice() {
            [name] if is_told && pods.len() == 2 => Seen::Yes(name.clone()),
            _ => Seen::NotYet(format!("{} pods, not ready: {unready:?}, told: {told}", pods.len())),
        })
    })
    .await
}
