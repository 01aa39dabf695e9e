//! The node loses its power: the operator, the gateways, their backends and Kubernetes itself end at one moment, and come back by themselves.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use chat_test_client::load::Load;
use e2e::{
    ChatCluster,
    breaking::reboot,
    wait::{Seen, until},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::shared::{SETTLE_LIMIT, shared};

/// Paced, so that some are under way at the moment of the power cut.
const LOAD: Load = Load { messages: 3_000, in_flight: 64, body_bytes: 200, per_second: 500 };
/// Times in conditions are in whole seconds.
const SECOND: SignedDuration = SignedDuration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn long_a_node_that_loses_its_power_comes_back_with_everything() -> Result<()> {
    let cluster = shared().await?;
    let generation = cluster.get().await?.metadata.generation;
    let headline = "the node lost its power";
    let verdict = crate::under_load::under_load(&cluster, 20, LOAD, headline, |cluster, progress| async move {
        let (began, clock) = (Timestamp::now(), Instant::now());
        let acked = progress.acked();
        reboot().await?;
        println!("Kubernetes is back after {:.1} s", clock.elapsed().as_secs_f64());
        let unready = wait_told(&cluster, "False", began).await?;
        let reason = &unready["reason"];
        println!("the status says so after {:.1} s: {reason}: {}", clock.elapsed().as_secs_f64(), unready["message"]);
        // True again, and not still.
        wait_told(&cluster, "True", began).await?;
        println!("Ready after {:.1} s", clock.elapsed().as_secs_f64());
        ensure!(acked < LOAD.messages, "the load was over before the node went down");
        Ok(())
    })
    .await?;
    ensure!(verdict.counts.connections > 4, "no client had to connect again\n{verdict}");
    ensure!(cluster.get().await?.metadata.generation == generation, "somebody wrote the spec");
    Ok(())
}

/// Waits until Ready is so, and has become so after `since`; returns the condition.
async fn wait_told(cluster: &ChatCluster, status: &str, since: Timestamp) -> Result<Value> {
    until(format!("Ready={status} since the power cut"), SETTLE_LIMIT, || async {
        let object = cluster.get().await?;
        let conditions = object.data["status"]["conditions"].as_array().context("no conditions")?;
        let ready = conditions.iter().find(|condition| condition["type"] == "Ready").context("no Ready")?;
        let when: Timestamp = ready["lastTransitionTime"].as_str().unwrap_or_default().parse()?;
        let is_so = ready["status"] == status && when + SECOND > since;
        Ok(if is_so { Seen::Yes(ready.clone()) } else { Seen::NotYet(ready.to_string()) })
    })
    .await
}
