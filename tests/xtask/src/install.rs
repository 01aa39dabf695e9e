//! Brings ChatCluster onto a local Kubernetes: images, CRDs, operator.

use anyhow::{Result, anyhow};
use localkube::{Binaries, Cluster};

use crate::{
    backends::{self, Build},
    paths, shell,
};

/// Namespace of the operator.
pub(crate) const SYSTEM: &str = "chat-system";

/// Loads the images and installs both charts; what is installed already is upgraded. The operator serves all namespaces
/// but those `excluded`, and serves the metrics APIs where `metrics`.
pub(crate) fn install(cluster: &Cluster, build: Build, excluded: &[&str], metrics: bool) -> Result<()> {
    let images = backends::images(build, false)?;
    // Side by side: each waits for the disk half of the time.
    std::thread::scope(|scope| {
        let loads = images.iter().map(|image| {
            println!("loading {}", image.reference);
            scope.spawn(|| cluster.load_image(&image.tar))
        });
        let loads: Vec<_> = loads.collect();
        for load in loads {
            load.join().map_err(|_| anyhow!("the loading of an image panicked"))??;
        }
        anyhow::Ok(())
    })?;
    let charts = paths::root().join("charts");
    helm(
        cluster,
        &[
            "upgrade",
            "--install",
            "chat-operator-crds",
            &charts.join("chat-operator-crds").display().to_string(),
            "--namespace",
            SYSTEM,
            "--create-namespace",
        ],
    )?;
    // The operator has to live under the strictest standard, as it would in a careful cluster.
    let strict = "pod-security.kubernetes.io/enforce=restricted";
    shell::run(cluster.kubectl(["label", "namespace", SYSTEM, strict, "--overwrite"])?)?;
    // A rebuilt image keeps its tag on a developer's machine, so the pods are told apart by a stamp.
    let metrics = format!("customMetrics.enabled={metrics},loadMetrics.enabled={metrics}");
    let stamp = format!("podAnnotations.chatcluster\\.dev/loaded-at=t{}", stamp());
    helm(
        cluster,
        &[
            "upgrade",
            "--install",
            "chat-operator",
            &charts.join("chat-operator").display().to_string(),
            "--namespace",
            SYSTEM,
            "--set-string",
            &stamp,
            "--set-json",
            &format!("excludeNamespaces={}", serde_json::json!(excluded)),
            "--set",
            &metrics,
            "--wait",
            "--timeout",
            "120s",
        ],
    )
}

/// Runs the real Helm against the cluster.
pub(crate) fn helm(cluster: &Cluster, args: &[&str]) -> Result<()> {
    let helm = Binaries::build(&|line| println!("{line}"))?.helm;
    let mut command = shell::command(helm, args);
    command.env("KUBECONFIG", cluster.kubeconfig());
    shell::run(command)
}

fn stamp() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
