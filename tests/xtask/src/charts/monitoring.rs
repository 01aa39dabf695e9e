//! What the operator's chart tells a Prometheus: which pods it reads at which port, the labels that alerts and dashboards sum by, and the alerts themselves.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_yaml_ng::Value;

use crate::paths;

/// Kinds that a cluster without the Prometheus Operator does not have.
const KINDS: [&str; 2] = ["PodMonitor", "PrometheusRule"];
const API_VERSION: &str = "monitoring.coreos.com/v1";

/// Name of the release that is rendered.
const RELEASE: &str = "check";

/// A label of `monitoring.labels` that is rendered.
pub(super) const LABEL: (&str, &str) = ("release", "x");

const RULES: &str = "charts/chat-operator/files/rules.yaml";

/// Objects as the operator makes them: pods of gateways as a PodMonitor has to find them.
const GATEWAYS: &str = "operator/tests/golden/minimal.snap";

/// What gateways' metrics get from their pods: the label of the metric, and the pod's label that it is taken from.
const TAKEN: [(&str, &str); 2] = [("name", "chatcluster.dev/cluster"), ("revision", "chatcluster.dev/revision")];

/// Everything is there, and right.
pub(super) fn check(rendered: &[Value]) -> Result<()> {
    operator(rendered).context("the PodMonitor of the operator")?;
    gateways(rendered).context("the PodMonitor of the gateways")?;
    rules(rendered).context("the PrometheusRule")?;
    let count = of_kinds(rendered).count();
    ensure!(count == 3, "{count} objects are for a Prometheus, and 3 are checked");
    // By labels a Prometheus finds what it is to read.
    let (label, value) = LABEL;
    let lacks = of_kinds(rendered).find(|object| object["metadata"]["labels"][label] != value);
    ensure!(lacks.is_none(), "monitoring.labels.{label}={value} is not on {:?}", lacks.map(|object| &object["kind"]));
    Ok(())
}

/// Nothing that needs the Prometheus Operator's definitions is there unless asked for.
pub(super) fn check_off(rendered: &[Value]) -> Result<()> {
    let count = of_kinds(rendered).count();
    ensure!(count == 0, "{count} objects of {KINDS:?} are rendered, which nobody asked for");
    Ok(())
}

fn operator(rendered: &[Value]) -> Result<()> {
    let endpoint = endpoint(named(rendered, "PodMonitor", RELEASE)?)?;
    // Without it the namespace of a ChatCluster would become that of the operator.
    ensure!(
        endpoint["honorLabels"] == true,
        "honorLabels is not true: metrics of a ChatCluster would lose its namespace"
    );
    let deployment = named(rendered, "Deployment", RELEASE)?;
    let selector = &named(rendered, "PodMonitor", RELEASE)?["spec"]["selector"]["matchLabels"];
    finds(selector, &endpoint["port"], &deployment["spec"]["template"])
}

fn gateways(rendered: &[Value]) -> Result<()> {
    let monitor = named(rendered, "PodMonitor", &format!("{RELEASE}-gateways"))?;
    let endpoint = endpoint(monitor)?;
    // Gateways are in the namespaces of their ChatClusters.
    ensure!(monitor["spec"]["namespaceSelector"]["any"] == true, "it looks into one namespace only");
    let pods = gateway_pods()?;
    ensure!(!pods.is_empty(), "{GATEWAYS} has no Deployment");
    for template in &pods {
        finds(&monitor["spec"]["selector"]["matchLabels"], &endpoint["port"], template)?;
    }
    let relabelings = endpoint["relabelings"].as_sequence().context("there are no relabelings")?;
    for (label, taken_from) in TAKEN {
        let labelled = pods.iter().all(|template| template["metadata"]["labels"].get(taken_from).is_some());
        ensure!(labelled, "pods of gateways have no label {taken_from}");
        let source = format!("__meta_kubernetes_pod_label_{}", taken_from.replace(['.', '/', '-'], "_"));
        let found = relabelings.iter().find(|relabeling| relabeling["targetLabel"] == label);
        let found = found.with_context(|| format!("no relabeling makes the label {label}, which alerts sum by"))?;
        ensure!(found["sourceLabels"] == Value::Sequence(vec![source.clone().into()]), "{label} is not from {source}");
    }
    Ok(())
}

