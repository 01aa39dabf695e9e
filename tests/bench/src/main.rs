//! Two figures of a running gateway: bytes of memory for each idle connection, and deliveries a second in one big room.
//! The gateway may run anywhere; its memory is read from `/proc`, so its process must be on this machine.

mod crowd;
mod fanout;
mod idle;
mod memory;

use anyhow::Result;
use clap::Parser;

/// Measures a running gateway.
#[derive(Debug, Parser)]
struct Args {
    /// Client address of the gateway, `host:port`.
    #[arg(long, env = "CHATCLUSTER_BENCH_GATEWAY")]
    gateway: String,
    /// Process id of the gateway, for its memory.
    #[arg(long, env = "CHATCLUSTER_BENCH_PID")]
    pid: u32,
    /// Idle connections to open.
    #[arg(long, default_value_t = 5_000)]
    connections: usize,
    /// Connections that follow the big room.
    #[arg(long, default_value_t = 500)]
    audience: usize,
    /// Messages sent to the big room.
    #[arg(long, default_value_t = 200)]
    messages: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    idle::measure(&args.gateway, args.pid, args.connections).await?;
    fanout::measure(&args.gateway, args.pid, args.audience, args.messages).await
}
