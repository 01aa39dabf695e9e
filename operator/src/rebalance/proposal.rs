//! From what the shards have to what they should: the plan, its cost and its name.

use std::collections::BTreeMap;

use chat_crds::shard_rebalance::{MoveRequest, PlannedMoves, RebalancePlan};
use chat_gateway_config::SlotList;
use chat_shard_plan::{Measure, PlanError, Rules, Shard, Slot, loads, plan};

use super::{
    census::Census,
    wish::{Wish, short},
};
use crate::hash::Hasher;

/// Bytes a second that a move copies where the spec says nothing, for estimates: the default of `chat-gateway move`.
const USUAL_BYTES_PER_SECOND: u64 = 8 << 20;
/// Milliseconds that a slot costs however small it is.
const SLOT_MILLIS: u64 = 250;

/// Bytes that a slot counts for besides its own: what a handful of rooms takes is no reason to spread slots unevenly.
const STANDING_BYTES: u64 = 256 << 10;
/// The same for writes a second, in thousandths: 1024 slots with so many are what one or two shards do with ease.
const STANDING_MILLI_WRITES: u64 = 5_000;

/// What was measured of slots besides their sizes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measures {
    /// Writes a second, in thousandths, by slot.
    pub milli_writes: BTreeMap<u32, u64>,
    /// Bytes that a move may copy in a second.
    pub bytes_per_second: Option<u64>,
    /// Moves at the same time.
    pub concurrent: u32,
}

/// Why there is no plan yet, or none at all. The text says what helps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlan {
    /// A plan needs the word of every shard.
    #[error("waits for shard {shard}, which does not answer: {why}")]
    Silent {
        /// The shard.
        shard: String,
        /// Why.
        why: String,
    },
    /// Slots are owned by nobody that was asked.
    #[error("slot {0} is owned by none of the shards; put back the shard that had it")]
    Ownerless(u32),
    /// Moves of somebody else are under way.
    #[error("waits for {0} slots that are on their way already")]
    InTransit(usize),
    /// Nobody could take anything.
    #[error(
        "no shard may take slots: all of them have a weight of 0 or are for some rooms only; give one another weight"
    )]
    NobodyStays,
    /// What a person asked for cannot be done.
    #[error("spec.moves: {0}")]
    Request(String),
}

impl NoPlan {
    /// Whether it passes without anybody doing anything to the spec.
    #[must_use]
    pub const fn passes(&self) -> bool {
        matches!(self, Self::Silent { .. } | Self::InTransit(_))
    }
}

/// Plans the fewest moves that bring the shards to what the spec asks for, or those that a person asked for; there may be none.
///
/// # Errors
/// See [`NoPlan`].
pub fn propose(
    wish: &Wish,
    census: &Census,
    measures: &Measures,
    request: Option<&[MoveRequest]>,
) -> Result<RebalancePlan, NoPlan> {
    if let Some((shard, why)) = census.silent.first_key_value() {
        return Err(NoPlan::Silent { shard: shard.clone(), why: why.clone() });
    }
    if !census.transit.is_empty() {
        return Err(NoPlan::InTransit(census.transit.len()));
    }
    if let Some(lost) = (0..wish.slots).find(|slot| !census.owners.contains_key(slot)) {
        return Err(NoPlan::Ownerless(lost));
    }
    let moves = match request {
        Some(request) => requested(wish, census, request)?,
        None => balanced(wish, census, measures)?,
    };
    Ok(costed(wish, census, measures, &moves))
}

/// Destinations by slot.
type Moves = BTreeMap<u32, String>;

fn requested(wish: &Wish, census: &Census, request: &[MoveRequest]) -> Result<Moves, NoPlan> {
    let mut moves = Moves::new();
    for MoveRequest { slots, to } in request {
        if !wish.shards.contains_key(to) {
            let names: Vec<&str> = wish.shards.keys().map(String::as_str).collect();
            return Err(NoPlan::Request(format!("there is no shard {to}; name one of {}", names.join(", "))));
        }
        let list: SlotList = slots.parse().map_err(|error| NoPlan::Request(format!("{error}")))?;
        for slot in list.iter().filter_map(|slot| u32::try_from(slot).ok()) {
            if slot >= wish.slots {
                let last = wish.slots.saturating_sub(1);
                return Err(NoPlan::Request(format!("there is no slot {slot}; the last one is {last}")));
            }
            if let Some(other) = moves.insert(slot, to.clone()).filter(|other| other != to) {
                return Err(NoPlan::Request(format!("slot {slot} is to go to {other} and to {to}; name it once")));
            }
        }
    }
    moves.retain(|slot, to| census.owners.get(slot).is_some_and(|owner| owner.shard != *to));
    Ok(moves)
}

