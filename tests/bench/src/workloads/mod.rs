//! The workloads, each the same for every peer. `docs/reference/benchmarks.md` says what each one shows.

mod big_room;
mod idle;
mod persisted;
mod slow;
mod steady;
mod storm;

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Result, bail};
use clap::ValueEnum;
use hdrhistogram::Histogram;
use tempfile::TempDir;

pub(crate) use self::persisted::measure as persisted;
use crate::{
    flame::Recording,
    generator::Fleet,
    layout::Layout,
    ledger::Faults,
    peers::{Peer, Process, free_address},
    report::Figure,
};

/// A workload by the name that `--only` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "verbatim")]
pub(crate) enum Workload {
    /// Idle connections.
    W0,
    /// A steady load in rooms of 50.
    W1,
    /// Everybody comes back after a kill.
    W2,
    /// Some do not read.
    W3,
    /// One big room.
    W4,
    /// Publishes that PostgreSQL keeps, beside what PostgreSQL itself can do.
    #[value(name = "persisted")]
    Persisted,
    /// Instructions of the hot path against their budget.
    #[value(name = "instructions")]
    Instructions,
}

impl Workload {
    /// All of them, in the order of a run.
    pub(crate) const ALL: [Self; 7] =
        [Self::W0, Self::W1, Self::W2, Self::W3, Self::W4, Self::Persisted, Self::Instructions];

    /// Its name in the report, and what it is.
    pub(crate) fn title(self) -> (&'static str, &'static str) {
        match self {
            Self::W0 => ("W0", "idle connections in 5 rooms each"),
            Self::W1 => ("W1", "1,000 messages/s into rooms of 50: 50,000 deliveries/s"),
            Self::W2 => ("W2", "kill -9 of the server while people talk"),
            Self::W3 => ("W3", "1 % of the clients do not read"),
            Self::W4 => ("W4", "10 messages/s into one big room"),
            Self::Persisted => ("P", "publishes that PostgreSQL keeps"),
            Self::Instructions => ("I", "instructions of the hot path"),
        }
    }
}

/// How large and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size<'a> {
    /// Connections.
    pub(crate) connections: usize,
    /// Seconds before anything is measured.
    pub(crate) warm_up: u64,
    /// Seconds that are measured.
    pub(crate) measured: u64,
    /// Folder for a flame graph, when one is wanted.
    pub(crate) flame: Option<&'a Path>,
}

impl Size<'_> {
    /// Records the server from now on, for as long as is measured.
    fn record(self, pid: u32, name: &str) -> Result<Option<Recording>> {
        self.flame.map(|folder| Recording::start(pid, self.measured, &folder.join(name))).transpose()
    }
}

/// Measures a workload on one peer.
///
/// # Errors
/// The server fails, or the run is void.
pub(crate) fn measure(workload: Workload, peer: &dyn Peer, size: Size<'_>) -> Result<Vec<Figure>> {
    match workload {
        Workload::W0 => idle::measure(peer, size),
        Workload::W1 => steady::measure(peer, size),
        Workload::W2 => storm::measure(peer, size),
        Workload::W3 => slow::measure(peer, size),
        Workload::W4 => big_room::measure(peer, size),
        Workload::Persisted | Workload::Instructions => bail!("it has no peers"),
    }
}

/// A running server with a folder of its own.
struct Stage {
    process: Process,
    address: SocketAddr,
    folder: TempDir,
}

impl Stage {
    fn start(peer: &dyn Peer, layout: &Layout) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let address = free_address()?;
        let process = peer.start(layout, folder.path(), address)?;
        Ok(Self { process, address, folder })
    }
}

/// Time for `count` clients to sign in: far more than any needs, so that a slow machine fails nothing.
fn sign_in_limit(count: usize) -> Duration {
    Duration::from_secs(30) + Duration::from_millis(10) * u32::try_from(count).unwrap_or(u32::MAX)
}

fn percentile(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1_000.0
}

/// Latencies in milliseconds.
fn latencies(histogram: &Histogram<u64>) -> Vec<Figure> {
    vec![
        Figure::less("latency p50", "ms", percentile(histogram, 0.50)),
        Figure::less("latency p99", "ms", percentile(histogram, 0.99)).target(10.0),
        Figure::less("latency p99.9", "ms", percentile(histogram, 0.999)),
        Figure::less("latency max", "ms", percentile(histogram, 1.0)),
    ]
}

/// What should be none.
fn faults(fleet: &Fleet<'_>, layout: &Layout) -> Vec<Figure> {
    let Faults { lost, duplicated, reordered } = fleet.ledger.faults(layout);
    [("lost deliveries", lost), ("duplicated deliveries", duplicated), ("reordered deliveries", reordered)]
        .map(|(name, count)| Figure::less(name, "", count as f64).target(0.0))
        .to_vec()
}

/// Name of the figure that tells how much of a core this program used.
const OWN_LOAD: &str = "load generator";

/// Share of a core from which on latencies are the load generator's own, in percent.
const BUSY: f64 = 70.0;

/// Share of a core that this program used.
fn own_load(used: crate::usage::Used) -> Figure {
    Figure::note(OWN_LOAD, "% of a core", used.generator / used.wall * 100.0)
}

/// Whether the load generator had so much to do that latencies are its own.
pub(crate) fn generator_was_busy(figures: &[Figure]) -> bool {
    figures.iter().any(|figure| figure.name() == OWN_LOAD && figure.value() > BUSY)
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}
