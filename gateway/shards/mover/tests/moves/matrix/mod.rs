//! The failure matrix: who fails, how, and where in a move, on real PostgreSQL processes and, where a process is meant, real processes of movers
//! and writers. Each cell ends with the ledger's verdict, after another mover has brought the move to its end.
//!
//! - A network is cut in two manners. Proxies of the test hold a connection up, one way or both, or reset it, between kernels that answer. And
//!   packets are lost, one way or both, between a mover in a network namespace of its own and a server: nothing is acknowledged then, and
//!   where that lasts, the kernel ends the connection (`wire.rs`), which a test of its own waits for.
//! - A clock jumps in the mover's process, by an hour, as all that it measures time with is the monotonic clock. The databases' clocks are those
//!   of the machine, which a test must not set; that a fence outlives a clock that is set back is checked by the model.
//! - The disk that is full is a small file system in memory under the tables of the destination, up to its last byte.
//!
//! Each run does a fair sample: every fault and every point at least once, by fixed seeds, and some cells by a new seed, which is printed.
//! `CHATCLUSTER_LONG=1` does all cells with 20 seeds each, or as many as `CHAT_MOVES_SEEDS` says. `CHAT_MOVES_CELL="fault point seed"`, as a failure prints it, does one.

mod disk;
mod faults;
pub(crate) mod network;
pub(crate) mod processes;
mod stage;

use std::time::Duration;

use chat_shard_mover::{Point, Step};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use tokio::time::Instant;

pub(crate) use self::faults::Fault;
use self::stage::Stage;
use crate::hook;

/// After so long a short run, on a busy machine, leaves the rest of what its new seed has chosen to other runs, and says so.
const BUDGET: Duration = Duration::from_secs(150);
const SEEDS: usize = 20;
const FIXED: u64 = 1;

/// One cell, with what its dice begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    fault: Fault,
    point: Point,
    seed: u64,
}

fn points() -> Vec<Point> {
    hook::points().into_iter().chain([Point::Before(Step::Clean), Point::After(Step::Clean)]).collect()
}

fn is_long() -> bool {
    std::env::var("CHATCLUSTER_LONG").is_ok_and(|value| value == "1")
}

/// The cell that somebody wants to see again.
fn chosen() -> Option<Cell> {
    let text = std::env::var("CHAT_MOVES_CELL").ok()?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let [fault, point, seed] = words[..] else { panic!("CHAT_MOVES_CELL is \"fault point seed\", not {text:?}") };
    let fault = Fault::ALL.into_iter().find(|one| format!("{one:?}") == fault).expect("a fault of this name");
    let point = points().into_iter().find(|one| format!("{one:?}") == point).expect("a point of this name");
    Some(Cell { fault, point, seed: seed.parse().expect("a number") })
}

/// Every fault at a point, and every point with a fault: as many cells as there are more of, in an order of the seed's.
fn sample(seed: u64) -> Vec<Cell> {
    let mut dice = StdRng::seed_from_u64(seed);
    let (mut faults, mut points) = (Fault::ALL.to_vec(), points());
    faults.shuffle(&mut dice);
    points.shuffle(&mut dice);
    let cells = 0..faults.len().max(points.len());
    cells
        .map(|nth| Cell { fault: faults[nth % faults.len()], point: points[nth % points.len()], seed: dice.random() })
        .collect()
}

fn all() -> Vec<Cell> {
    let seeds = std::env::var("CHAT_MOVES_SEEDS").ok().map_or(SEEDS, |seeds| seeds.parse().expect("a number"));
    let mut dice = StdRng::seed_from_u64(FIXED);
    let pairs = Fault::ALL.into_iter().flat_map(|fault| points().into_iter().map(move |point| (fault, point)));
    let mut cells: Vec<Cell> = pairs
        .flat_map(|(fault, point)| std::iter::repeat_n((fault, point), seeds))
        .map(|(fault, point)| Cell { fault, point, seed: dice.random() })
        .collect();
    // Neighbours are of different kinds, so that one that was missed by the time limit of a machine is no whole row.
    cells.shuffle(&mut dice);
    cells
}

pub(crate) async fn every_cell_ends_well() {
    let fresh: u64 = rand::random();
    println!("a fresh seed: {fresh}");
    let cells = match chosen() {
        Some(cell) => vec![cell],
        None if is_long() => all(),
        None => [sample(FIXED), sample(fresh)].concat(),
    };
    let (total, fixed, started) = (cells.len(), sample(FIXED).len(), Instant::now());
    let mut stage = Stage::start().await;
    let mut done = 0;
    for cell in cells {
        if !is_long() && done >= fixed && started.elapsed() > BUDGET {
            break;
        }
        let Cell { fault, point, seed } = cell;
        println!("CHAT_MOVES_CELL=\"{fault:?} {point:?} {seed}\"");
        stage.play(cell).await;
        done += 1;
        // Rows of cells that are over slow the next ones down.
        if done % 60 == 0 {
            stage = Stage::start().await;
        }
    }
    println!("{done} of {total} cells in {:?}", started.elapsed());
}