fn balanced(wish: &Wish, census: &Census, measures: &Measures) -> Result<Moves, NoPlan> {
    // Shards that the spec has no more are among them: everything leaves those.
    let mut names: Vec<&String> = wish.shards.keys().chain(census.heard.iter()).collect();
    names.sort_unstable();
    names.dedup();
    let shards: Vec<Shard> = names
        .iter()
        .map(|name| match wish.shards.get(*name) {
            Some(shard) if !shard.dedicated => {
                Shard { name: (*name).clone(), weight: shard.weight.max(1), draining: shard.weight == 0 }
            }
            _ => Shard { name: (*name).clone(), weight: 1, draining: true },
        })
        .collect();
    let free: Vec<u32> = census.owners.keys().copied().filter(|slot| !wish.pinned.contains_key(slot)).collect();
    let weighed: Vec<Measure> = free
        .iter()
        .map(|slot| Measure {
            bytes: census.sizes.get(slot).map_or(0, |(_, bytes)| *bytes).saturating_add(STANDING_BYTES),
            milli_writes: measures.milli_writes.get(slot).copied().unwrap_or(0).saturating_add(STANDING_MILLI_WRITES),
        })
        .collect();
    let slots: Vec<Slot> = free
        .iter()
        .zip(loads(&weighed))
        .map(|(slot, load)| {
            let owner = census.owners.get(slot).and_then(|owner| names.binary_search(&&owner.shard).ok());
            Slot { slot: *slot, shard: owner.unwrap_or(usize::MAX), load, rests: false }
        })
        .collect();
    let planned = match plan(&shards, &slots, Rules::default()) {
        Ok(planned) => planned,
        // Where every slot belongs to some room nobody else is needed.
        Err(PlanError::NobodyStays) if slots.is_empty() => Vec::new(),
        Err(PlanError::NobodyStays) => return Err(NoPlan::NobodyStays),
        Err(PlanError::Ownerless(slot)) => return Err(NoPlan::Ownerless(slot)),
    };
    let mut moves: Moves = planned.into_iter().map(|planned| (planned.slot, planned.to)).collect();
    let pinned =
        wish.pinned.iter().filter(|(slot, to)| census.owners.get(slot).is_some_and(|owner| owner.shard != **to));
    moves.extend(pinned.map(|(slot, to)| (*slot, to.clone())));
    Ok(moves)
}

fn costed(wish: &Wish, census: &Census, measures: &Measures, moves: &Moves) -> RebalancePlan {
    let mut pairs: BTreeMap<(&str, &str), Vec<u32>> = BTreeMap::new();
    let mut hash = Hasher::new().text(&wish.target);
    for (slot, to) in moves {
        let Some(owner) = census.owners.get(slot) else { continue };
        hash = hash.text(&slot.to_string()).text(&owner.shard).text(&owner.epoch.to_string()).text(to);
        pairs.entry((owner.shard.as_str(), to.as_str())).or_default().push(*slot);
    }
    let size = |slots: &[u32]| {
        let sizes = slots.iter().filter_map(|slot| census.sizes.get(slot));
        sizes.fold((0u64, 0u64), |(rows, bytes), size| (rows + size.0, bytes + size.1))
    };
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let (rows, bytes) = size(&moves.keys().copied().collect::<Vec<_>>());
    let rate = measures.bytes_per_second.unwrap_or(USUAL_BYTES_PER_SECOND).max(1);
    let width = u64::from(measures.concurrent).clamp(1, pairs.len().max(1) as u64);
    let millis = bytes.saturating_mul(1_000) / rate + SLOT_MILLIS * moves.len() as u64;
    RebalancePlan {
        hash: short(hash),
        target: wish.target.clone(),
        slots: i32::try_from(moves.len()).unwrap_or(i32::MAX),
        rows: number(rows),
        bytes: number(bytes),
        seconds: number((millis / width).div_ceil(1_000)),
        moves: pairs
            .into_iter()
            .map(|((from, to), slots)| PlannedMoves {
                from: from.to_owned(),
                to: to.to_owned(),
                count: i32::try_from(slots.len()).unwrap_or(i32::MAX),
                bytes: number(size(&slots).1),
                slots: slots.iter().filter_map(|slot| i32::try_from(*slot).ok()).collect::<SlotList>().to_string(),
            })
            .collect(),
    }
}
