//! The configuration as it is at this moment.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use chat_gateway_config::{GatewayConfig, stats::Taken};

/// The configuration that is in force. Only the fields of a [`chat_gateway_config::LiveConfig`] ever change.
pub struct Current {
    config: ArcSwap<GatewayConfig>,
    taken: ArcSwapOption<Taken>,
}

impl Current {
    /// In force from now on; nothing has been taken from a file yet.
    #[must_use]
    pub fn new(config: GatewayConfig) -> Self {
        Self { config: ArcSwap::from_pointee(config), taken: ArcSwapOption::empty() }
    }

    /// The whole configuration. Read it anew at each use, and do not keep it.
    #[must_use]
    pub fn get(&self) -> Guard<Arc<GatewayConfig>> {
        self.config.load()
    }

    /// What was taken from which files.
    #[must_use]
    pub fn taken(&self) -> Option<Taken> {
        self.taken.load().as_deref().cloned()
    }

    pub(super) fn set(&self, config: GatewayConfig) {
        self.config.store(Arc::new(config));
    }

    pub(super) fn tell(&self, taken: Taken) {
        self.taken.store(Some(Arc::new(taken)));
    }
}
