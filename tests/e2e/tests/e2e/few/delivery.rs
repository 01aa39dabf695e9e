//! What the operator says of delivery: True of gateways that keep their promises, and False within a minute of broken ones, with evidence.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::{ChatCluster, Namespace, World, manifest};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::shared::{READY_LIMIT, SETTLE_LIMIT, turn};

/// From the moment at which a broken gateway serves. This is promised.
const FOUND_OUT: Duration = Duration::from_secs(60);

const CONDITION: &str = "DeliveryVerified";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn broken_gateways_are_found_out_within_a_minute() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, "e2e-delivery").await?;
    let started = Instant::now();
    let cluster = ChatCluster::apply(&world, &namespace.name, &manifest::embedded_for_load()?).await?;
    cluster.wait_ready(READY_LIMIT).await?;
    let ready = started.elapsed();
    cluster.kubectl_wait(CONDITION, FOUND_OUT).await?;
    println!("verified {:.1} s after it was ready", (started.elapsed() - ready).as_secs_f64());

    let before = cluster.get().await?.data["spec"]["image"].clone();
    for (fault, reason, evidence) in
        [("twice", "DeliveredTwice", "came twice"), ("lose", "AcknowledgedLost", "not in the history")]
    {
        become_broken(&cluster, fault).await?;
        let served = Instant::now();
        let told = cluster.wait_told(CONDITION, &[reason], &["gateway ", "room ", evidence], FOUND_OUT).await?;
        println!("{fault}: found out after {:.1} s: {}", served.elapsed().as_secs_f64(), told["message"]);
        // People chat, more or less: what went wrong is no reason to hold up whoever puts it right.
        cluster.wait_ready(Duration::from_secs(5)).await?;
    }

    cluster.merge(json!({ "spec": { "image": before } })).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    let now = cluster.get().await?;
    ensure!(status(&now.data) == "False", "evidence stands when the gateway is whole again: {:#}", now.data["status"]);
    forgive(&cluster).await?;
    cluster.kubectl_wait(CONDITION, FOUND_OUT).await?;
    namespace.discard().await
}

/// Has the only gateway replaced by one with this fault, and forgives what was seen before.
async fn become_broken(cluster: &ChatCluster, fault: &str) -> Result<()> {
    let image = format!("chatcluster.dev/chat-gateway:broken-{fault}");
    cluster.merge(json!({ "spec": { "image": image } })).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    // Now that nobody is connected to the one before.
    forgive(cluster).await
}

/// Says that everything that was seen so far is known.
async fn forgive(cluster: &ChatCluster) -> Result<()> {
    let now = format!("{:.0}", Timestamp::now());
    cluster.merge(json!({ "metadata": { "annotations": { "chatcluster.dev/delivery-cleared": now } } })).await.map(drop)
}

fn status(cluster: &Value) -> &str {
    let conditions = cluster["status"]["conditions"].as_array().into_iter().flatten();
    let mut found = conditions.filter(|condition| condition["type"] == CONDITION);
    found.next().and_then(|condition| condition["status"].as_str()).unwrap_or_default()
}
