//! What a ChatCluster of a given size needs: gateways, broker, Redis, shards. Pure arithmetic on [costs](Costs) that were measured or, where
//! nobody measured, assumed, and a [simulation] that checks the result by other means. No I/O, and nothing of Kubernetes.

mod cache;
mod costs;
mod gateways;
mod kafka;
mod limit;
mod outlook;
mod plan;
mod rabbitmq;
mod redis_pubsub;
mod shards;
pub mod simulation;
mod sizes;
pub mod tables;
mod workload;

pub use costs::{Basis, Cost, Costs};
pub use limit::{Limit, LimitKind, Tier};
pub use outlook::{Bottleneck, Outlook};
pub use plan::{Headroom, Part, Plan, TierPlan, plan};
pub use sizes::Sizes;
pub use workload::{BrokerKind, OutOfBounds, Workload};

/// Gateways that a ChatCluster has at most, by its schema.
pub const MOST_GATEWAYS: u64 = 500;
/// Shards that a ChatCluster has at most, by its schema.
pub const MOST_SHARDS: u64 = 1_024;
/// Slots that a ChatCluster has if it says nothing, and at most.
pub const SLOTS: (u64, u64) = (1_024, 65_536);
/// Partitions of a Kafka topic at most, by the schema.
pub const MOST_PARTITIONS: u64 = 1_000;
