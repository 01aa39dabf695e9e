//! Rules C1 to C4: children that belong to their ChatCluster and go with it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chat_test_client::is_long;
use e2e::{
    children::{CLUSTER_LABEL, title},
    pods::Part,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt as _, api::DeleteParams};
use serde_json::json;

use crate::shared::{own, shared};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn c1_every_child_has_one_controller() -> Result<()> {
    let cluster = shared().await?;
    let object = cluster.get().await?;
    let uid = object.metadata.uid.clone();
    let own = object.metadata.finalizers.unwrap_or_default();
    ensure!(own.is_empty(), "finalizers without outside state to undo: {own:?}");
    for child in cluster.children().await? {
        let finalizers = child.metadata.finalizers.clone().unwrap_or_default();
        ensure!(finalizers.is_empty(), "{} waits for {finalizers:?}", title(&child));
        let owners = child.metadata.owner_references.clone().unwrap_or_default();
        // Under Retain the credentials of a shard stay with its data, so they belong to nobody.
        if title(&child).contains("-shard-") && title(&child).starts_with("Secret/") {
            ensure!(owners.is_empty(), "{} would be deleted with the cluster: {owners:?}", title(&child));
            continue;
        }
        ensure!(owners.len() == 1, "{} has {} owners", title(&child), owners.len());
        let owner = &owners[0];
        ensure!(Some(&owner.uid) == uid.as_ref() && owner.kind == "ChatCluster", "{}: {owner:?}", title(&child));
        ensure!(
            owner.controller == Some(true) && owner.block_owner_deletion == Some(true),
            "{}: {owner:?}",
            title(&child)
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn c3_no_child_is_made_while_the_cluster_is_being_deleted() -> Result<()> {
    let (namespace, cluster) = own("e2e-c3", "held").await?;
    let name = cluster.gateway_deployment().await?.name_any();
    cluster.merge(json!({ "metadata": { "finalizers": ["e2e.chatcluster.dev/hold"] } })).await?;
    cluster.api().delete(&cluster.name, &DeleteParams::foreground()).await?;
    let hold = Duration::from_secs(if is_long() { 60 } else { 20 });
    let config: Api<ConfigMap> = Api::namespaced(cluster.world.client.clone(), &cluster.namespace);
    // Foreground deletion may have taken it already.
    if let Err(error) = config.delete(&name, &DeleteParams::default()).await {
        ensure!(error.to_string().contains("not found"), "{error}");
    }
    let deadline = tokio::time::Instant::now() + hold;
    let mut last = usize::MAX;
    while tokio::time::Instant::now() < deadline {
        let count = cluster.children().await?.len();
        ensure!(count <= last, "children went from {last} to {count} during the deletion");
        last = count;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    ensure!(config.get_opt(&name).await?.is_none(), "the ConfigMap came back during the deletion");
    cluster.merge(json!({ "metadata": { "finalizers": null } })).await?;
    namespace.discard().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn c4_every_child_and_pod_has_the_recommended_labels() -> Result<()> {
    let cluster = shared().await?;
    let mut labelled = Vec::new();
    for child in cluster.children().await? {
        let version = child.labels().get("app.kubernetes.io/version").map_or("", String::as_str);
        ensure!(!version.is_empty(), "{} has no version", title(&child));
        labelled.push((title(&child), child.metadata.labels));
    }
    // Pods carry no version: a new operator must not restart them only to change a label.
    for part in [Part::Gateway, Part::Broker, Part::Cache, Part::Database] {
        let pods = cluster.pods(part).await?;
        ensure!(!pods.is_empty(), "no pod of {part:?}");
        labelled.extend(pods.into_iter().map(|pod| (format!("a pod of {part:?}"), pod.metadata.labels)));
    }
    for (title, labels) in labelled {
        let labels = labels.with_context(|| format!("{title} has no labels"))?;
        let label = |key: &str| labels.get(&format!("app.kubernetes.io/{key}")).map_or("", String::as_str);
        for key in ["name", "component"] {
            ensure!(!label(key).is_empty(), "{title} has no {key}: {labels:?}");
        }
        let fixed = [label("instance"), label("part-of"), label("managed-by"), &labels[CLUSTER_LABEL]];
        ensure!(fixed == [&cluster.name, "chatcluster", "chat-operator", &cluster.name], "{title}: {labels:?}");
    }
    Ok(())
}
