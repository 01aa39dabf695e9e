//! The operator before simulated gateways: a control plane without nodes, optimised programs, and the program that measures.

use std::{ffi::OsString, path::Path};

use anyhow::{Context as _, Result};
use clap::Args;
use localkube::{Cluster, ClusterConfig, Extent};

use crate::{paths, shell};

/// Measures the operator beside a HorizontalPodAutoscaler; `cargo xtask bench scaling -- --help` tells what can be chosen.
#[derive(Debug, Args)]
pub(crate) struct Scaling {
    /// Name of the control plane, at most 8 lower-case letters and digits.
    #[arg(long, value_name = "NAME", default_value = "scaling")]
    cluster: String,
    /// Number of the control plane, as of `cargo xtask cluster`.
    #[arg(long, value_name = "NUMBER", default_value_t = 9)]
    index: u8,
    /// Leaves the control plane running.
    #[arg(long)]
    keep: bool,
    /// For the measuring program.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

impl Scaling {
    pub(crate) fn run(self) -> Result<()> {
        // Two packages and not the workspace, as for the other benchmarks.
        let build =
            ["build", "--profile", "bench", "--locked", "--package", "chat-operator", "--package", "scaling", "--bins"];
        shell::run(shell::cargo(&build))?;
        let own = std::env::current_exe()?;
        let built = own.ancestors().nth(2).context("this program is in no folder of cargo's")?.join("release");
        let config = ClusterConfig { name: self.cluster.clone(), index: self.index };
        let control_plane = Cluster::new(config)?.with_extent(Extent::ControlPlane);
        // What a run before this one has left would be measured, too.
        control_plane.down()?;
        let measured = self.measure(&control_plane, &built);
        if !self.keep {
            control_plane.down()?;
        }
        measured
    }

    fn measure(&self, control_plane: &Cluster, built: &Path) -> Result<()> {
        control_plane.up()?;
        let types = paths::root().join("crds/yaml").display().to_string();
        shell::run(control_plane.kubectl(["apply", "--server-side", "--filename", &types])?)?;
        let mut scaling = shell::command(built.join("scaling"), &[]);
        scaling
            .args(&self.args)
            .env("CHATCLUSTER_SCALING_OPERATOR", built.join("chat-operator"))
            .env("CHATCLUSTER_SCALING_LOGS", paths::root().join("artifacts/scaling"))
            .env("CHATCLUSTER_SCALING_HOST", control_plane.host_address().to_string())
            .env("KUBECONFIG", control_plane.kubeconfig())
            // A file that is named on the command line is meant from where the command is given.
            .current_dir(std::env::current_dir().context("this folder is gone")?);
        shell::run(scaling)
    }
}
