//! Both charts lint and render, and what a Prometheus is told by them is what the alerts rely on.

mod monitoring;

use anyhow::{Context as _, Result};
use localkube::Binaries;
use serde::Deserialize as _;
use serde_yaml_ng::Value;

use crate::shell;

const DEFINITIONS: &str = "charts/chat-operator-crds";
const OPERATOR: &str = "charts/chat-operator";

/// Values that are rendered with certificates of cert-manager.
const CERT_MANAGER: &str = "loadMetrics.enabled=true,metricsCertificate.issuerRef.name=internal";

/// Values that are rendered with everything for a Prometheus and Grafana.
const MONITORING: &str = "monitoring.podMonitors.enabled=true,monitoring.rules.enabled=true,monitoring.dashboards.enabled=true,\
     monitoring.labels.release=x,monitoring.namespaceLabels.team=monitoring";

/// What the operator's chart is rendered with, one after the other.
const VALUES: [&str; 5] = [
    "scope=Cluster",
    "scope=Namespace",
    "customMetrics.enabled=true,loadMetrics.enabled=true",
    CERT_MANAGER,
    MONITORING,
];

/// Lints and renders both.
pub(crate) fn run() -> Result<()> {
    let helm = Binaries::build(&|line| println!("{line}"))?.helm;
    for chart in [DEFINITIONS, OPERATOR] {
        shell::run(shell::command(&helm, &["lint", "--strict", chart]))?;
    }
    let render = |args: &[&str]| shell::output(shell::command(&helm, &[&["template", "check"], args].concat()));
    println!("{DEFINITIONS}: {} objects", objects(&render(&[DEFINITIONS])?)?.len());
    for values in VALUES {
        let rendered = objects(&render(&[OPERATOR, "--set", values])?)?;
        println!("{OPERATOR} ({values}): {} objects", rendered.len());
        if values == MONITORING {
            monitoring::check(&rendered).with_context(|| format!("{OPERATOR} with {values}"))?;
        } else {
            monitoring::check_off(&rendered).with_context(|| format!("{OPERATOR} with {values}"))?;
        }
    }
    Ok(())
}

/// The objects of what Helm printed; documents of nothing but comments are none.
fn objects(rendered: &str) -> Result<Vec<Value>> {
    let documents = serde_yaml_ng::Deserializer::from_str(rendered).map(Value::deserialize);
    let mut objects = documents.collect::<Result<Vec<_>, _>>().context("what Helm rendered is no YAML")?;
    objects.retain(|object| !object.is_null());
    Ok(objects)
}
