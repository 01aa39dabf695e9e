//! A long run: texts into every slot, moves of slots between several shards, movers and servers that are killed, and a checker that knows every
//! acknowledgement. Both a test and a program of its own (`cargo xtask soak moves`) are made of it. It ends by itself.

pub(crate) mod checker;
pub(crate) mod movers;
pub(crate) mod shards;
pub(crate) mod writers;

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use tokio::time::{Instant, sleep};

use self::{
    checker::Acknowledged,
    movers::{Killer, Movers},
    shards::Shards,
    writers::Writers,
};

/// What a run is to reach.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Goal {
    /// Acknowledged texts.
    pub(crate) writes: u64,
    /// Slots handed over.
    pub(crate) cut_overs: u64,
    /// Movers and servers killed; one in 25 is a server.
    pub(crate) kills: u64,
    /// Databases, on two servers.
    pub(crate) shards: usize,
    /// Slots of all of them.
    pub(crate) slots: u32,
    /// The run ends after so long, reached or not.
    pub(crate) limit: Duration,
}

/// What it came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) goal: Goal,
    pub(crate) seconds: f64,
    pub(crate) writes: u64,
    pub(crate) cut_overs: u64,
    pub(crate) movers_killed: u64,
    pub(crate) servers_killed: u64,
    /// Answers that said "later", after which the same text was sent again.
    pub(crate) unavailable: u64,
    /// How long the longest text went without an answer, in milliseconds; servers that are killed included.
    pub(crate) longest_ms: u128,
    /// How long writes to a slot waited for its hand-over, in milliseconds: upper bounds, and how many slots.
    pub(crate) pauses: Vec<(u64, usize)>,
    pub(crate) pause_p50_ms: u64,
    pub(crate) pause_p99_ms: u64,
    pub(crate) pause_max_ms: u64,
    /// What the checker found wrong.
    pub(crate) complaints: Vec<String>,
    /// Whether the goal was reached.
    pub(crate) is_complete: bool,
}

const HISTOGRAM: [u64; 12] = [5, 10, 20, 30, 50, 75, 100, 150, 250, 500, 1_000, u64::MAX];
/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(5);

/// Runs until the goal or the limit is reached, and checks everything. The shards stay up in what is returned.
pub(crate) async fn run(goal: Goal) -> (Report, Shards, Arc<Acknowledged>) {
    let started = Instant::now();
    let mut shards = Shards::start(goal.shards, goal.slots).await;
    let store = Arc::new(shards.store());
    let acknowledged = Arc::new(Acknowledged::default());
    let writers = Writers::start(&store, goal.slots, goal.writes, &acknowledged).await;
    let movers = Movers::start(&shards, goal);
    let mut killer = Killer::default();
    let mut told = Instant::now();
    let is_reached = loop {
        sleep(Duration::from_millis(50)).await;
        movers.check();
        let (cut_overs, killed) = movers.counts();
        if killer.is_due(goal, cut_overs) {
            killer.kill(&mut shards).await;
        }
        let writes = writers.count();
        if told.elapsed() > PROGRESS {
            told = Instant::now();
            println!(
                "{:>6.0} s: {writes} writes, {cut_overs} cut-overs, {killed} movers and {} servers killed",
                started.elapsed().as_secs_f64(),
                killer.killed
            );
        }
        if writes >= goal.writes && cut_overs >= goal.cut_overs && killed + killer.killed >= goal.kills {
            break true;
        }
        if started.elapsed() > goal.limit {
            break false;
        }
    };
    let (cut_overs, movers_killed, mut pauses) = movers.stop().await;
    let (writes, unavailable, longest) = writers.stop().await;
    println!("checking {writes} writes");
    let complaints = checker::complaints(&shards, &acknowledged).await;
    pauses.sort_unstable();
    let quantile =
        |share: f64| pauses.get((pauses.len().saturating_sub(1) as f64 * share).round() as usize).copied().unwrap_or(0);
    let mut below = 0;
    let histogram = HISTOGRAM.iter().map(|bound| {
        let here = pauses.iter().filter(|pause| **pause <= *bound && **pause >= below).count();
        below = bound.saturating_add(1);
        (*bound, here)
    });
    let report = Report {
        goal,
        seconds: started.elapsed().as_secs_f64(),
        writes,
        cut_overs,
        movers_killed,
        servers_killed: killer.killed,
        unavailable,
        longest_ms: longest.as_millis(),
        pauses: histogram.collect(),
        pause_p50_ms: quantile(0.5),
        pause_p99_ms: quantile(0.99),
        pause_max_ms: quantile(1.0),
        complaints,
        is_complete: is_reached,
    };
    (report, shards, acknowledged)
}
