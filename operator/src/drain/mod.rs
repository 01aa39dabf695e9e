//! Gateways that are one too many go the way that costs people least: the emptiest first, nobody new to it, its clients moved at a pace that
//! all moves of the ChatCluster share, and its pod deleted when nobody is left.
//!
//! What is under way is kept on the pods: a mark with its time. An operator that starts anew goes on where the one before stopped.

mod budget;
mod plan;
mod pulse;
mod rebalance;

#[cfg(test)]
pub(crate) use self::plan::tests as testing;
pub(crate) use self::rebalance::LANDING;
pub use self::{
    budget::Budget,
    plan::{Gateway, Plan, Rules, Successors, plan},
    pulse::Pulse,
    rebalance::{Rebalance, Shedding, Tolerance},
};
