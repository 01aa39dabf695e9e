//! `autoscaling.mode: External` with Kubernetes' own autoscaler, which asks the operator for connections through the API server.

use anyhow::{Context as _, Result};
use e2e::{ChatCluster, Namespace, World, manifest, metrics_apis};
use serde_json::Value;

use super::scaled::{EACH, changed, external, follows};
use crate::shared::turn;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn kubernetes_own_autoscaler_follows_the_connections() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    Box::pin(world.with_metrics_api(metrics_apis::CUSTOM, scales(&world))).await
}

async fn scales(world: &World) -> Result<()> {
    let namespace = Namespace::fresh(world, "e2e-hpa").await?;
    let cluster = external(world, &namespace).await?;
    world.kubectl_apply(&autoscaler(&namespace.name)?).await?;
    follows(&cluster, || connections(&cluster)).await?;
    namespace.discard().await
}

/// The one of the documentation, but quicker and for fewer people.
fn autoscaler(namespace: &str) -> Result<String> {
    let documented = manifest::how_to("autoscale-gateways.md", "kind: HorizontalPodAutoscaler")?;
    let autoscaler = documented.split("---\n").find(|document| document.contains("kind: HorizontalPodAutoscaler"));
    let changes = [
        ("namespace: chat\n", &*format!("namespace: {namespace}\n")),
        ("minReplicas: 2", "minReplicas: 1"),
        ("averageValue: \"7000\"", &format!("averageValue: \"{EACH}\"")),
        ("stabilizationWindowSeconds: 1800", "stabilizationWindowSeconds: 0"),
        ("value: 1\n", "value: 3\n"),
        ("periodSeconds: 300", "periodSeconds: 15"),
    ];
    changed(autoscaler.context("no autoscaler in it")?, &changes)
}

/// Open connections, asked as a person would.
async fn connections(cluster: &ChatCluster) -> Result<Value> {
    let group = "/apis/custom.metrics.k8s.io/v1beta2";
    let path =
        format!("{group}/namespaces/{}/chatclusters.chatcluster.dev/{}/connections", cluster.namespace, cluster.name);
    let list: Value = serde_json::from_str(&cluster.world.kubectl(&["get", "--raw", &path]).await?)?;
    Ok(list["items"][0]["value"].clone())
}
