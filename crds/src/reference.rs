//! The reference page of the manifest, out of the schema.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{chat_cluster::ConditionType, shard_rebalance::RebalanceState};

const HEAD: &str = "<!-- Generated from the Rust types in crds/; write it anew with: cargo xtask codegen -->
# ChatCluster

`chatcluster.dev/v1alpha1`, namespaced, short name `cc`. Absent fields have the meaning that their description gives; the values in force stand in
`status.effective`. Nothing is written into `spec` by the operator, so `kubectl diff` and GitOps see only what people changed. `kubectl scale` and
autoscalers write `spec.gateways.replicas`.

";

const HEAD_OF_REBALANCE: &str = "<!-- Generated from the Rust types in crds/; write it anew with: cargo xtask codegen -->
# ShardRebalance

`chatcluster.dev/v1alpha1`, namespaced, short name `srb`. The operator makes one when the shards of a [ChatCluster](chatcluster.md) or their weights
change, names it after the ChatCluster, and never writes its `spec` again: approving, pausing and aborting are for people and their tools. How to work with
it stands in [Rebalance shards](../how-to/rebalance-shards.md).

";

const CONDITIONS: &str = "## Conditions

Each is always present, with `observedGeneration`; a status that is not known yet is `Unknown`.

| type | True means |
| --- | --- |
";

const CONDITIONS_OF_REBALANCE: &str = "## Conditions

`Ready` is True when nothing is left to do: `Completed` or `Superseded`. `Reconciling` is True while slots move or moves are undone. `Stalled` is True when it ended otherwise:
`Aborted` or `Failed`. The reason of `Ready` is how it stands:

| reason | meaning |
| --- | --- |
";

/// The page of a definition as Markdown.
#[must_use]
pub fn page(crd: &Value) -> String {
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let is_rebalance = crd["spec"]["names"]["kind"] == "ShardRebalance";
    let mut page = if is_rebalance { HEAD_OF_REBALANCE } else { HEAD }.to_owned();
    for part in ["spec", "status"] {
        let _ = write!(page, "## {part}\n\n| field | type | description |\n| --- | --- | --- |\n");
        rows(&schema[part], part, &mut page);
        page.push('\n');
    }
    page.push_str(if is_rebalance { CONDITIONS_OF_REBALANCE } else { CONDITIONS });
    if is_rebalance {
        for state in RebalanceState::ALL {
            let _ = writeln!(page, "| `{}` | {} |", state.as_str(), state.meaning());
        }
    } else {
        for condition in ConditionType::ALL {
            let _ = writeln!(page, "| `{}` | {} |", condition.as_str(), condition.meaning());
        }
    }
    page.push_str("\n## Rules\n\n");
    rules(&schema["spec"], &mut page);
    rules(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut page);
    page
}

fn rows(schema: &Value, path: &str, page: &mut String) {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let here = format!("{path}.{name}");
        let mark = if required.contains(&name.as_str()) { ", required" } else { "" };
        let text = field["description"].as_str().unwrap_or_default().replace('|', "\\|").replace('\n', " ");
        let _ = writeln!(page, "| `{here}` | {}{mark} | {text} |", kind(field));
        // Kubernetes documents its own types better than a table could.
        if ["affinity", "topologySpreadConstraints", "tolerations"].contains(&name.as_str()) {
            continue;
        }
        if field["type"] == "array" {
            rows(&field["items"], &format!("{here}[]"), page);
        } else {
            rows(field, &here, page);
        }
    }
}

fn kind(field: &Value) -> String {
    if let Some(values) = field["enum"].as_array() {
        return values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" \\| ");
    }
    let name = field["type"].as_str().unwrap_or("quantity");
    // The schema holds every bound as a float; written out, a whole one is an integer again.
    match (field["minimum"].as_f64(), field["maximum"].as_f64()) {
        (Some(least), Some(most)) => format!("{name}, {least} to {most}"),
        _ if field["format"] == "date-time" => "time".into(),
        _ => name.into(),
    }
}

fn rules(schema: &Value, page: &mut String) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let _ = writeln!(page, "- {}", rule["message"].as_str().unwrap_or_default());
    }
    for field in schema["properties"].as_object().into_iter().flat_map(|properties| properties.values()) {
        rules(field, page);
        rules(&field["items"], page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_written_as_people_write_them() {
        let kind =
            |least: f64, most: f64| kind(&serde_json::json!({ "type": "integer", "minimum": least, "maximum": most }));
        assert_eq!(kind(0.0, 1_000_000.0), "integer, 0 to 1000000");
        assert_eq!(kind(0.5, 2.0), "integer, 0.5 to 2");
    }
}