fn rules(rendered: &[Value]) -> Result<()> {
    let path = paths::root().join(RULES);
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let file: Value = serde_yaml_ng::from_str(&text).with_context(|| format!("{RULES} is no YAML"))?;
    let spec = &named(rendered, "PrometheusRule", RELEASE)?["spec"];
    ensure!(file["groups"].as_sequence().is_some_and(|groups| !groups.is_empty()), "{RULES} has no groups");
    ensure!(spec["groups"] == file["groups"], "spec.groups is not what {RULES} has");
    Ok(())
}

/// The only endpoint of a PodMonitor, which reads metrics.
fn endpoint(monitor: &Value) -> Result<&Value> {
    let endpoints = monitor["spec"]["podMetricsEndpoints"].as_sequence().context("it has no endpoints")?;
    ensure!(endpoints.len() == 1, "it has {} endpoints", endpoints.len());
    ensure!(endpoints[0]["path"] == "/metrics", "its path is not /metrics");
    Ok(&endpoints[0])
}

/// The selector chooses pods of that template, and they have a port of that name.
fn finds(selector: &Value, port: &Value, template: &Value) -> Result<()> {
    let wanted = selector.as_mapping().filter(|labels| !labels.is_empty()).context("it selects by no label")?;
    for (label, value) in wanted {
        let has = template["metadata"]["labels"].get(label);
        ensure!(has == Some(value), "it selects {label:?}: {value:?}, and the pods have {has:?}");
    }
    let containers = template["spec"]["containers"].as_sequence().into_iter().flatten();
    let mut ports = containers.flat_map(|container| container["ports"].as_sequence().into_iter().flatten());
    ensure!(ports.any(|offered| offered["name"] == *port), "no container of the pods has a port {port:?}");
    Ok(())
}

/// Templates of gateways' pods as the operator's golden objects have them.
fn gateway_pods() -> Result<Vec<Value>> {
    let path = paths::root().join(GATEWAYS);
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    // The snapshot's own head comes before the first two separators.
    let body = text.splitn(3, "---\n").nth(2).with_context(|| format!("{GATEWAYS} is no snapshot"))?;
    let mut objects = super::objects(body).with_context(|| format!("failed to read {GATEWAYS}"))?;
    // One document may hold all of them as a list.
    if let [Value::Sequence(all)] = objects.as_slice() {
        objects = all.clone();
    }
    let of_gateways = |object: &&Value| object["metadata"]["labels"]["app.kubernetes.io/component"] == "gateway";
    let deployments = objects.iter().filter(|object| object["kind"] == "Deployment").filter(of_gateways);
    Ok(deployments.map(|deployment| deployment["spec"]["template"].clone()).collect())
}

fn named<'a>(rendered: &'a [Value], kind: &str, name: &str) -> Result<&'a Value> {
    let mut found = rendered.iter().filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    let object = found.next().with_context(|| format!("there is no {kind} {name}"))?;
    ensure!(found.next().is_none(), "there are several {kind} {name}");
    let version_is_right = !KINDS.contains(&kind) || object["apiVersion"] == API_VERSION;
    ensure!(version_is_right, "{kind} {name} is not of {API_VERSION}");
    Ok(object)
}

fn of_kinds(rendered: &[Value]) -> impl Iterator<Item = &Value> {
    rendered.iter().filter(|object| object["kind"].as_str().is_some_and(|kind| KINDS.contains(&kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_objects_have_pods_of_gateways() {
        let pods = gateway_pods().unwrap();
        assert!(!pods.is_empty());
        let selector: Value = serde_yaml_ng::from_str("app.kubernetes.io/component: gateway").unwrap();
        for template in &pods {
            finds(&selector, &"admin".into(), template).unwrap();
            finds(&selector, &"nowhere".into(), template).unwrap_err();
            finds(&Value::Null, &"admin".into(), template).unwrap_err();
        }
    }
}
