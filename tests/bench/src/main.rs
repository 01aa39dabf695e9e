//! Measures the gateway beside two peers on one machine: the same load, in the same run, reported as ratios. `cargo xtask bench` builds
//! everything and calls this; docs/reference/benchmarks.md explains workloads and figures.

mod flame;
mod generator;
mod instructions;
mod layout;
mod ledger;
mod machine;
mod peers;
mod postgres;
mod report;
mod usage;
mod workloads;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result, bail};
use clap::Parser;

use self::{
    report::Report,
    workloads::{Size, Workload},
};

/// Measures the gateway beside two peers.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Args {
    /// Measure only these.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Workload>,
    /// Fewer connections and shorter runs: some minutes in all.
    #[arg(long)]
    quick: bool,
    /// Connections of W0, W1, W2 and W4, instead of 10,000, or 2,000 with --quick; a multiple of 50.
    #[arg(long, value_parser = clap::value_parser!(u32).range(100..=60_000))]
    connections: Option<u32>,
    /// Who is measured; the first is compared with the others.
    #[arg(long, value_delimiter = ',', default_value = "chat-gateway,centrifuge,socket.io")]
    peers: Vec<String>,
    /// Write the figures to this file as JSON, too.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Draw flame graphs of the gateway in W1 and persisted into this folder. Taking stacks costs the gateway some of its processor.
    #[arg(long, value_name = "FOLDER")]
    flame: Option<PathBuf>,
    /// Write the instructions that were counted as the new budget instead of comparing with it.
    #[arg(long)]
    write_budget: bool,
    /// End with an error after so many minutes; 20, or 8 with --quick.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=240))]
    minutes: Option<u32>,
    /// The gateway's program.
    #[arg(long, env = "CHATCLUSTER_BENCH_GATEWAY")]
    gateway: PathBuf,
    /// The program whose instructions are counted.
    #[arg(long, env = "CHATCLUSTER_BENCH_HOTPATH")]
    hotpath: PathBuf,
}

/// The name of the peer that is ours.
const GATEWAY: &str = "chat-gateway";

impl Args {
    fn size(&self, workload: Workload) -> Size<'_> {
        let many = self.connections.unwrap_or(if self.quick { 2_000 } else { 10_000 }) as usize;
        // Seconds before and in the measurement; connections where they are not `many`.
        let (connections, full, quick) = match workload {
            Workload::W0 => (many, (5, 30), (2, 5)),
            Workload::W1 => (many, (10, 40), (2, 6)),
            Workload::W2 => (many, (5, 25), (1, 8)),
            // Few, so that each of them gets 50 messages a second and not reading is felt.
            Workload::W3 => (1_000, (5, 40), (2, 12)),
            Workload::W4 => (many, (0, 20), (0, 5)),
            Workload::Persisted => (200, (3, 15), (2, 5)),
            Workload::Instructions => (0, (0, 0), (0, 0)),
        };
        let (warm_up, measured) = if self.quick { quick } else { full };
        let drawn = matches!(workload, Workload::W1 | Workload::Persisted);
        Size { connections, warm_up, measured, flame: self.flame.as_deref().filter(|_| drawn) }
    }
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
    let minutes = args.minutes.unwrap_or(if args.quick { 8 } else { 20 });
    let chosen: Vec<Workload> =
        Workload::ALL.into_iter().filter(|one| args.only.is_empty() || args.only.contains(one)).collect();
    let most = chosen.iter().map(|workload| args.size(*workload).connections).max().unwrap_or(0);
    machine::open_files(most)?;
    let mut versions = Vec::new();
    for mut peer in peers::all(&args.peers, &args.gateway)? {
        // Only who is needed is built: the count of instructions needs no peer, nor does PostgreSQL.
        if chosen.iter().any(|workload| !matches!(workload, Workload::Persisted | Workload::Instructions)) {
            peer.build()?;
        }
        versions.push((peer.name().to_owned(), peer.version()));
    }
    if let Some(folder) = &args.flame {
        std::fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    }
    machine::limit_time(Duration::from_secs(u64::from(minutes) * 60));
    // Counting instructions starts no server.
    if chosen.iter().any(|workload| *workload != Workload::Instructions) {
        machine::leave_processor_to_servers()?;
    }
    let mut report = Report::new(args.quick, versions);
    let mut failed = Vec::new();
    for workload in chosen {
        let (name, title) = workload.title();
        eprintln!("{name}: {title}");
        if let Err(error) = measure(args, workload, &mut report, &mut failed) {
            report.note(format!("{name} failed: {error:#}"));
            failed.push(name.to_owned());
        }
    }
    println!("\n{}", report.table());
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))?;
        println!("wrote {}", path.display());
    }
    if !failed.is_empty() {
        bail!("not everything could be measured: {}", failed.join(", "));
    }
    Ok(())
}

fn measure(args: &Args, workload: Workload, report: &mut Report, failed: &mut Vec<String>) -> Result<()> {
    let (name, _) = workload.title();
    let size = args.size(workload);
    match workload {
        Workload::Instructions => return instructions::check(&args.hotpath, args.write_budget),
        Workload::Persisted => {
            let figures = workloads::persisted(&args.gateway, size)?;
            report.add(name, GATEWAY, figures);
            report
                .note(format!("{name}: the peers keep no messages; the gateway is measured beside PostgreSQL itself"));
            return Ok(());
        }
        _ => {}
    }
    for mut peer in peers::all(&args.peers, &args.gateway)? {
        peer.build()?;
        let size = Size { flame: size.flame.filter(|_| peer.name() == GATEWAY), ..size };
        let started = std::time::Instant::now();
        match workloads::measure(workload, &*peer, size) {
            Ok(figures) => {
                if workloads::generator_was_busy(&figures) {
                    report
                        .note(format!("{name}: latencies of {} are the load generator's, which was busy", peer.name()));
                }
                report.add(name, peer.name(), figures);
            }
            Err(error) => {
                report.note(format!("{name}: {} failed: {error:#}", peer.name()));
                failed.push(format!("{name} of {}", peer.name()));
            }
        }
        if workload == Workload::W2 && !peer.keeps_messages() {
            report.note(format!("{name}: {} keeps no messages, so what it had accepted is lost with it", peer.name()));
        }
        eprintln!("  {} took {:.0} s", peer.name(), started.elapsed().as_secs_f64());
    }
    Ok(())
}
