//! What may change while a gateway runs: the configuration as it is at this moment, and how it follows its files.
//!
//! A change is taken as a whole or not at all: whatever was in force goes on when the files hold something that cannot be used. No connection is
//! closed because of a change.

mod current;
mod follow;
mod shards;

pub use current::Current;
pub use follow::{Follower, Swaps};
pub use shards::ShardsFolder;
