//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use chat_gateway_config::SlotList;
use clap::{Parser, Subcommand};
use uuid::Uuid;

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
        /// A folder with a file for each shard, named after it and with its URI, in place of the configuration's `database.shards`; shards come
        /// and go with their files while the gateway runs.
        #[arg(long, env = "CHAT_GATEWAY_SHARDS_DIR", requires = "config")]
        shards_dir: Option<PathBuf>,
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
    /// Moves slots from one shard to another while they are in use, one after the other. The same command goes on where an earlier one
    /// stopped.
    Move {
        /// The configuration file (JSON).
        #[arg(long, env = "CHAT_GATEWAY_CONFIG")]
        config: PathBuf,
        /// The slots: numbers and ranges, such as 5 or 0-31,40.
        #[arg(long, visible_alias = "slot")]
        slots: SlotList,
        /// Name of the shard that has the slots.
        #[arg(long)]
        from: String,
        /// Name of the shard that is to have them.
        #[arg(long)]
        to: String,
        /// Id of the move, of one slot; by default the one that is under way, or a new one.
        #[arg(long)]
        move_id: Option<Uuid>,
        /// Bytes copied in a second at most; by default 8 MiB, which others hardly feel.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
        bytes_per_second: Option<u64>,
        /// Standbys that the source must have connected before a slot is opened at its destination; 0: those that are connected.
        #[arg(long, default_value_t = 0)]
        source_standbys: u32,
        /// As --source-standbys, of the destination, before a slot is handed over and before --clean.
        #[arg(long, default_value_t = 0)]
        destination_standbys: u32,
        /// Where the destination was promoted behind a hand-over and lacks rows: copy them again from the source, which still has them,
        /// and open the slot.
        #[arg(long, conflicts_with_all = ["abort", "clean"])]
        restore: bool,
        /// Give the moves up instead: possible until a slot has been handed over.
        #[arg(long, conflicts_with = "clean")]
        abort: bool,
        /// Delete what the source still has of slots that have moved, instead. Wait an hour after the move: gateways that have slept
        /// through it may still read there.
        #[arg(long)]
        clean: bool,
        /// Progress as JSON, an object a line.
        #[arg(long)]
        json: bool,
    },
}

/// The host's name: in a pod that is the pod's name, and elsewhere it tells two gateways apart.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "gateway".into(), |name| name.trim().to_owned())
}
