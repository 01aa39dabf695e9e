//! What the command line says.

use clap::{Parser, Subcommand};

/// What a platform engineer does with ChatClusters by hand.
#[derive(Debug, Parser)]
#[command(name = "kubectl-chat", bin_name = "kubectl chat", version)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where to look.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Place {
    /// Namespace; the one of the context if absent.
    #[arg(short, long, global = true)]
    pub(crate) namespace: Option<String>,
    /// Context of the kubeconfig; the current one if absent.
    #[arg(long, global = true)]
    pub(crate) context: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Replaces a gateway: another one starts, the clients of this one move to the others within the budget, and its pod goes when nobody is left.
    Drain(Drain),
    /// Takes a drain back: the gateway takes people again.
    Uncordon {
        /// Name of the gateway's pod.
        pod: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Drain {
    /// Name of the gateway's pod.
    pub(crate) pod: String,
    /// Ask for it, and do not wait until it is done.
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Seconds to wait at most; the drain goes on when they are over.
    #[arg(long, default_value_t = 1_800, value_name = "SECONDS")]
    pub(crate) timeout: u64,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
        let args = Args::parse_from(["kubectl-chat", "drain", "demo-gateway-1", "-n", "chat", "--no-wait"]);
        assert_eq!(args.place.namespace.as_deref(), Some("chat"));
        assert!(matches!(args.command, Command::Drain(Drain { no_wait: true, timeout: 1_800, .. })));
    }
}
