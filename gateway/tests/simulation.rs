//! Whole clusters from a seed: several gateways over one store and one exchange, with crashes, drains, cut connections to store and broker,
//! lost answers, and deliveries that are lost, late, repeated and overtaken, while people write, edit, delete and react, come to rooms
//! and go from them, sign out, and speak either encoding. At the end the oracle counts: nothing acknowledged is lost, doubled or out of
//! order, every device got every entry of its rooms exactly once from where it came to them, and none that was said after its user had
//! been removed.
//!
//! Time is simulated, so minutes pass in a moment. A seed fixes the faults and what people do; only jitter inside the gateway and the
//! order in which tasks become ready at the same instant are not its own. A failure prints its seed; `CHATCLUSTER_SEED=n` runs that one.
//! `CHATCLUSTER_LONG=1` runs fresh seeds until a million entries have been acknowledged.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by failing")]

#[path = "chat/centrifuge_client.rs"]
#[allow(dead_code, reason = "the simulated devices speak chat.v1; the world needs it")]
mod centrifuge_client;
#[path = "chat/client.rs"]
#[allow(dead_code, reason = "the simulated devices speak for themselves; the world needs it")]
mod client;
#[path = "chat/faulty.rs"]
#[allow(dead_code, reason = "the simulation has faults of its own; the world needs it")]
mod faulty;
#[path = "schemas/mod.rs"]
#[allow(dead_code, reason = "for the client that the world needs")]
mod schemas;
#[path = "chat/world.rs"]
#[allow(dead_code, reason = "the simulation builds its gateways one by one")]
mod world;

#[path = "simulation/board.rs"]
mod board;
#[path = "simulation/broker.rs"]
mod broker;
#[path = "simulation/chronicle.rs"]
mod chronicle;
#[path = "simulation/cluster.rs"]
mod cluster;
#[path = "simulation/device.rs"]
mod device;
#[path = "simulation/line.rs"]
mod line;
#[path = "simulation/nature.rs"]
mod nature;
#[path = "simulation/oracle.rs"]
mod oracle;
#[path = "simulation/store.rs"]
mod store;
#[path = "simulation/story.rs"]
mod story;
#[path = "simulation/wishes.rs"]
mod wishes;

use std::{sync::Arc, time::Duration};

use rand::{SeedableRng, rngs::StdRng};
use tokio::{sync::watch, time::timeout};

use crate::{cluster::Cluster, device::Device, oracle::Verdict};

/// Seeds that run always.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=8;

/// Entries that the long form acknowledges.
const LONG: usize = 1_000_000;

/// Simulated time after which a course counts as stuck.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Tells the seed when the course of it fails.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the course of seed {0} failed; run it alone with CHATCLUSTER_SEED={0}", self.0);
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_doubled_or_reordered_whatever_happens() {
    let mut total = Verdict::default();
    if let Ok(seed) = std::env::var("CHATCLUSTER_SEED") {
        total.add(course(seed.parse().expect("CHATCLUSTER_SEED is a number")));
    } else if chat_test_client::is_long() {
        while total.acknowledged < LONG {
            total.add(course(rand::random()));
            if total.courses % 50 == 0 {
                println!("{total}");
            }
        }
    } else {
        SEEDS.for_each(|seed| total.add(course(seed)));
    }
    println!("{total}");
    assert!(total.crashes > 0 && total.cuts > 0 && total.repeats > 0, "the faults were felt: {total}");
    assert!(total.additions > 0 && total.removals > 0 && total.sign_outs > 0, "people came and went: {total}");
}

fn course(seed: u64) -> Verdict {
    let _told = Told(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut dice = StdRng::seed_from_u64(seed);
        let cluster = Arc::new(Cluster::start(&mut dice).await);
        match timeout(PATIENCE, run(seed, dice, Arc::clone(&cluster))).await {
            Ok(verdict) => verdict,
            Err(_) => panic!("after {PATIENCE:?} the course goes on:\n{}", board::who_waits(&cluster).await),
        }
    })
}

async fn run(seed: u64, mut dice: StdRng, cluster: Arc<Cluster>) -> Verdict {
    let goal = watch::Sender::new(None);
    let busy = watch::Sender::new(0usize);
    let devices: Vec<_> = cluster
        .devices(&mut dice)
        .into_iter()
        .map(|plan| tokio::spawn(Device::new(plan, Arc::clone(&cluster), &busy).run(goal.subscribe())))
        .collect();
    let nature = tokio::spawn(nature::rage(Arc::clone(&cluster), StdRng::seed_from_u64(seed ^ 0x6e61_7475)));
    // Until everybody has got an answer to everything.
    busy.subscribe().wait_for(|busy| *busy == 0).await.unwrap();
    nature.abort();
    let faults = cluster.heal().await;
    goal.send_replace(Some(cluster.positions().await));
    let mut stories = Vec::new();
    for device in devices {
        stories.push(device.await.expect("a device's course"));
    }
    oracle::judge(&cluster, &stories, faults).await
}
