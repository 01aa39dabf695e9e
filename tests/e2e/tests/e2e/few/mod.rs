//! Tests that promise a time, or hold up others for a moment, and wait most of the time: `cargo xtask test` runs them when no other test runs, and
//! each takes its turn on the shared cluster, or among those with one of their own.

mod autoscaling;
mod backups;
mod bad_rollouts;
mod crowd;
mod delivery;
mod draining;
mod engines;
mod engines_installed;
mod evictions;
mod external_backends;
mod haproxy;
mod hints;
mod horizontal_pod_autoscaler;
mod kafka;
mod live_config;
mod long_crowd;
mod long_keda;
mod namespaced;
pub(crate) mod people;
mod plot;
mod rebalancing;
pub(crate) mod rollouts;
mod rotation;
mod scaled;
mod shards;
mod upgrades;
mod vanishing;
