//! Movers, several at once, that are killed again and again; and servers.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use chat_gateway_config::GatewayConfig;
use chat_shard_mover::{MoveError, Mover, Options, Plan};
use tokio::{
    task::{JoinHandle, block_in_place},
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use super::{
    Goal,
    shards::{Shards, session},
};
use crate::family::kill_family;

/// Movers at work at once, each with slots of its own.
const MOVERS: usize = 3;
/// One slot's move may take so long, with all that is killed meanwhile.
const PATIENCE: Duration = Duration::from_secs(180);
/// One in so many kills is a server's.
const SERVERS: u64 = 25;

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    cut_overs: AtomicU64,
    killed: AtomicU64,
    pauses: Mutex<Vec<u64>>,
}

pub(crate) struct Movers {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

impl Movers {
    pub(crate) fn start(shards: &Shards, goal: Goal) -> Self {
        let shared = Arc::new(Shared::default());
        let slots = i32::try_from(goal.slots).unwrap_or(i32::MAX);
        // Who has which slot, as the first migration gave them away.
        let mut owners = Vec::new();
        for (index, given) in shards.given.iter().enumerate() {
            owners.extend(std::iter::repeat_n(index, *given));
        }
        let mut tasks = Vec::new();
        for nth in 0..MOVERS {
            let own: Vec<i32> = (0..slots).filter(|slot| *slot as usize % MOVERS == nth).collect();
            let (shared, config, mut owners) = (shared.clone(), shards.config.clone(), owners.clone());
            tasks.push(tokio::spawn(async move {
                let mut at = 0;
                while !shared.stop.load(Ordering::Relaxed) {
                    // Far apart, so that all shards have a part from the beginning.
                    at = (at + own.len() / 3 + 1) % own.len();
                    let slot = own[at];
                    let from = owners[slot as usize];
                    let to =
                        (from + rand::random_range(1..config.database.shards.len())) % config.database.shards.len();
                    shared.one(&config, slot, from, to, goal).await;
                    owners[slot as usize] = to;
                }
            }));
        }
        Self { shared, tasks }
    }

    /// Cut-overs and killed movers.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.shared.cut_overs.load(Ordering::Relaxed), self.shared.killed.load(Ordering::Relaxed))
    }

    /// Fails with a mover that failed.
    pub(crate) fn check(&self) {
        assert!(!self.tasks.iter().any(JoinHandle::is_finished), "a mover has failed");
    }

    /// After the moves under way: cut-overs, killed movers, and how long writes waited, in milliseconds.
    pub(crate) async fn stop(self) -> (u64, u64, Vec<u64>) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("a mover");
        }
        let pauses = std::mem::take(&mut *self.shared.pauses.lock().unwrap_or_else(PoisonError::into_inner));
        (self.shared.cut_overs.load(Ordering::Relaxed), self.shared.killed.load(Ordering::Relaxed), pauses)
    }
}

impl Shared {
    /// One slot from one shard to the other, and its rows cleaned up behind it, by as many movers as it takes.
    async fn one(&self, config: &GatewayConfig, slot: i32, from: usize, to: usize, goal: Goal) {
        let plan = Plan { slot, move_id: Uuid::now_v7(), epoch: None };
        let deadline = Instant::now() + PATIENCE;
        let mut lasted = Duration::from_millis(400);
        loop {
            let mut job = Box::pin(work(config, plan, from, to));
            let begun = Instant::now();
            // Behind its share: the mover dies at whatever it waits for just then, and its sessions with it.
            let share = goal.kills as f64 / goal.cut_overs.max(1) as f64;
            let is_behind = (self.killed.load(Ordering::Relaxed) as f64)
                < share * (self.cut_overs.load(Ordering::Relaxed) + 1) as f64;
            let ended = if is_behind && rand::random_bool(0.8) {
                let life = lasted.mul_f64(rand::random_range(0.0..1.0));
                match timeout(life, &mut job).await {
                    Ok(ended) => ended,
                    Err(_) => {
                        drop(job);
                        self.killed.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                }
            } else {
                job.await
            };
            match ended {
                Ok(pause) => {
                    self.cut_overs.fetch_add(1, Ordering::Relaxed);
                    self.pauses.lock().unwrap_or_else(PoisonError::into_inner).extend(pause);
                    return;
                }
                Err(error) if error.is_transient() && Instant::now() < deadline => {
                    lasted = begun.elapsed().max(Duration::from_millis(50));
                    sleep(Duration::from_millis(50)).await;
                }
                Err(error) => panic!("slot {slot}: {error}: {:?}", std::error::Error::source(&error)),
            }
        }
    }
}

async fn work(config: &GatewayConfig, plan: Plan, from: usize, to: usize) -> Result<Option<u64>, MoveError> {
    let (source, destination) = (session(config, from).await?, session(config, to).await?);
    let options = Options { bytes_per_second: None, ..Options::default() };
    let mut mover = Mover::new(plan, source, destination, options, ()).await?;
    let report = mover.run().await?;
    mover.clean(true).await?;
    Ok(report.pause_ms)
}

/// Kills servers.
#[derive(Default)]
pub(crate) struct Killer {
    pub(crate) killed: u64,
}

impl Killer {
    /// Evenly over the cut-overs.
    pub(crate) fn is_due(&self, goal: Goal, cut_overs: u64) -> bool {
        let all = goal.kills / SERVERS;
        self.killed < all && cut_overs * all >= (self.killed + 1) * goal.cut_overs.saturating_sub(goal.cut_overs / 10)
    }

    /// SIGKILL to every process of one, which is started again on its disk.
    pub(crate) async fn kill(&mut self, shards: &mut Shards) {
        let nth = rand::random_range(0..shards.servers.len());
        let server = &mut shards.servers[nth];
        block_in_place(|| {
            let mut first = server.process.take().expect("a server that runs");
            kill_family(first.id());
            first.wait().expect("it ends");
            server.resume();
        });
        self.killed += 1;
    }
}
