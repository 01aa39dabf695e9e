//! Who is online. [`Presence`] is the contract; `redis` shares it between gateways, `memory` keeps it in one process.
//!
//! Presence is ephemeral: it lives in Redis under a time to live that each gateway renews, never in the database, and while Redis is
//! away every answer degrades to what this gateway knows itself.

use async_trait::async_trait;

mod counts;
mod memory;
mod redis;

pub use memory::MemoryPresence;
pub use redis::RedisPresence;

use crate::model::UserId;

/// The contract.
#[async_trait]
pub trait Presence: Send + Sync + 'static {
    /// Counts one more session of a user on this gateway. True when it is the user's first on any gateway: others should hear of it.
    async fn arrive(&self, user: UserId) -> bool;

    /// Counts one session less. True when it was the user's last on any gateway.
    async fn leave(&self, user: UserId) -> bool;

    /// Which of these users are online, in the same order.
    async fn online(&self, users: &[UserId]) -> Vec<bool>;
}
