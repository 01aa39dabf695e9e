//! The CRD as it is installed: what the derive makes, with the few things that it cannot say added, as YAML.

use kube::CustomResourceExt as _;
use serde_json::{Map, Value, json};

use crate::{ChatCluster, ShardRebalance, chat_cluster::DEFAULT_REPLICAS};

const HEADER: &str = "# Generated from the Rust types in crds/; write it anew with: cargo xtask codegen\n";

/// The definitions as JSON: that of ChatCluster, and that of ShardRebalance.
///
/// # Errors
/// The types' schema is no JSON: a defect.
pub fn crds() -> Result<[Value; 2], serde_json::Error> {
    let mut rebalance = serde_json::to_value(ShardRebalance::crd())?;
    tidy(&mut rebalance);
    unseen(&mut rebalance);
    rebalance["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] =
        json!("Slots that are to move between the shards of a ChatCluster while people chat.");
    Ok([crd()?, rebalance])
}

/// The definition of ChatCluster as JSON.
///
/// # Errors
/// As [`crds`].
pub fn crd() -> Result<Value, serde_json::Error> {
    let mut crd = serde_json::to_value(ChatCluster::crd())?;
    tidy(&mut crd);
    unseen(&mut crd);
    let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["description"] = json!(
        "A chat backend: gateways, the broker between them, Redis, and database shards; or one gateway that needs none of these."
    );
    let gateways = &mut schema["properties"]["spec"]["properties"]["gateways"];
    // The only default of the spec: the scale subresource answers 500 while the field it reads is absent, and with it every autoscaler.
    gateways["default"] = json!({});
    gateways["properties"]["replicas"]["default"] = json!(DEFAULT_REPLICAS);
    bound(gateways);
    Ok(crd)
}

/// The status of an object that the operator has not seen yet: about no generation. kstatus, and with it Flux, would take an object without a status
/// for one that is as its spec says.
fn unseen(crd: &mut Value) {
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["default"] =
        json!({ "observedGeneration": -1 });
}

/// Each definition as a file for `kubectl apply`, as a template of the CRD chart, and as a reference page.
///
/// # Errors
/// As [`crds`], or the YAML writer's.
pub fn files() -> Result<Vec<(String, String)>, Box<dyn std::error::Error>> {
    let mut files = Vec::new();
    for plain in crds()? {
        let plural = plain["spec"]["names"]["plural"].as_str().unwrap_or_default();
        let singular = plain["spec"]["names"]["singular"].as_str().unwrap_or_default();
        let mut kept = plain.clone();
        // Helm would take every object away with the chart.
        kept["metadata"]["annotations"] = json!({ "helm.sh/resource-policy": "keep" });
        let yaml = |value: &Value| -> Result<String, serde_yaml_ng::Error> {
            Ok(format!("{HEADER}{}", serde_yaml_ng::to_string(value)?))
        };
        files.push((format!("crds/yaml/{plural}.yaml"), yaml(&plain)?));
        // Nothing in it is a template; the braces of CEL messages would be taken for one.
        let template = yaml(&kept)?.replace("{{", "{{ \"{{\" }}");
        files.push((format!("charts/chat-operator-crds/templates/{plural}.yaml"), template));
        files.push((format!("docs/reference/{singular}.md"), crate::reference::page(&plain)));
    }
    Ok(files)
}

/// Bounds what Kubernetes' own types in a pod template leave open, so that the cost of rules stays small and every list says how it merges.
fn bound(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let kind = map.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
            if kind == "string" && !["maxLength", "enum", "format"].iter().any(|known| map.contains_key(*known)) {
                map.insert("maxLength".into(), json!(1_024));
            }
            if kind == "array" && map.contains_key("items") {
                map.entry("maxItems").or_insert(json!(64));
                map.entry("x-kubernetes-list-type").or_insert(json!("atomic"));
            }
            if map.contains_key("additionalProperties") {
                map.entry("maxProperties").or_insert(json!(64));
            }
            map.values_mut().for_each(bound);
        }
        Value::Array(items) => items.iter_mut().for_each(bound),
        _ => {}
    }
}

/// Takes out what the API server does not know or need: unsigned formats, and `nullable` (a null is dropped, not kept).
fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            tidy_schema(map);
            map.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn tidy_schema(map: &mut Map<String, Value>) {
    if map.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
        map.remove("format");
    }
    if map.get("nullable") == Some(&Value::Bool(true)) {
        map.remove("nullable");
    }
    // Optional enums come out with a null among their values.
    if let Some(Value::Array(values)) = map.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
}
