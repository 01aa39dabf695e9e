//! What a unit of a tier may run out of.

use serde::Serialize;

use crate::Basis;

/// A part of a ChatCluster of which there are one or more units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Tier {
    /// chat-gateway.
    Gateways,
    /// What carries messages between gateways.
    Broker,
    /// The Redis of limits and presence: one server, whose scripts a Redis Cluster refuses.
    Cache,
    /// PostgreSQL.
    Shards,
}

/// What runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LimitKind {
    /// Processors of a unit.
    Processor,
    /// Memory of a unit, bytes.
    Memory,
    /// What a unit sends, bytes a second.
    Network,
    /// Connections of clients to one gateway.
    Connections,
    /// Deliveries a second through one gateway's queue in RabbitMQ.
    Queue,
    /// Seconds until everybody of a lost gateway is back.
    Reconnect,
    /// Texts that one shard commits in a second.
    Commits,
    /// Disk of a shard, bytes.
    Disk,
    /// Units that the schema of a ChatCluster allows.
    Units,
    /// Slots that a shard has at least: none is left for one more shard.
    Slots,
    /// Partitions that the schema of a ChatCluster allows for a topic.
    Partitions,
}

/// How much of something one unit needs, and has.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limit {
    /// Where.
    pub tier: Tier,
    /// Of what.
    pub kind: LimitKind,
    /// What one unit needs.
    pub load: f64,
    /// What one unit has.
    pub capacity: f64,
    /// The part of the capacity that may be used.
    pub ceiling: f64,
    /// The weakest of the figures that this rests on.
    pub basis: Basis,
}

impl Limit {
    /// The part of the capacity that is used; 1 is all of it.
    #[must_use]
    pub fn utilization(&self) -> f64 {
        if self.load <= 0.0 { 0.0 } else { self.load / self.capacity }
    }

    /// Whether no more is used than may be.
    #[must_use]
    pub fn holds(&self) -> bool {
        // The sum of many parts may miss its bound by the last bits.
        self.utilization() <= self.ceiling * (1.0 + 1e-9)
    }
}
