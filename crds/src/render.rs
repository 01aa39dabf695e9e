//! The CRD as it is installed: what the derive makes, with the few things that it cannot say added, as YAML.

use kube::CustomResourceExt as _;
use serde_json::{Map, Value, json};

use crate::ChatCluster;

const HEADER: &str = "# Generated from the Rust types in crds/; write it anew with: cargo xtask codegen\n";

/// The CRD as JSON.
///
/// # Errors
/// The types' schema is no JSON: a defect.
pub fn crd() -> Result<Value, serde_json::Error> {
    let mut crd = serde_json::to_value(ChatCluster::crd())?;
    tidy(&mut crd);
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] =
        json!("A chat backend: gateways, the broker between them, Redis, and database shards.");
    Ok(crd)
}

/// The CRD as a file for `kubectl apply`, as the template of the CRD chart, and as the reference page.
///
/// # Errors
/// As [`crd`], or the YAML writer's.
pub fn files() -> Result<[(&'static str, String); 3], Box<dyn std::error::Error>> {
    let plain = crd()?;
    let mut kept = plain.clone();
    // Helm would take every ChatCluster away with the chart.
    kept["metadata"]["annotations"] = json!({ "helm.sh/resource-policy": "keep" });
    let yaml = |value: &Value| -> Result<String, serde_yaml_ng::Error> { Ok(format!("{HEADER}{}", serde_yaml_ng::to_string(value)?)) };
    Ok([
        ("crds/yaml/chatclusters.yaml", yaml(&plain)?),
        // Nothing in it is a template; the braces of CEL messages would be taken for one.
        ("charts/chat-operator-crds/templates/chatclusters.yaml", yaml(&kept)?.replace("{{", "{{ \"{{\" }}")),
        ("docs/reference/chatcluster.md", crate::reference::page(&plain)),
    ])
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
