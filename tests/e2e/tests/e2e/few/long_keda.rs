//! `autoscaling.mode: External` with KEDA itself, built from its Go module and installed with its own manifests.

use std::{env, fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    ChatCluster, Namespace, World, manifest, metrics_apis,
    wait::{Seen, until},
};
use serde_json::Value;

use super::scaled::{EACH, changed, external, follows};
use crate::shared::turn;

/// KEDA looks for itself only 20 s after its start, and makes its certificates then.
const START_LIMIT: &str = "180s";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test --long"]
async fn keda_follows_the_connections() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let installed = install(&world).await?;
    let outcome = Box::pin(world.with_metrics_api(metrics_apis::LOAD, scales(&world))).await;
    let printed = world.kubectl_any(&["delete", "--ignore-not-found", "-f", "-"], Some(&installed)).await?;
    ensure!(printed.success, "KEDA cannot be removed: {}", printed.err);
    outcome
}

/// Installs KEDA; returns what was installed.
async fn install(world: &World) -> Result<String> {
    let folder = env::var_os("CHATCLUSTER_KEDA").filter(|folder| !folder.is_empty());
    let folder = folder.context("no KEDA: run this test by `cargo xtask test --only e2e --long`")?;
    let mut manifests = String::new();
    // Without the webhook, which is a third program.
    for part in ["general/namespace.yaml", "crd/bases", "service_account", "rbac", "manager", "metrics-server"] {
        for text in files(&Path::new(&folder).join(part))? {
            manifests += &format!("---\n{text}\n");
        }
    }
    let changes = [
        ("ghcr.io/kedacore/keda:latest", "chatcluster.dev/keda-operator:2"),
        ("ghcr.io/kedacore/keda-metrics-apiserver:latest", "chatcluster.dev/keda-adapter:2"),
        ("imagePullPolicy: Always", "imagePullPolicy: IfNotPresent"),
        ("            - /keda\n", "            - /keda-operator\n"),
        ("--enable-cert-rotation=true", "--enable-cert-rotation=true\n            - --enable-webhook-patching=false"),
    ];
    let manifests = changed(&manifests, &changes)?;
    world.kubectl_apply(&manifests).await?;
    for deployment in ["deployment/keda-operator", "deployment/keda-metrics-apiserver"] {
        world.kubectl(&["rollout", "status", deployment, "-n", "keda", "--timeout", START_LIMIT]).await?;
    }
    let api = "apiservice/v1beta1.external.metrics.k8s.io";
    world.kubectl(&["wait", api, "--for=condition=Available", "--timeout=60s"]).await?;
    Ok(manifests)
}

/// The manifests in a folder, or in one file.
fn files(path: &Path) -> Result<Vec<String>> {
    let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()));
    if !path.is_dir() {
        return Ok(vec![read(path)?]);
    }
    let entries = fs::read_dir(path).with_context(|| format!("failed to list {}", path.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.iter().filter(|path| !path.ends_with("kustomization.yaml")).map(|path| read(path)).collect()
}

async fn scales(world: &World) -> Result<()> {
    let namespace = Namespace::fresh(world, "e2e-keda").await?;
    let cluster = external(world, &namespace).await?;
    let scaler = scaler(&namespace.name)?;
    world.kubectl_apply(&scaler).await?;
    until("KEDA to be ready", Duration::from_secs(90), || async {
        let args = ["get", "scaledobject/demo", "-n", &namespace.name, "-o", "jsonpath={.status.conditions}"];
        let told = world.kubectl(&args).await?;
        let conditions: Value = serde_json::from_str(&told).unwrap_or_default();
        let mut conditions = conditions.as_array().into_iter().flatten();
        let ready = conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
        Ok(if ready { Seen::Yes(()) } else { Seen::NotYet(told) })
    })
    .await?;
    follows(&cluster, || connections(&cluster)).await?;
    // It has a finalizer, and KEDA is about to go.
    world.kubectl(&["delete", "scaledobject/demo", "-n", &namespace.name, "--timeout=60s"]).await?;
    namespace.discard().await
}

/// All that the documentation tells to make, but quicker and for fewer people.
fn scaler(namespace: &str) -> Result<String> {
    let documented = manifest::how_to("autoscale-gateways.md", "kind: ScaledObject")?;
    let changes = [
        ("namespace: chat\n", &*format!("namespace: {namespace}\n")),
        ("/namespaces/chat/", &format!("/namespaces/{namespace}/")),
        ("minReplicaCount: 2", "minReplicaCount: 1"),
        ("targetValue: \"7000\"", &format!("targetValue: \"{EACH}\"")),
        ("stabilizationWindowSeconds: 1800", "stabilizationWindowSeconds: 0"),
    ];
    changed(&documented, &changes)
}

/// Open connections, asked as a person would.
async fn connections(cluster: &ChatCluster) -> Result<Value> {
    let group = "/apis/metrics.chatcluster.dev/v1alpha1";
    let path = format!("{group}/namespaces/{}/chatclusters/{}", cluster.namespace, cluster.name);
    let load: Value = serde_json::from_str(&cluster.world.kubectl(&["get", "--raw", &path]).await?)?;
    Ok(load["connections"].to_string().into())
}
