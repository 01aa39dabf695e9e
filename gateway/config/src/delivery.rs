//! What a gateway counts of the messages that go through it, slot by slot: the answer of `/delivery`, and the part of it that `/stats` repeats.

use serde::{Deserialize, Serialize};

/// Counters since the start of the process. An entry of any kind (text, edit, deletion, reaction) counts as a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeliveryCounters {
    /// Messages of clients of this gateway that it acknowledged with `sent`; repeats are not counted again.
    pub accepted: u64,
    /// Messages that the store wrote for this gateway and gave a seq. At least as many as were accepted: who is gone when the answer comes is
    /// not acknowledged.
    pub committed: u64,
    /// Messages that this gateway handed to the broker, and the broker confirmed. Those that another gateway left in its outbox count where
    /// they are published, and a message that is published twice counts twice.
    pub published: u64,
    /// `message` events put into the queues of connections: one message to three connections counts three times.
    pub delivered: u64,
    /// Messages that the broker brought although every connection here that follows the room had them.
    pub deduplicated: u64,
    /// Messages read from the store since the broker did not bring them in time.
    pub backfilled: u64,
}

/// One slot in which something was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotDelivery {
    /// The slot.
    pub slot: u32,
    /// Its counters.
    #[serde(flatten)]
    pub counters: DeliveryCounters,
}

/// What a promise was broken by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Breach {
    /// A message was acknowledged, and the store says later that its room has not come so far.
    Unstored,
    /// The store has later messages of a room and not this one.
    Hole,
    /// One that a later version knows.
    #[serde(other)]
    Other,
}

/// A promise that was certainly broken, as a gateway saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// When it was seen, milliseconds of the Unix epoch by the gateway's clock.
    pub at_ms: i64,
    /// What happened.
    pub breach: Breach,
    /// Id of the room.
    pub room: String,
    /// Slot of the room.
    pub slot: u32,
    /// The message.
    pub seq: i64,
}

/// What `/stats` says of delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryStats {
    /// When the process started, milliseconds of the Unix epoch: with another value all counters began anew.
    pub started_ms: i64,
    /// Sums over all slots.
    pub totals: DeliveryCounters,
    /// Violations seen so far.
    #[serde(default)]
    pub violations: u64,
    /// The newest one. Boxed: there is mostly none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_violation: Option<Box<Violation>>,
}

/// The answer of `GET /delivery`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Name of the gateway, its pod's name.
    pub gateway: String,
    /// When the process started, milliseconds of the Unix epoch: with another value all counters began anew.
    pub started_ms: i64,
    /// Sums over all slots.
    pub totals: DeliveryCounters,
    /// Violations seen so far, the newest last, at most 16.
    pub violations: Vec<Violation>,
    /// Slots in which something was counted, in ascending order.
    pub slots: Vec<SlotDelivery>,
}

impl DeliveryCounters {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: Self) {
        let Self { accepted, committed, published, delivered, deduplicated, backfilled } = other;
        self.accepted += accepted;
        self.committed += committed;
        self.published += published;
        self.delivered += delivered;
        self.deduplicated += deduplicated;
        self.backfilled += backfilled;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_one_flat_object_and_what_a_later_version_says_can_be_read() {
        let counters = DeliveryCounters { accepted: 1, committed: 2, ..DeliveryCounters::default() };
        let text = serde_json::to_string(&SlotDelivery { slot: 3, counters }).unwrap_or_default();
        assert_eq!(
            text,
            r#"{"slot":3,"accepted":1,"committed":2,"published":0,"delivered":0,"deduplicated":0,"backfilled":0}"#
        );
        let later = r#"{"startedMs":1,"totals":{"accepted":5,"forwarded":1},"violations":1,
            "lastViolation":{"atMs":2,"breach":"eaten","room":"r","slot":1,"seq":4}}"#;
        let read: DeliveryStats = serde_json::from_str(later).unwrap_or_default();
        assert_eq!((read.totals.accepted, read.last_violation.map(|last| last.breach)), (5, Some(Breach::Other)));
    }
}
