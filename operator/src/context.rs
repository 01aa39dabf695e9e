//! What every pass is given.

use std::sync::Arc;

use kube::Client;

use crate::{
    admitted::Admitted, backoff::Backoff, cache::Cache, echoes::Echoes, engines::Registry, events::Announcer,
    metrics::Metrics, poll::Poller, rebalance::Memory, reconcile::Environment,
};

/// What every pass is given.
#[derive(Clone)]
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Images and the operator's namespace.
    pub environment: Arc<Environment>,
    /// Children and pods, as watches brought them.
    pub cache: Arc<Cache>,
    /// Answers of the gateways.
    pub poller: Arc<Poller>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// What is remembered of shards between passes.
    pub memory: Arc<Memory>,
    /// What is remembered of engines that other operators run, for the watches.
    pub engines: Arc<Registry>,
    /// Failures in a row of every cluster.
    pub backoff: Arc<Backoff>,
    /// What became of children that somebody changes on their way.
    pub admitted: Arc<Admitted>,
    /// What the operator wrote last into each ChatCluster.
    pub echoes: Arc<Echoes>,
    /// Publishes Events.
    pub announcer: Arc<Announcer>,
}
