//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand};

/// The ChatCluster gateway.
#[derive(Debug, Parser)]
#[command(name = "chat-gateway", version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serves chat clients until SIGTERM, then asks them to move and ends. Without a configuration file it needs nothing else: it keeps
    /// everything in one folder and serves this machine alone.
    Serve {
        /// The configuration file (JSON), for a gateway that is one of several.
        #[arg(long, env = "CHAT_GATEWAY_CONFIG")]
        config: Option<PathBuf>,
        /// What goes before the configuration file and is taken while the gateway runs (JSON); by default the `liveFile` that it names.
        #[arg(long, env = "CHAT_GATEWAY_LIVE_CONFIG", requires = "config")]
        live_config: Option<PathBuf>,
        /// Without a configuration file: the folder of the database, the signing key and the administrator's token. Made when absent.
        #[arg(long, env = "CHAT_GATEWAY_DATA", default_value = "chat-data", conflicts_with = "config")]
        data: PathBuf,
        /// Without a configuration file: where the page and the API are served.
        #[arg(long, default_value = "127.0.0.1:8080", conflicts_with = "config")]
        listen: SocketAddr,
        /// Without a configuration file: where probes, statistics and metrics are served.
        #[arg(long, default_value = "127.0.0.1:8081", conflicts_with = "config")]
        admin_listen: SocketAddr,
        /// The name of this gateway; its pod's name.
        #[arg(long, env = "POD_NAME", default_value_t = host_name())]
        name: String,
    },
    /// Brings the schema of every shard up to date, and hands out slots that no shard owns.
    Migrate {
        /// The configuration file (JSON).
        #[arg(long, env = "CHAT_GATEWAY_CONFIG")]
        config: PathBuf,
    },
}

/// The host's name: in a pod that is the pod's name, and elsewhere it tells two gateways apart.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "gateway".into(), |name| name.trim().to_owned())
}
