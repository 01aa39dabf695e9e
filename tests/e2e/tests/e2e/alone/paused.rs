//! `spec.paused`: nothing of the ChatCluster is written until it ends, and the status counts what waits.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    ChatCluster, Namespace, World,
    chat_cluster::{condition, summary},
    children::title,
    manifest,
    pods::Part,
    wait::{Seen, until},
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::{Api, api::DeleteParams};
use serde_json::json;

use crate::shared::{SETTLE_LIMIT, turn};

const NAMESPACE: &str = "e2e-paused";
const PENDING: (&str, &str) = ("False", "ChangesPending");
/// A pass takes well under a second.
const NOTICE: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn nothing_is_written_while_it_is_paused() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, NAMESPACE).await?;
    let before = namespace.furnished().await?;
    // The one with the fewest programs: all that counts here is what the operator writes.
    let mut manifest = manifest::embedded_for_load()?;
    manifest["spec"]["paused"] = json!(true);
    let cluster = ChatCluster::apply(&world, NAMESPACE, &manifest).await?;
    cluster.wait_reason("Ready", PENDING, NOTICE).await?;
    let found = world.inventory(NAMESPACE).await?;
    let added: Vec<_> = found.difference(&before).filter(|title| !title.starts_with("ChatCluster/")).collect();
    ensure!(added.is_empty(), "made while paused: {added:?}");
    ensure!(world.operator_child_writes(NAMESPACE).await? < 0.5, "the operator counted a write");

    pause(&cluster, false).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    ensure!(world.operator_child_writes(NAMESPACE).await? > 4.5, "Ready without a write that was counted");

    pause(&cluster, true).await?;
    cluster.wait_reason("Reconciling", ("False", "Paused"), NOTICE).await?;
    // Nothing waits, so it is as ready as it was.
    cluster.wait_ready(NOTICE).await?;
    let (children, writes) = (children(&cluster).await?, world.operator_child_writes(NAMESPACE).await?);
    cluster.kubectl_scale(0).await?;
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(world.client.clone(), NAMESPACE);
    let budget = format!("{}-gateway", cluster.name);
    budgets.delete(&budget, &DeleteParams::default()).await?;
    counted(&cluster, 2).await?;
    let mut expected = children.clone();
    expected.remove(&format!("PodDisruptionBudget/{budget}")).context("there was no budget")?;
    ensure!(self::children(&cluster).await? == expected, "children changed while paused");
    ensure!((world.operator_child_writes(NAMESPACE).await? - writes).abs() < 0.5, "the operator counted a write");
    ensure!(cluster.ready_pods(Part::Gateway).await?.len() == 1, "the gateway has gone");

    pause(&cluster, false).await?;
    cluster.wait_pods(Part::Gateway, 0, SETTLE_LIMIT).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    budgets.get(&budget).await.context("the budget was not made anew")?;
    namespace.discard().await
}

async fn pause(cluster: &ChatCluster, on: bool) -> Result<()> {
    cluster.merge(json!({ "spec": { "paused": on } })).await?;
    Ok(())
}

/// Waits until the status says that so many writes wait.
async fn counted(cluster: &ChatCluster, pending: usize) -> Result<()> {
    let words = format!("{pending} changes wait");
    until(format!("«{words}»"), NOTICE, || async {
        let object = cluster.wait_reason("Ready", PENDING, NOTICE).await?;
        let told = condition(&object, "Ready")
            .is_some_and(|ready| ready["message"].as_str().is_some_and(|message| message.contains(&words)));
        Ok(if told { Seen::Yes(()) } else { Seen::NotYet(summary(&object)) })
    })
    .await
}

/// Generation, or the version of what has none, of every child: what its spec says, not what became of it.
async fn children(cluster: &ChatCluster) -> Result<BTreeMap<String, String>> {
    let children = cluster.children().await?.into_iter().map(|child| {
        let version = child.metadata.generation.map(|generation| generation.to_string());
        (title(&child), version.or(child.metadata.resource_version).unwrap_or_default())
    });
    Ok(children.collect())
}
