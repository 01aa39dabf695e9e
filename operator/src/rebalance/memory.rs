//! What is remembered between passes. An operator that starts knows none of it, and asks.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::names::ClusterKey;

/// How often shards that are left alone are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// How long after moves the shards are asked, until the gateways' counts have followed.
const SETTLES: Duration = Duration::from_secs(30);

/// Questions for sizes after which a plan is made without: a shard whose rows cannot be counted must not keep slots where they are.
const COUNTED_WITHIN: u32 = 4;

/// How long slots may be on their way without a ShardRebalance. Somebody may be moving them by hand, which takes seconds for each.
const ORPHANED: Duration = Duration::from_secs(60);

/// Of all ChatClusters.
#[derive(Debug, Default)]
pub struct Memory {
    // A std mutex: held for map operations, never across an await.
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// ChatClusters that a ShardRebalance names.
    named: HashSet<ClusterKey>,
    clusters: HashMap<ClusterKey, Remembered>,
}

#[derive(Clone, Debug, Default)]
struct Remembered {
    looked: Option<(String, Instant)>,
    /// The target of the last look that came to a number, however long ago.
    target: Option<String>,
    would_move: Option<i32>,
    busy: Option<Instant>,
    /// Times in a row that sizes were asked for and not there.
    uncounted: u32,
    /// Slots that are on their way although no ShardRebalance is at work, and since when.
    orphans: HashMap<u32, Instant>,
    /// The newest move that was told of, in milliseconds of the shards' clocks.
    told: Option<i64>,
    /// The workload whose waiting change was made last, and the hash of the changes.
    adopted: Option<(String, String)>,
}

impl Memory {
    /// A ShardRebalance names this ChatCluster.
    pub fn name(&self, key: &ClusterKey) {
        self.lock().named.insert(key.clone());
    }

    /// Whether one does, or did.
    #[must_use]
    pub fn is_named(&self, key: &ClusterKey) -> bool {
        self.lock().named.contains(key)
    }

    /// All ChatClusters that a ShardRebalance names, or named.
    #[must_use]
    pub fn named(&self) -> Vec<ClusterKey> {
        self.lock().named.iter().cloned().collect()
    }

    /// Whether it is time to look whether slots should move, to that target.
    #[must_use]
    pub fn is_due(&self, key: &ClusterKey, target: &str) -> bool {
        let looked = self.lock().clusters.get(key).and_then(|known| known.looked.clone());
        looked.is_none_or(|(before, at)| before != target || at.elapsed() >= LOOK_EVERY)
    }

    /// A look was taken: so many slots would have to move.
    pub fn looked(&self, key: &ClusterKey, target: &str, would_move: Option<i32>) {
        let mut held = self.lock();
        let known = held.clusters.entry(key.clone()).or_default();
        known.looked = Some((target.to_owned(), Instant::now()));
        if would_move.is_some() {
            known.target = Some(target.to_owned());
        }
        known.would_move = would_move;
    }

    /// Whether nobody has looked yet how far the slots are from that target.
    #[must_use]
    pub fn is_undecided(&self, key: &ClusterKey, target: &str) -> bool {
        self.lock().clusters.get(key).is_none_or(|known| known.target.as_deref() != Some(target))
    }

    /// Slots that would have to move, as far as the last look told.
    #[must_use]
    pub fn would_move(&self, key: &ClusterKey) -> Option<i32> {
        self.lock().clusters.get(key)?.would_move
    }

    /// Forgets the last look: what it found has changed.
    pub fn look_again(&self, key: &ClusterKey) {
        if let Some(known) = self.lock().clusters.get_mut(key) {
            known.looked = None;
        }
    }

    /// Slots are on the move.
    pub fn busy(&self, key: &ClusterKey) {
        self.lock().clusters.entry(key.clone()).or_default().busy = Some(Instant::now());
    }

    /// Whether slots moved a moment ago.
    #[must_use]
    pub fn is_settling(&self, key: &ClusterKey) -> bool {
        let busy = self.lock().clusters.get(key).and_then(|known| known.busy);
        busy.is_some_and(|at| at.elapsed() < SETTLES)
    }

    /// Sizes were asked for; whether a plan may be made with what came. Gateways count rows in the background, and have them a little later.
    pub fn asked_for_sizes(&self, key: &ClusterKey, came: bool) -> bool {
        let mut held = self.lock();
        let uncounted = &mut held.clusters.entry(key.clone()).or_default().uncounted;
        *uncounted = if came { 0 } else { uncounted.saturating_add(1) };
        came || *uncounted >= COUNTED_WITHIN
    }

    /// Of slots that are on their way without a ShardRebalance, those that have been so for long.
    pub fn orphans(&self, key: &ClusterKey, slots: impl IntoIterator<Item = u32>) -> BTreeSet<u32> {
        let now = Instant::now();
        let mut held = self.lock();
        let known = &mut held.clusters.entry(key.clone()).or_default().orphans;
        *known = slots.into_iter().map(|slot| (slot, known.get(&slot).copied().unwrap_or(now))).collect();
        known.iter().filter(|(_, since)| now.duration_since(**since) >= ORPHANED).map(|(slot, _)| *slot).collect()
    }

    /// Up to which move was told of. `None` the first time: what happened before the operator started is no news.
    pub fn told(&self, key: &ClusterKey, up_to: i64) -> Option<i64> {
        self.lock().clusters.entry(key.clone()).or_default().told.replace(up_to)
    }

    /// A workload's waiting change is made; whether that is news.
    pub fn adopts(&self, key: &ClusterKey, change: &(String, String)) -> bool {
        let before = self.lock().clusters.entry(key.clone()).or_default().adopted.replace(change.clone());
        before.as_ref() != Some(change)
    }

    /// The ChatCluster is gone.
    pub fn forget(&self, key: &ClusterKey) {
        let mut held = self.lock();
        held.clusters.remove(key);
        held.named.remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
