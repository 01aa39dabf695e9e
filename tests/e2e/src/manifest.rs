//! Manifests: the examples of the docs, and what tests change in them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// The documented quickstart, word for word, as an object.
///
/// # Errors
/// The file is missing or holds no ChatCluster.
pub fn quickstart() -> Result<Value> {
    example("quickstart.yaml")
}

/// The documented gateways over engines that run already, word for word.
///
/// # Errors
/// The file is missing or holds no ChatCluster.
pub fn external_backends() -> Result<Value> {
    example("external-backends.yaml")
}

/// Paths of all examples.
///
/// # Errors
/// The folder cannot be read.
pub fn examples() -> Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples");
    let entries = std::fs::read_dir(&folder).with_context(|| format!("failed to list {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// The code blocks of a page in `docs/how-to` that have a text in them, one after the other.
///
/// # Errors
/// The page is missing, or none has.
pub fn how_to(page: &str, text: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/how-to").join(page);
    let whole = std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    // Between pairs of fences.
    let blocks = whole.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("yaml\n"));
    let found: Vec<&str> = blocks.filter(|block| block.contains(text)).collect();
    anyhow::ensure!(!found.is_empty(), "{} has no block with {text:?}", path.display());
    Ok(found.join("---\n"))
}

fn example(file: &str) -> Result<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples").join(file);
    let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let documents = serde_yaml_ng::Deserializer::from_str(&text).map(serde::de::Deserialize::deserialize);
    documents
        .collect::<Result<Vec<Value>, _>>()?
        .into_iter()
        .find(|document| document["kind"] == "ChatCluster")
        .with_context(|| format!("{} holds no ChatCluster", path.display()))
}

/// The quickstart with two gateways and limits that let two people send as fast as the gateways answer.
///
/// # Errors
/// See [`quickstart`].
pub fn for_load() -> Result<Value> {
    let mut manifest = quickstart()?;
    manifest["spec"]["gateways"]["replicas"] = json!(2);
    manifest["spec"]["gateways"]["limits"] = limits_for_load();
    manifest["spec"]["gateways"]["rollout"] = short_rollout();
    Ok(manifest)
}

/// The documented gateways over an Apache Kafka that runs already, `server` being its address, with the same limits.
///
/// # Errors
/// The file is missing or holds no ChatCluster.
pub fn kafka_for_load(server: &str) -> Result<Value> {
    let mut manifest = example("kafka.yaml")?;
    manifest["spec"]["broker"]["kafka"]["bootstrapServers"] = json!([server]);
    manifest["spec"]["gateways"]["limits"] = limits_for_load();
    manifest["spec"]["gateways"]["rollout"] = short_rollout();
    Ok(manifest)
}

/// The documented gateway that needs nothing else, with the same limits.
///
/// # Errors
/// The file is missing or holds no ChatCluster.
pub fn embedded_for_load() -> Result<Value> {
    let mut manifest = example("embedded.yaml")?;
    manifest["spec"]["gateways"]["limits"] = limits_for_load();
    manifest["spec"]["gateways"]["rollout"] = short_rollout();
    Ok(manifest)
}

/// With the usual minute of analysis after each wave, tests that are about something else would wait for minutes.
fn short_rollout() -> Value {
    json!({ "waves": [50, 100], "analysisSeconds": 2 })
}

fn limits_for_load() -> Value {
    json!({ "messagesPerSecond": 10_000, "messageBurst": 10_000 })
}

/// One gateway and one shard: the cheapest cluster, for tests that need one of their own.
#[must_use]
pub fn smallest(name: &str) -> Value {
    json!({
        "apiVersion": "chatcluster.dev/v1alpha1",
        "kind": "ChatCluster",
        "metadata": { "name": name },
        "spec": {
            "gateways": { "replicas": 1 },
            "broker": { "rabbitmq": { "managed": {} } },
            "redis": { "managed": {} },
            "database": { "shards": [{ "name": "a", "managed": { "storage": { "size": "1Gi" } } }] },
        },
    })
}

/// The health script for Argo CD of one of our kinds, out of the patch that the docs have for its ConfigMap.
///
/// # Errors
/// The file is missing or has none.
pub fn argo_cd_script(kind: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gitops/argocd-cm.yaml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let patch: Value = serde_yaml_ng::from_str(&text)?;
    let script = patch["data"][format!("resource.customizations.health.chatcluster.dev_{kind}")].as_str();
    Ok(script.with_context(|| format!("{} has no script for {kind}", path.display()))?.to_owned())
}
