//! Measures moves of slots between two real PostgreSQL servers: how long writes wait, how fast rows are copied, and what others feel of it. All
//! figures that depend on the machine are ratios within the run, whose parts take turns. `cargo xtask bench moves` builds and calls this;
//! docs/reference/benchmarks.md explains the figures.

#[path = "../../../../../gateway/tests/store_conformance/cluster.rs"]
#[allow(dead_code, clippy::expect_used, reason = "the tests' own servers, of which these programs use a part")]
mod cluster;
mod copying;
#[path = "../../../../../gateway/tests/store_conformance/fixtures.rs"]
#[allow(dead_code, clippy::expect_used, reason = "as above")]
mod fixtures;
mod foreground;
mod guards;
mod load;
mod pauses;
#[path = "../../../../../gateway/tests/support/port.rs"]
#[allow(unreachable_pub, clippy::expect_used, reason = "as above")]
mod port;
mod report;
#[path = "../../../../../gateway/tests/store_conformance/server.rs"]
#[allow(dead_code, clippy::expect_used, reason = "as above")]
mod server;
mod world;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, ValueEnum};
use tokio::time::timeout;

use self::{report::Report, world::World};

/// Measures moves of slots between two shards.
#[derive(Debug, Parser)]
#[command(name = "moves")]
struct Args {
    /// Measure only these.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Fewer rows and rounds: two minutes in all.
    #[arg(long)]
    quick: bool,
    /// Bytes a second that a mover copies while others are watched; by default what `chat-gateway move` keeps to by itself.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    bytes_per_second: Option<u64>,
    /// Write the figures to this file as JSON, too.
    #[arg(long)]
    json: Option<PathBuf>,
    /// End with an error after so many minutes.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=240))]
    minutes: u64,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Rows copied in a second, beside a plain COPY.
    Copy,
    /// How long writes to a slot wait while it is handed over.
    Pauses,
    /// What writes to other slots feel of a move.
    Foreground,
    /// What the guards cost a write.
    Guards,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let limit = Duration::from_secs(args.minutes * 60);
    let measured = runtime.block_on(async { timeout(limit, measure(args)).await });
    let Ok(report) = measured else {
        bail!("over the time limit of the run (--minutes): measure less with --only, or use --quick");
    };
    let report = report?;
    println!("\n{}", report.table());
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

async fn measure(args: &Args) -> Result<Report> {
    let mut report = Report::new(args.quick);
    let is_chosen = |part| args.only.is_empty() || args.only.contains(&part);
    // A world for each part: rows that one has left would slow the next.
    if is_chosen(Part::Guards) {
        eprintln!("guards");
        guards::measure(&World::start().await?, args.quick, &mut report).await?;
    }
    if is_chosen(Part::Copy) {
        eprintln!("copy");
        copying::measure(&World::start().await?, args.quick, &mut report).await?;
    }
    if is_chosen(Part::Pauses) {
        eprintln!("pauses");
        pauses::measure(args.quick, &mut report).await?;
    }
    if is_chosen(Part::Foreground) {
        eprintln!("foreground");
        foreground::measure(&World::start().await?, args.quick, args.bytes_per_second, &mut report).await?;
    }
    Ok(report)
}
