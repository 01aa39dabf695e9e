//! The ShardRebalance resource, version v1alpha1: slots that are to move between the shards of a ChatCluster, and how far they are.

mod spec;
mod status;

pub use spec::{ClusterRef, MoveRequest, ShardRebalance, ShardRebalanceSpec};
pub use status::{
    Pauses, PlannedMoves, RebalancePlan, RebalanceProgress, RebalanceState, ShardRebalanceStatus, SlotInTransit,
};
