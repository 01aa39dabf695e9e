//! The configuration as it is at this moment.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use chat_gateway_config::{GatewayConfig, stats::Taken};

/// The configuration that is in force. Only the fields of a [`chat_gateway_config::LiveConfig`] ever change.
pub struct Current {
    config: ArcSwap<GatewayConfig>,
    taken: ArcSwapOption<Taken>,
    /// Ids of the ways to RabbitMQ and to Redis that are known to be good.
    ways: ArcSwap<[Vec<String>; 2]>,
}

impl Current {
    /// In force from now on; nothing has been taken from a file yet.
    #[must_use]
    pub fn new(config: GatewayConfig) -> Self {
        Self { config: ArcSwap::from_pointee(config), taken: ArcSwapOption::empty(), ways: ArcSwap::default() }
    }

    /// The whole configuration. Read it anew at each use, and do not keep it.
    #[must_use]
    pub fn get(&self) -> Guard<Arc<GatewayConfig>> {
        self.config.load()
    }

    /// What was taken from which files.
    #[must_use]
    pub fn taken(&self) -> Option<Taken> {
        let taken = self.taken.load().as_deref().cloned()?;
        let [rabbitmq_uris, redis_urls] = <[_; 2]>::clone(&self.ways.load());
        Some(Taken { rabbitmq_uris, redis_urls, ..taken })
    }

    pub(super) fn set(&self, config: GatewayConfig) {
        self.config.store(Arc::new(config));
    }

    /// What is known anew of the ways to RabbitMQ and to Redis.
    pub(crate) fn tell_ways(&self, rabbitmq: Option<Vec<String>>, redis: Option<Vec<String>>) {
        let [before_rabbitmq, before_redis] = <[_; 2]>::clone(&self.ways.load());
        self.ways.store(Arc::new([rabbitmq.unwrap_or(before_rabbitmq), redis.unwrap_or(before_redis)]));
    }

    /// What was told last, without the ways.
    pub(super) fn told(&self) -> Option<Arc<Taken>> {
        self.taken.load_full()
    }

    pub(super) fn tell(&self, taken: Taken) {
        self.taken.store(Some(Arc::new(taken)));
    }
}
