//! Counters for each slot. Blocks of slots come into being with the first count in one of them: a gateway with few rooms, or a cluster with
//! 65,536 slots, takes little.

use std::sync::{
    OnceLock,
    atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use chat_gateway_config::delivery::{DeliveryCounters, SlotDelivery};

use super::Counted;
use crate::model::RoomId;

/// Slots of one block, which takes 3 KiB.
const BLOCK: usize = 64;

/// Counters of all slots: 16 bytes for each block that nothing was counted in, which makes 16 KiB for 65,536 slots and 3.1 MiB when all of
/// them are used.
#[derive(Debug)]
pub(super) struct Slots {
    slots: u32,
    blocks: Box<[OnceLock<Box<[Slot; BLOCK]>>]>,
}

#[derive(Debug, Default)]
struct Slot {
    accepted: AtomicU64,
    committed: AtomicU64,
    published: AtomicU64,
    delivered: AtomicU64,
    deduplicated: AtomicU64,
    backfilled: AtomicU64,
}

impl Slots {
    pub(super) fn new(slots: u32) -> Self {
        let slots = slots.max(1);
        Self { slots, blocks: (0..(slots as usize).div_ceil(BLOCK)).map(|_| OnceLock::new()).collect() }
    }

    /// The slot of a room.
    pub(super) fn of(&self, room: RoomId) -> i32 {
        chat_shards::slot_of(room.0, self.slots)
    }

    pub(super) fn add(&self, slot: i32, counted: Counted) {
        let slot = usize::try_from(slot).unwrap_or_default();
        let Some(block) = self.blocks.get(slot / BLOCK) else { return };
        let block = block.get_or_init(|| Box::new(std::array::from_fn(|_| Slot::default())));
        let slot = &block[slot % BLOCK];
        let Counted { accepted, committed, published, delivered, deduplicated, backfilled } = counted;
        if accepted > 0 {
            // With it everybody sees the commit, which was counted by the same task before.
            slot.accepted.fetch_add(accepted.into(), Release);
        }
        if committed > 0 {
            slot.committed.fetch_add(committed.into(), Relaxed);
        }
        if published > 0 {
            slot.published.fetch_add(published.into(), Relaxed);
        }
        if delivered > 0 {
            slot.delivered.fetch_add(delivered.into(), Relaxed);
        }
        if deduplicated > 0 {
            slot.deduplicated.fetch_add(deduplicated.into(), Relaxed);
        }
        if backfilled > 0 {
            slot.backfilled.fetch_add(backfilled.into(), Relaxed);
        }
    }

    /// The slots in which something was counted.
    pub(super) fn used(&self) -> impl Iterator<Item = SlotDelivery> {
        let blocks = self.blocks.iter().enumerate().filter_map(|(nth, block)| Some((nth, &**block.get()?)));
        let all =
            blocks.flat_map(|(nth, block)| block.iter().enumerate().map(move |(at, slot)| (nth * BLOCK + at, slot)));
        all.filter_map(|(number, slot)| {
            let counters = slot.read();
            let slot = u32::try_from(number).unwrap_or(u32::MAX);
            (counters != DeliveryCounters::default()).then_some(SlotDelivery { slot, counters })
        })
    }
}

impl Slot {
    /// A message is committed before it is accepted, so they are read the other way round: nobody ever sees more that were accepted.
    fn read(&self) -> DeliveryCounters {
        let accepted = self.accepted.load(Acquire);
        DeliveryCounters {
            accepted,
            committed: self.committed.load(Relaxed),
            published: self.published.load(Relaxed),
            delivered: self.delivered.load(Relaxed),
            deduplicated: self.deduplicated.load(Relaxed),
            backfilled: self.backfilled.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> Counted {
        Counted { published: 1, backfilled: 2, ..Counted::default() }
    }

    #[test]
    fn only_blocks_that_are_used_are_there() {
        let slots = Slots::new(65_536);
        for slot in [0, 63, 65_535] {
            slots.add(slot, one());
        }
        slots.add(65_536, one());
        slots.add(0, one());
        let used: Vec<_> = slots.used().map(|slot| (slot.slot, slot.counters.published)).collect();
        assert_eq!(used, [(0, 2), (63, 1), (65_535, 1)]);
        assert_eq!(slots.blocks.iter().filter(|block| block.get().is_some()).count(), 2);
        assert_eq!(slots.used().map(|slot| slot.counters.backfilled).sum::<u64>(), 8);
    }

    #[test]
    fn a_cluster_has_a_slot_at_least() {
        let slots = Slots::new(0);
        slots.add(slots.of(RoomId(uuid::Uuid::max())), one());
        assert_eq!(slots.used().count(), 1);
    }
}
