//! The API types of ChatCluster and ShardRebalance: `chatcluster.dev/v1alpha1`. Types, bounds, CEL rules and defaults; no client and no I/O.

#![allow(unreachable_pub, reason = "the schema derive repeats each struct, visibility included, inside a function")]

pub mod chat_cluster;
mod conditions;
pub mod keys;
pub mod next_steps;
mod reference;
pub mod render;
pub mod shard_rebalance;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use chat_cluster::{ChatCluster, ChatClusterSpec, ChatClusterStatus};
pub use shard_rebalance::{ShardRebalance, ShardRebalanceSpec, ShardRebalanceStatus};
