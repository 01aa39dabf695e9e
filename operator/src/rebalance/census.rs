//! Who has which slot, as the shards say.

use std::collections::{BTreeMap, BTreeSet};

use chat_crds::shard_rebalance::SlotInTransit;
use chat_gateway_config::slots::{MovedSlot, SlotsAnswer, Transit};

/// What all shards say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Number of slots.
    pub slots: u32,
    /// Slots by number; those that nobody claims are absent.
    pub owners: BTreeMap<u32, Slot>,
    /// Slots on their way.
    pub transit: BTreeMap<u32, SlotInTransit>,
    /// Shards that did not answer, and why.
    pub silent: BTreeMap<String, String>,
    /// Shards that answered.
    pub heard: BTreeSet<String>,
    /// Moves that ended at a shard, by shard.
    pub moved: BTreeMap<String, Vec<MovedSlot>>,
    /// Bytes that the slowest standby of a shard has yet to flush, by shard.
    pub lag: BTreeMap<String, u64>,
    /// Rows and bytes of slots where they are written, if they were asked for.
    pub sizes: BTreeMap<u32, (u64, u64)>,
    /// Shards that have rows left of slots which are written elsewhere, by slot, if sizes were asked for.
    pub left: BTreeMap<u32, BTreeSet<String>>,
}

/// A slot that is written at a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The shard.
    pub shard: String,
    /// Since which epoch.
    pub epoch: u64,
}

impl Census {
    /// Of an answer. Of two shards that claim a slot the one of the higher epoch counts, which the protocol of a move rests on.
    #[must_use]
    pub fn of(answer: &SlotsAnswer) -> Self {
        let mut census = Self { slots: answer.slots, ..Self::default() };
        for shard in &answer.shards {
            if let Some(error) = &shard.error {
                census.silent.insert(shard.name.clone(), error.clone());
                continue;
            }
            census.heard.insert(shard.name.clone());
            for range in &shard.owned {
                for slot in range.first..=range.last {
                    let newer = census.owners.get(&slot).is_none_or(|known| known.epoch < range.epoch);
                    if newer {
                        census.owners.insert(slot, Slot { shard: shard.name.clone(), epoch: range.epoch });
                    }
                }
            }
            census.moved.insert(shard.name.clone(), shard.moved.clone());
            census.lag.extend(shard.lag_bytes.map(|lag| (shard.name.clone(), lag)));
        }
        for shard in &answer.shards {
            for size in &shard.sizes {
                if census.owners.get(&size.slot).is_some_and(|owner| owner.shard != shard.name) {
                    census.left.entry(size.slot).or_default().insert(shard.name.clone());
                } else {
                    census.sizes.insert(size.slot, (size.rows, size.bytes));
                }
            }
            // The destination knows how much was copied, the source how much waits; either may have nothing to say yet.
            for transit in &shard.arriving {
                census.note(transit, (&transit.peer, &shard.name));
            }
            for transit in &shard.leaving {
                census.note(transit, (&shard.name, &transit.peer));
            }
        }
        census
    }

    fn note(&mut self, transit: &Transit, (from, to): (&str, &str)) {
        let Ok(slot) = i32::try_from(transit.slot) else { return };
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let known = self.transit.entry(transit.slot).or_insert_with(|| SlotInTransit {
            slot,
            from: from.to_owned(),
            to: to.to_owned(),
            state: transit.state.clone(),
            rows: 0,
            backlog: 0,
        });
        // What the source says of its state counts, until it has nothing more to say.
        if transit.state != "importing" {
            known.state.clone_from(&transit.state);
        }
        known.rows = known.rows.max(number(transit.rows));
        known.backlog = known.backlog.max(number(transit.backlog));
    }

    /// Whether every slot is at a shard that answered, or on its way.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.silent.is_empty()
            && (0..self.slots).all(|slot| self.owners.contains_key(&slot) || self.transit.contains_key(&slot))
    }

    /// Slots of a shard.
    #[must_use]
    pub fn count(&self, shard: &str) -> usize {
        self.owners.values().filter(|slot| slot.shard == shard).count()
    }

    /// Whether a shard that answered has no slot, and none is on its way to or from it.
    #[must_use]
    pub fn is_empty(&self, shard: &str) -> bool {
        let touches = |transit: &SlotInTransit| transit.from == shard || transit.to == shard;
        self.heard.contains(shard) && self.count(shard) == 0 && !self.transit.values().any(touches)
    }

    /// Whether a slot has been handed over to `shard`.
    #[must_use]
    pub fn is_at(&self, slot: u32, shard: &str) -> bool {
        self.owners.get(&slot).is_some_and(|owner| owner.shard == shard) && !self.transit.contains_key(&slot)
    }
}
