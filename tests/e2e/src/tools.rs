//! `kubectl` and `helm` as a user runs them.

use std::{env, path::Path, process::Stdio};

use anyhow::{Context as _, Result, ensure};
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::world::World;

/// What a tool printed.
#[derive(Clone, Debug)]
pub struct Printed {
    /// Whether it ended with status 0.
    pub success: bool,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Helm renders without a cluster for the version that the tests run.
const KUBE_VERSION: &str = "1.34.0";

impl World {
    /// Renders a chart of this repository as it would be installed into `namespace`.
    ///
    /// # Errors
    /// Helm fails.
    pub async fn helm_template(&self, chart: &str, namespace: &str, set: &[&str]) -> Result<String> {
        let folder = chart_folder(chart);
        let mut args = vec!["template", chart, &folder, "--namespace", namespace, "--kube-version", KUBE_VERSION];
        args.extend(set.iter().flat_map(|value| ["--set", value]));
        self.helm(&args).await
    }

    /// Runs kubectl to its end, whatever it is.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn kubectl_any(&self, args: &[&str], input: Option<&str>) -> Result<Printed> {
        run("CHATCLUSTER_KUBECTL", "kubectl", self, args, input).await
    }

    /// Runs kubectl and wants success; returns its output.
    ///
    /// # Errors
    /// It cannot be started or fails; the message has what it printed.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        let printed = self.kubectl_any(args, None).await?;
        ensure!(printed.success, "kubectl {} failed: {}{}", args.join(" "), printed.out, printed.err);
        Ok(printed.out)
    }

    /// Applies manifests, server-side, as a tool would that owns them.
    ///
    /// # Errors
    /// The API server refuses one.
    pub async fn kubectl_apply(&self, manifests: &str) -> Result<()> {
        let printed =
            self.kubectl_any(&["apply", "--server-side", "--force-conflicts", "-f", "-"], Some(manifests)).await?;
        ensure!(printed.success, "kubectl apply failed: {}{}", printed.out, printed.err);
        Ok(())
    }

    /// Runs helm and wants success; returns its output.
    ///
    /// # Errors
    /// It cannot be started or fails; the message has what it printed.
    pub async fn helm(&self, args: &[&str]) -> Result<String> {
        let printed = run("CHATCLUSTER_HELM", "helm", self, args, None).await?;
        ensure!(printed.success, "helm {} failed: {}{}", args.join(" "), printed.out, printed.err);
        Ok(printed.out)
    }
}

/// Where a chart of this repository lies.
#[must_use]
pub fn chart_folder(chart: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts").join(chart).to_string_lossy().into_owned()
}

async fn run(variable: &str, name: &str, world: &World, args: &[&str], input: Option<&str>) -> Result<Printed> {
    let program = env::var_os(variable).unwrap_or_else(|| name.into());
    let mut child = Command::new(&program)
        .args(args)
        .env("KUBECONFIG", &world.kubeconfig)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("failed to start {name}: put it into the search path or name it in {variable}"))?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        stdin.write_all(input.as_bytes()).await?;
    }
    let output = child.wait_with_output().await?;
    Ok(Printed {
        success: output.status.success(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
