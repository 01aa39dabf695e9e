//! New gateways that are broken, each in its own way, are taken back while people chat: `tests/broken-gateway` is the real gateway with a fault in it.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use e2e::{ChatCluster, Namespace, World, manifest, pods::Part};
use serde_json::json;

use super::{
    people::People,
    rollouts::{failed, revision},
};
use crate::shared::{READY_LIMIT, SETTLE_LIMIT, turn};

/// Devices that are connected: a twentieth of them is what a canary gets.
const DEVICES: usize = 40;
const CANARY: usize = DEVICES / 20;

/// A way to be broken, and what is to be said of it.
struct Bad {
    /// Of the image's tag.
    fault: &'static str,
    reason: &'static str,
    message: &'static str,
    /// Devices that may have met it.
    touched: usize,
}

const LOSES: Bad =
    Bad { fault: "drop", reason: "MessagesMissed", message: "of the messages from the store", touched: CANARY };
const SILENT: Bad =
    Bad { fault: "silent", reason: "ProgressDeadlineExceeded", message: "no answer within 2 s", touched: 0 };
const LATE: Bad = Bad { fault: "delay", reason: "DeliverySlow", message: "ms to new gateways", touched: CANARY };
const UNREADY: Bad = Bad { fault: "unready", reason: "ProgressDeadlineExceeded", message: "become ready", touched: 0 };

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn gateways_that_lose_messages_or_say_nothing_are_taken_back() -> Result<()> {
    take_back("e2e-bad-rollouts", &[LOSES, SILENT]).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn long_gateways_that_are_late_or_never_ready_are_taken_back() -> Result<()> {
    take_back("e2e-worse-rollouts", &[LATE, UNREADY]).await
}

async fn take_back(namespace: &str, all: &[Bad]) -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, namespace).await?;
    let mut wanted = manifest::smallest("bad");
    wanted["spec"]["gateways"] = json!({
        "replicas": 2,
        "drainSeconds": 20,
        "limits": { "messagesPerSecond": 10_000, "messageBurst": 10_000 },
        // The waves, the time of the analysis and its limits are those that everybody gets.
        "rollout": { "progressDeadlineSeconds": 30 },
    });
    let cluster = ChatCluster::apply(&world, &namespace.name, &wanted).await?;
    cluster.wait_ready(READY_LIMIT).await?;
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    let people = People::gather(&cluster, DEVICES).await?;
    let good = revision(&cluster).await?;
    let story = async {
        let mut before = None;
        for bad in all {
            before = Some(try_out(&cluster, &people, (&good, before.as_deref()), bad).await?);
        }
        Ok(())
    };
    people.talk_during("rollouts to broken gateways", story).await?;
    cluster.check_spec_is_the_users().await?;
    namespace.discard().await
}

/// Rolls out to `bad`, after the revision `last` failed; returns the revision that it was.
async fn try_out(
    cluster: &ChatCluster,
    people: &People,
    (good, last): (&str, Option<&str>),
    bad: &Bad,
) -> Result<String> {
    let (started, before) = (Instant::now(), people.connections());
    let image = format!("chatcluster.dev/chat-gateway:broken-{}", bad.fault);
    cluster.merge(json!({ "spec": { "image": image } })).await?;
    let told = failed(cluster, good, last).await?;
    println!("{}: taken back after {:.1} s: {told}", bad.fault, started.elapsed().as_secs_f64());
    let message = told["message"].as_str().unwrap_or_default();
    ensure!(told["reason"] == bad.reason && message.contains(bad.message), "{told}");
    people.all_connected().await?;
    let moves = people.moves_since(&before);
    let touched = moves.iter().filter(|moves| **moves > 0).count();
    println!("{touched} of {DEVICES} devices were touched");
    ensure!(touched <= bad.touched, "{touched} of {DEVICES} devices were touched: {moves:?}");
    ensure!(moves.iter().all(|moves| *moves <= 2), "there and back, and no more: {moves:?}");
    told["revision"].as_str().map(str::to_owned).context("a rollout without a revision")
}
