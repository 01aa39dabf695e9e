//! The books of delivery: what became of messages, slot by slot, and what certainly went wrong with one.
//!
//! Counting is an addition to an atomic; nobody waits for anybody. What the counters mean is said at
//! [`chat_gateway_config::delivery::DeliveryCounters`], what follows from them in `docs/explanation/delivery.md`.

pub(crate) mod audit;
mod promises;
mod slots;
mod violations;

use chat_gateway_config::delivery::{Breach, Delivery, DeliveryCounters, DeliveryStats};
use jiff::Timestamp;

use self::{promises::Promises, slots::Slots, violations::Violations};
use crate::model::{RoomId, Seq};

/// What was counted for a room at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) accepted: u32,
    pub(crate) committed: u32,
    pub(crate) published: u32,
    pub(crate) delivered: u32,
    pub(crate) deduplicated: u32,
    pub(crate) backfilled: u32,
}

/// The books of one gateway, since the start of its process.
#[derive(Debug)]
pub struct Books {
    slots: Slots,
    promises: Promises,
    violations: Violations,
    started_ms: i64,
}

impl Books {
    /// Empty books of a cluster with so many slots; 0 is treated as 1.
    #[must_use]
    pub fn new(slots: u32) -> Self {
        Self {
            slots: Slots::new(slots),
            promises: Promises::default(),
            violations: Violations::default(),
            started_ms: Timestamp::now().as_millisecond(),
        }
    }

    /// Counts for a room.
    pub(crate) fn count(&self, room: RoomId, counted: Counted) {
        self.slots.add(self.slots.of(room), counted);
    }

    /// Counts a message that was acknowledged, and remembers some of them for the [`audit`].
    pub(crate) fn accepted(&self, room: RoomId, seq: Seq) {
        self.promises.note(room, seq);
        self.count(room, Counted { accepted: 1, ..Counted::default() });
    }

    /// The slot of a room.
    pub(crate) fn slot(&self, room: RoomId) -> u32 {
        u32::try_from(self.slots.of(room)).unwrap_or_default()
    }

    /// Notes that a promise was broken.
    pub(crate) fn violated(&self, breach: Breach, room: RoomId, seq: Seq) {
        let slot = self.slot(room);
        tracing::error!(%room, slot, seq, ?breach, "a promise about a message was broken");
        self.violations.note(breach, (room, slot), seq);
    }

    /// What `/stats` says.
    #[must_use]
    pub fn stats(&self) -> DeliveryStats {
        let (violations, last) = self.violations.last();
        DeliveryStats {
            started_ms: self.started_ms,
            totals: self.totals(),
            violations,
            last_violation: last.map(Box::new),
        }
    }

    /// Sums over all slots.
    #[must_use]
    pub fn totals(&self) -> DeliveryCounters {
        let mut totals = DeliveryCounters::default();
        self.slots.used().for_each(|slot| totals.add(slot.counters));
        totals
    }

    /// How many violations were seen.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.violations.last().0
    }

    /// What `GET /delivery` answers.
    #[must_use]
    pub fn delivery(&self, gateway: &str) -> Delivery {
        let mut totals = DeliveryCounters::default();
        let slots: Vec<_> = self.slots.used().inspect(|slot| totals.add(slot.counters)).collect();
        let violations = self.violations.newest();
        Delivery { gateway: gateway.to_owned(), started_ms: self.started_ms, totals, violations, slots }
    }
}

#[cfg(test)]
mod tests {
    use chat_gateway_config::delivery::SlotDelivery;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_counted_for_a_room_stands_in_its_slot_and_in_the_sum() {
        let (books, room) = (Books::new(1_024), RoomId(Uuid::from_u128(7)));
        books.count(room, Counted { committed: 2, ..Counted::default() });
        books.accepted(room, 1);
        books.count(room, Counted { delivered: 3, ..Counted::default() });
        let counters = DeliveryCounters { accepted: 1, committed: 2, delivered: 3, ..DeliveryCounters::default() };
        let slot = u32::try_from(chat_shards::slot_of(room.0, 1_024)).unwrap();
        let told = books.delivery("g");
        assert_eq!((told.totals, told.slots), (counters, vec![SlotDelivery { slot, counters }]));
        assert_eq!((books.totals(), books.violations()), (counters, 0));
    }

    #[test]
    fn a_violation_is_told_with_its_place() {
        let (books, room) = (Books::new(16), RoomId(Uuid::from_u128(7)));
        assert_eq!(books.stats().last_violation, None);
        books.violated(Breach::Hole, room, 5);
        let DeliveryStats { violations, last_violation: Some(last), .. } = books.stats() else { panic!("none") };
        assert_eq!((violations, last.breach, last.seq), (1, Breach::Hole, 5));
        assert_eq!((last.room, i64::from(last.slot)), (room.to_string(), chat_shards::slot_of(room.0, 16).into()));
    }
}
