//! The contenders' objects: a ChatCluster whose engines are elsewhere, and a Deployment with a HorizontalPodAutoscaler.

use anyhow::{Context as _, Result};
use chat_crds::keys::label;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams, TypeMeta},
    core::GroupVersionKind,
};
use serde_json::{Value, json};

use crate::gateway::SHARD;

/// Name of every object of a contender.
pub(crate) const NAME: &str = "chat";
/// The metric that the HorizontalPodAutoscaler reads.
pub(crate) const METRIC: &str = "connections";

/// Where gateways have their limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Connections that fit one.
    pub(crate) capacity: u32,
    /// Percent of them that gateways are to have.
    pub(crate) target: u32,
    /// Fewest gateways.
    pub(crate) least: u32,
    /// Most gateways.
    pub(crate) most: u32,
    /// Seconds for which fewer must have been enough, of the operator and of the HorizontalPodAutoscaler.
    pub(crate) windows: (u32, u32),
}

/// Writes an object, wherever it was made from.
///
/// # Errors
/// The API server refuses it.
pub(crate) async fn apply(client: &Client, object: &Value) -> Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let types = TypeMeta { api_version: text(&object["apiVersion"]), kind: text(&object["kind"]) };
    let kind = GroupVersionKind::try_from(&types)?;
    let resource = ApiResource::from_gvk(&kind);
    let name = text(&object["metadata"]["name"]);
    let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    api.patch(&name, &PatchParams::apply("scaling").force(), &Patch::Apply(object))
        .await
        .with_context(|| format!("failed to write {} {name}", types.kind))?;
    Ok(())
}

/// A namespace.
pub(crate) fn namespace(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } })
}

/// The Secret by which a ChatCluster finds engines that nobody asks here.
pub(crate) fn engines(namespace: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": "engines", "namespace": namespace },
        "stringData": {
            "broker": "amqp://user:simulated@broker.invalid:5672/",
            "cache": "redis://:simulated@cache.invalid:6379",
            "gateway": "postgresql://chat_gateway:simulated@shard.invalid/chat",
            "migration": "postgresql://owner:simulated@shard.invalid/chat",
        },
    })
}

/// A ChatCluster with these gateways.
pub(crate) fn chat_cluster(namespace: &str, name: &str, gateways: &Value) -> Value {
    json!({
        "apiVersion": "chatcluster.dev/v1alpha1",
        "kind": "ChatCluster",
        "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "gateways": gateways,
            "broker": { "rabbitmq": { "uriSecretRef": { "name": "engines", "key": "broker" } } },
            "redis": { "urlSecretRef": { "name": "engines", "key": "cache" } },
            "database": { "shards": [{
                "name": SHARD,
                "urlSecretRef": { "name": "engines", "key": "gateway", "migrationKey": "migration" },
            }] },
        },
    })
}

/// Gateways whose number the operator decides.
pub(crate) fn native(bounds: Bounds) -> Value {
    json!({
        "connectionsPerGateway": bounds.capacity,
        "autoscaling": {
            "mode": "Native",
            "minReplicas": bounds.least,
            "maxReplicas": bounds.most,
            "targetUtilization": bounds.target,
            "scaleDown": { "windowSeconds": bounds.windows.0 },
        },
    })
}

/// A Deployment of gateways.
pub(crate) fn deployment(namespace: &str) -> Value {
    let labels = json!({ label::COMPONENT: label::GATEWAY, "app": NAME });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": NAME, "namespace": namespace },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": "gateway", "image": "simulated" }] },
            },
        },
    })
}

/// Its HorizontalPodAutoscaler: everything as Kubernetes has it by default, but for the window.
pub(crate) fn autoscaler(namespace: &str, bounds: Bounds) -> Value {
    json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": { "name": NAME, "namespace": namespace },
        "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": NAME },
            "minReplicas": bounds.least,
            "maxReplicas": bounds.most,
            "metrics": [{
                "type": "Pods",
                "pods": {
                    "metric": { "name": METRIC },
                    "target": { "type": "AverageValue", "averageValue": (bounds.capacity * bounds.target / 100).to_string() },
                },
            }],
            "behavior": { "scaleDown": { "stabilizationWindowSeconds": bounds.windows.1 } },
        },
    })
}
