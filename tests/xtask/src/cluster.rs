//! `cargo xtask cluster`: the local Kubernetes by itself.

use anyhow::Result;
use clap::{Args, Subcommand};
use localkube::{Binaries, Cluster, ClusterConfig, Prerequisites};

/// Starts, stops or describes a local Kubernetes.
#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    #[command(subcommand)]
    action: Action,
    /// Name of the cluster, at most 8 lower-case letters and digits.
    #[arg(long, default_value = "demo", global = true)]
    name: String,
    /// Number of the cluster, 0 to 63: its address ranges follow from it, so that several stand side by side.
    #[arg(long, default_value_t = 0, global = true)]
    index: u8,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Starts it; a cluster that stands is left as it is.
    Up,
    /// Stops it and removes everything of it.
    Down,
    /// Does to its node what a power cut does, and starts it again; its pods come back some time later.
    Reboot,
    /// Tells how it is, as JSON.
    Status,
}

impl ClusterArgs {
    pub(crate) fn run(self) -> Result<()> {
        match self.action {
            Action::Up => {
                let cluster = up(&self.name, self.index)?;
                println!("export KUBECONFIG={}", cluster.kubeconfig().display());
            }
            Action::Down => open(&self.name, self.index)?.down()?,
            Action::Reboot => open(&self.name, self.index)?.reboot()?,
            Action::Status => println!("{}", serde_json::to_string_pretty(&open(&self.name, self.index)?.status()?)?),
        }
        Ok(())
    }
}

/// The cluster of this name, running or not.
pub(crate) fn open(name: &str, index: u8) -> Result<Cluster> {
    Ok(Cluster::new(ClusterConfig { name: name.into(), index })?)
}

/// Builds what is missing and starts the cluster.
pub(crate) fn up(name: &str, index: u8) -> Result<Cluster> {
    Prerequisites::ensure()?;
    Binaries::build(&|line| println!("{line}"))?;
    let cluster = open(name, index)?;
    cluster.up()?;
    Ok(cluster)
}
