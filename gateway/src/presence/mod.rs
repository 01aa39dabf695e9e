//! Who is online. [`Presence`] is the contract; `redis` shares it between gateways, `memory` keeps it in one process.
//!
//! Presence is ephemeral: it lives in Redis under a time to live that each gateway renews, never in the database, and while Redis is
//! away every answer degrades to what this gateway knows itself.
//!
//! Gateways also watch each other: what a gateway that died can no longer tell of its users, one of the others tells.

use std::time::Duration;

use async_trait::async_trait;

mod counts;
mod late;
mod memory;
mod redis;
mod roll;

pub use memory::MemoryPresence;
pub use redis::RedisPresence;

use crate::model::UserId;

/// Users of a gateway that died, with whom one other gateway is charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estate {
    /// The gateway that died.
    pub gateway: String,
    /// Some of its users.
    pub users: Vec<UserId>,
    /// Those of them who are online nowhere any more: others should hear of it.
    pub offline: Vec<UserId>,
}

/// Who is online, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attendance {
    /// For each user who was asked for, in that order.
    pub users: Vec<bool>,
    /// Some who are not online here may be so on another gateway: what gateways share did not answer.
    pub incomplete: bool,
}

/// What others should hear of, since what they heard or were answered before may have been wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Users who are online here.
    pub online: Vec<UserId>,
    /// Users who are online nowhere.
    pub offline: Vec<UserId>,
}

/// The contract.
#[async_trait]
pub trait Presence: Send + Sync + 'static {
    /// Counts one more session of a user on this gateway. True when it is the user's first on any gateway: others should hear of it.
    async fn arrive(&self, user: UserId) -> bool;

    /// Counts one session less. True when it was the user's last on any gateway.
    async fn leave(&self, user: UserId) -> bool;

    /// Which of these users are online.
    async fn online(&self, users: &[UserId]) -> Attendance;

    /// How often [`Presence::beat`] must be called; `None` when there are no other gateways.
    fn pulse(&self) -> Option<Duration> {
        None
    }

    /// Tells the other gateways that this one lives. Answers those of whom others should hear again: because this gateway had counted as dead, or
    /// because what gateways share did not take their coming or going at once.
    async fn beat(&self) -> News {
        News::default()
    }

    /// Takes charge of some users of a gateway that died; no other gateway is charged with them meanwhile. `None` when there are none
    /// to take charge of now. Users come again, at times to another gateway, unless [`Presence::settle`] says that they were told of.
    async fn inherit(&self) -> Option<Estate> {
        None
    }

    /// Ends a charge.
    async fn settle(&self, _: Estate) {}
}
