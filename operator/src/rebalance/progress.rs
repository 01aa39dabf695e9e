//! How far a plan is, as the shards say.

use std::collections::{BTreeMap, BTreeSet};

use chat_crds::shard_rebalance::{Pauses, RebalancePlan, RebalanceProgress};
use chat_gateway_config::SlotList;
use jiff::Timestamp;

use super::{census::Census, pauses::pauses};

/// Slots on their way that a status lists.
const LISTED: usize = 64;
/// Slots that have to have moved before the rest is estimated by them.
const ENOUGH: usize = 3;

/// Source and destination of some moves.
pub(super) type Pair = (String, String);

/// A plan's slots by source and destination, in the order of the plan.
pub(super) type Moves = Vec<(Pair, Vec<u32>)>;

/// Reads them from the plan.
pub(super) fn moves(plan: &RebalancePlan) -> Moves {
    let slots = |text: &str| {
        let list: SlotList = text.parse().unwrap_or_default();
        list.iter().filter_map(|slot| u32::try_from(slot).ok()).collect()
    };
    plan.moves.iter().map(|moves| ((moves.from.clone(), moves.to.clone()), slots(&moves.slots))).collect()
}

/// Those that have not moved yet.
pub(super) fn left(moves: &Moves, census: &Census) -> BTreeMap<Pair, Vec<u32>> {
    let stays = |(from, _): &Pair, slot: &u32| {
        census.transit.contains_key(slot) || census.owners.get(slot).is_none_or(|owner| owner.shard == *from)
    };
    let mut left = BTreeMap::new();
    for (pair, slots) in moves {
        let slots: Vec<u32> = slots.iter().copied().filter(|slot| stays(pair, slot)).collect();
        if !slots.is_empty() {
            left.insert(pair.clone(), slots);
        }
    }
    left
}

/// How far they are, and how long writes waited.
pub(super) fn progress(
    moves: &Moves,
    census: &Census,
    started: Option<Timestamp>,
    now: Timestamp,
) -> (RebalanceProgress, Option<Pauses>) {
    let left: usize = left(moves, census).values().map(Vec::len).sum();
    let all: BTreeMap<u32, &Pair> =
        moves.iter().flat_map(|(pair, slots)| slots.iter().map(move |slot| (*slot, pair))).collect();
    let since = started.map_or(i64::MAX, Timestamp::as_millisecond);
    let (mut rows, mut bytes, mut waits) = (0u64, 0u64, Vec::new());
    for (shard, moved) in &census.moved {
        let ours = moved.iter().filter(|moved| {
            moved.at_ms >= since && all.get(&moved.slot).is_some_and(|(from, to)| *from == moved.from && to == shard)
        });
        for moved in ours {
            (rows, bytes) = (rows + moved.rows, bytes + moved.bytes);
            waits.extend(moved.pause_ms);
        }
    }
    let done = all.len().saturating_sub(left);
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let seconds_left = started.filter(|_| done >= ENOUGH && left > 0).map(|started| {
        let spent = now.as_second().saturating_sub(started.as_second()).max(1);
        spent.saturating_mul(left as i64) / done as i64
    });
    let progress = RebalanceProgress {
        slots_moved: i32::try_from(done).unwrap_or(i32::MAX),
        rows_moved: number(rows),
        bytes_moved: number(bytes),
        seconds_left,
        in_transit: census
            .transit
            .iter()
            .filter(|(slot, _)| all.contains_key(slot))
            .take(LISTED)
            .map(|(_, t)| t.clone())
            .collect(),
        waiting_for: Vec::new(),
    };
    (progress, pauses(waits))
}

/// Shards that moves wait for.
pub(super) fn waiting_for(left: &BTreeMap<Pair, Vec<u32>>, away: &BTreeSet<String>) -> Vec<String> {
    let needed: BTreeSet<&String> = left.keys().flat_map(|(from, to)| [from, to]).collect();
    needed.into_iter().filter(|shard| away.contains(*shard)).cloned().collect()
}
