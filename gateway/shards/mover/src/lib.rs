//! Moves one slot from one PostgreSQL shard to another while it is in use.
//!
//! The steps, what they refuse, and why, are those of the crate `chat-shard-protocol`: every change of a slot's row here is what one of its
//! functions answered for the row as it was read under the slot's lock. This crate adds the SQL: rows are copied in the order of their keys
//! ([`Step::Copy`]), keys that were written meanwhile are brought over again ([`Step::Drain`]), everything is compared, and then writes wait for
//! a bounded time until the slot is handed over. A mover owns nothing that outlives it: what it has done stands in the two databases, and the
//! next one with the same [`Plan`] goes on there.
//!
//! Copying needs the rights of the tables' owner, and of `pg_read_all_stats` where there are standbys.

mod abort;
mod activate;
mod begin;
mod book;
mod chunks;
mod clean;
mod compare;
mod copy;
mod drain;
mod error;
mod fence;
mod flush;
mod layout;
mod lock;
mod mover;
mod observe;
mod options;
mod prints;
mod ranges;
mod row;
mod shard;
mod silent;
mod strain;
mod tables;
mod throttle;
mod tuples;
mod wire;

pub use begin::pending;
pub use chat_shard_protocol::Refusal;
pub use error::MoveError;
pub use mover::{Mover, Plan, Report};
pub use observe::{Observer, Point, Progress, Step, Stop};
pub use options::{FENCE_SPACE, Options};
pub use shard::Shard;
pub use strain::{Gauge, Strain};
