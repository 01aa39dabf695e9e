//! The Service of the metrics APIs leads to the replica that knows something: the one that leads, by a label on its pod.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::Leading;
use crate::names::{FIELD_MANAGER, label};

/// Pause between two tries.
const RETRY: Duration = Duration::from_secs(2);

/// Takes the mark off this replica's pod, which an earlier process in it may have left, and sets it once this one leads. Never returns.
pub(super) async fn mark(client: &Client, namespace: &str, pod: &str, leading: &Leading) {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    write(&pods, pod, Value::Null).await;
    leading.wait().await;
    write(&pods, pod, json!("true")).await;
    std::future::pending().await
}

async fn write(pods: &Api<Pod>, pod: &str, value: Value) {
    let patch = Patch::Merge(json!({ "metadata": { "labels": { label::LEADER: value } } }));
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    while let Err(error) = pods.patch(pod, &params, &patch).await {
        tracing::warn!(pod, %error, "failed to mark which replica leads; trying again");
        tokio::time::sleep(RETRY).await;
    }
}
