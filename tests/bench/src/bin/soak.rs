//! A long run of moves: writers, movers and servers that are killed, and a checker that knows every acknowledgement. `cargo xtask soak moves`
//! builds and calls this; it ends by itself, and with an error if anything was lost.

// What it is made of belongs to the tests of moves, which use the rest.
#![allow(dead_code, clippy::expect_used)]

#[path = "../../../../gateway/shards/mover/tests/moves/family.rs"]
mod family;
#[path = "../../../../gateway/tests/support/port.rs"]
#[allow(unreachable_pub, reason = "it is public to the test programs")]
mod port;
#[path = "../../../../gateway/tests/store_conformance/server.rs"]
mod server;
#[path = "../../../../gateway/shards/mover/tests/moves/soak/mod.rs"]
mod soak;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use clap::Parser;

use self::soak::Goal;

/// Moves slots between shards while they are written to, and kills movers and servers.
#[derive(Debug, Parser)]
#[command(name = "soak")]
struct Args {
    /// Texts to be acknowledged.
    #[arg(long, default_value_t = 1_000_000)]
    writes: u64,
    /// Slots to be handed over.
    #[arg(long, default_value_t = 100)]
    cutovers: u64,
    /// Movers and servers to be killed; one in 25 is a server.
    #[arg(long, default_value_t = 50)]
    kills: u64,
    /// Databases, on two servers.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(2..=5))]
    shards: u8,
    /// Slots of all of them.
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(64..=4_096))]
    slots: u32,
    /// End after so many minutes, whatever was reached.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    minutes: u64,
    /// Write the report to this file as JSON, too.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let goal = Goal {
        writes: args.writes,
        cut_overs: args.cutovers,
        kills: args.kills,
        shards: usize::from(args.shards),
        slots: args.slots,
        limit: Duration::from_secs(args.minutes * 60),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let report = runtime.block_on(async { soak::run(goal).await.0 });
    let text = serde_json::to_string_pretty(&report)?;
    println!("{text}");
    if let Some(path) = &args.json {
        std::fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))?;
    }
    if !report.complaints.is_empty() {
        bail!("{} complaints", report.complaints.len());
    }
    if !report.is_complete {
        bail!("the time was over before the goal was reached; nothing was wrong until then");
    }
    Ok(())
}
