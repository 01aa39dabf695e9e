//! Slots, schema and guarded functions of the database shards.
//!
//! This crate knows SQL and slots, and nothing of connections pools, configuration files or retries: those belong to the
//! gateway's store and to its `migrate` command.

mod access;
mod distribute;
mod identity;
mod look;
mod refusal;
mod schema;
mod scram;

pub use access::{AccessError, GATEWAY_ROLE, Login, SECOND_ROLE, grant_access, set_password};
pub use chat_shard_protocol::slot_of;
pub use distribute::{Census, DistributeError, Holding, Plan, census, plan, write_plan};
pub use identity::{Identity, IdentityError, claim_identity};
pub use look::{Sight, are_one_cluster, look, write_peers};
pub use refusal::Refusal;
pub use schema::{MIGRATION_LOCK, SCHEMA_VERSION, SLOT_LOCK_CLASS, migrate};
