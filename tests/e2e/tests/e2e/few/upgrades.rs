//! Another operator, which makes pods differently and brings other images, restarts nothing while people chat: there, back, and there again. What it would
//! change is told, and made when somebody approves of it, one part after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    ChatCluster, Namespace, World, manifest,
    pods::Part,
    tools::chart_folder,
    wait::{Seen, until},
};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::people::People;
use crate::shared::{READY_LIMIT, SETTLE_LIMIT, turn};

/// Excluded from the cluster-wide operator's work by `cargo xtask test`, which installs that one.
const NAMESPACE: &str = "e2e-upgrades";
const DEVICES: usize = 20;
/// Time in which an operator that was about to restart something would have done so.
const CALM: Duration = Duration::from_secs(5);
/// The parts in the order in which they are changed, and what `images` of the chart calls their images.
const PARTS: [(Part, &str); 4] =
    [(Part::Broker, "rabbitmq"), (Part::Cache, "redis"), (Part::Database, "postgresql"), (Part::Gateway, "gateway")];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn another_operator_restarts_nothing_until_somebody_approves() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, NAMESPACE).await?;
    helm(&world, "install", &[]).await?;
    let mut wanted = manifest::smallest("stays");
    wanted["spec"]["gateways"] = json!({
        "replicas": 2, "limits": { "messagesPerSecond": 10_000, "messageBurst": 10_000 },
        "rollout": { "waves": [10, 50, 100], "analysisSeconds": 5 },
    });
    let cluster = ChatCluster::apply(&world, NAMESPACE, &wanted).await?;
    cluster.wait_ready(READY_LIMIT).await?;
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    let people = People::gather(&cluster, DEVICES).await?;
    people
        .talk_during("an operator came, went and came again", there_back_and_there(&world, &cluster, &people))
        .await?;
    cluster.check_spec_is_the_users().await?;
    namespace.discard().await
}

async fn there_back_and_there(world: &World, cluster: &ChatCluster, people: &People) -> Result<()> {
    let (before, connections) = (pods(cluster).await?, people.connections());
    // The same images by other names: nothing is fetched, and every template differs.
    let mut images = Vec::new();
    for (part, name) in PARTS {
        images.push(format!("images.{name}={}", image_id(&cluster.ready_pods(part).await?)?));
    }
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    helm(world, "upgrade", &images).await?;
    let pending = pending(cluster, |pending| pending["count"] == 4).await?;
    println!("pending: {pending}");
    for (object, (_, name)) in pending["objects"].as_array().context("no objects")?.iter().zip(PARTS) {
        let changes = object["changes"].to_string();
        ensure!(changes.contains(".image\""), "nothing is said of the image of {name}: {object}");
    }
    same(cluster, &before).await?;
    helm(world, "upgrade", &[]).await?;
    self::pending(cluster, Value::is_null).await?;
    same(cluster, &before).await?;
    ensure!(people.connections() == connections, "somebody had to connect anew");
    println!("there and back: no pod restarted, nobody connected anew");

    helm(world, "upgrade", &images).await?;
    let again = self::pending(cluster, |pending| pending["count"] == 4).await?;
    ensure!(again["hash"] == pending["hash"], "the same operator would change something else: {again}");
    same(cluster, &before).await?;
    let (name, namespace) = (cluster.name.as_str(), cluster.namespace.as_str());
    let plugin = ["chat", "changes", name, "-n", namespace];
    let shown = world.kubectl(&plugin).await?;
    let hash = again["hash"].as_str().context("no hash")?;
    ensure!(shown.contains("spec.containers[redis].image") && shown.contains(&format!("--approve {hash}")), "{shown}");
    let approved = world.kubectl(&[plugin.as_slice(), &["--approve", hash]].concat()).await?;
    ensure!(approved.contains("are approved"), "{approved}");
    let logged = world.kubectl(&["chat", "logs", name, "-n", namespace, "--since", "1h"]).await?;
    ensure!(logged.lines().count() > 2 && logged.contains("-gateway-"), "{logged}");
    let waves = Mutex::new(BTreeSet::new());
    until("the changes to be made", 2 * SETTLE_LIMIT, || async {
        let status = cluster.get().await?.data["status"].clone();
        Ok(if status["pendingChanges"].is_null() && status["rollout"].is_object() {
            Seen::Yes(())
        } else {
            Seen::NotYet(format!("{} {}", status["pendingChanges"]["count"], status["rollout"]))
        })
    })
    .await?;
    until("the rollout to end", SETTLE_LIMIT, || async {
        let status = cluster.get().await?.data["status"].clone();
        let Some(wave) = status["rollout"]["wave"].as_i64() else { return Ok(Seen::Yes(())) };
        waves.lock().unwrap().insert(wave);
        Ok(Seen::NotYet(status["rollout"].to_string()))
    })
    .await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    println!("gateways were rolled out in waves {:?}", waves.into_inner().unwrap());
    let after = pods(cluster).await?;
    ensure!(after.keys().all(|uid| !before.contains_key(uid)), "a pod is as it was: {before:?}, {after:?}");
    // One part after the other.
    let mut made = Vec::new();
    for (part, _) in PARTS {
        let created = cluster.ready_pods(part).await?.into_iter().filter_map(|pod| pod.metadata.creation_timestamp);
        made.push(created.map(|time| time.0).min().context("no pod")?);
    }
    ensure!(made.is_sorted(), "not in their order: {made:?}");
    people.all_connected().await
}

/// Installs the operator of the namespace, or has it replaced; with these images, or its own.
async fn helm(world: &World, verb: &str, images: &[&str]) -> Result<()> {
    let chart = chart_folder("chat-operator");
    let mut what = vec![verb, "chat-operator", &chart, "--namespace", NAMESPACE, "--wait", "--timeout", "120s"];
    for set in ["scope=Namespace"].iter().chain(images) {
        what.extend(["--set", set]);
    }
    world.helm(&what).await?;
    Ok(())
}

/// The image by its digest.
fn image_id(pods: &[Pod]) -> Result<String> {
    let status = pods.first().and_then(|pod| pod.status.as_ref()).context("no pod")?;
    let id = status.container_statuses.iter().flatten().next().map(|container| container.image_id.clone());
    id.filter(|id| id.contains("sha256:")).context("an image without a digest")
}

/// Restarts of every pod's containers, by the pod's uid.
async fn pods(cluster: &ChatCluster) -> Result<BTreeMap<String, i32>> {
    let mut all = BTreeMap::new();
    for (part, _) in PARTS {
        for pod in cluster.pods(part).await? {
            let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
            all.insert(pod.uid().context("no uid")?, statuses.map(|container| container.restart_count).sum());
        }
    }
    Ok(all)
}

async fn same(cluster: &ChatCluster, before: &BTreeMap<String, i32>) -> Result<()> {
    tokio::time::sleep(CALM).await;
    let now = pods(cluster).await?;
    ensure!(now == *before, "pods were restarted: {before:?}, {now:?}");
    cluster.wait_ready(SETTLE_LIMIT).await?;
    Ok(())
}

/// Waits until `status.pendingChanges` is so.
async fn pending(cluster: &ChatCluster, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
    let is_so = &is_so;
    until("the operator to say what it would change", SETTLE_LIMIT, || async move {
        let pending = cluster.get().await?.data["status"]["pendingChanges"].clone();
        Ok(if is_so(&pending) { Seen::Yes(pending) } else { Seen::NotYet(pending.to_string()) })
    })
    .await
}
