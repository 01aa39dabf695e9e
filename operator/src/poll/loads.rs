//! What the gateways of each ChatCluster carry, for whoever scales them or draws them.

use std::sync::PoisonError;

#[cfg(test)]
use jiff::Timestamp;
#[cfg(test)]
use tokio::time::Instant;

use super::{Poller, Target, Verified};
#[cfg(test)]
use crate::autoscale::Report;
use crate::{
    autoscale::{Load, Reason},
    names::ClusterKey,
};

/// What a spec says of the gateways, as far as it matters here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Gateways wanted, by whoever decides.
    pub gateways: i32,
    /// Connections that each accepts.
    pub connections_per_gateway: u32,
}

/// What the gateways of a ChatCluster carry, and what is expected of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// What they said.
    pub load: Load,
    /// What is expected.
    pub expected: Expected,
    /// Why there are to be so many; `None` where the operator does not decide.
    pub reason: Option<Reason>,
    /// Whether delivery is verified; `None` while nobody knows.
    pub verified: Option<bool>,
}

impl Carried {
    fn of(target: &Target) -> Self {
        let decision = target.scaler.as_ref().map(|scaler| scaler.decision());
        let gateways = decision.map_or(target.expected.gateways, |decision| decision.desired);
        Self {
            load: target.load.clone(),
            expected: Expected { gateways, ..target.expected },
            reason: decision.map(|decision| decision.reason),
            verified: target.view.delivery.as_ref().and_then(|delivery| match delivery.verified {
                Verified::Yes => Some(true),
                Verified::No => Some(false),
                Verified::Unknown => None,
            }),
        }
    }
}

impl Poller {
    /// Tells what a spec expects of the gateways of `key`, which [`Poller::watch`] was told of before.
    pub fn expect(&self, key: &ClusterKey, expected: Expected) {
        if let Some(target) = self.targets.lock().unwrap_or_else(PoisonError::into_inner).get_mut(key) {
            target.expected = expected;
        }
    }

    /// What the gateways of `key` carry; `None` when there is no such ChatCluster.
    #[must_use]
    pub fn carried(&self, key: &ClusterKey) -> Option<Carried> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner).get(key).map(|target| Carried::of(target))
    }

    /// The same of all ChatClusters.
    #[must_use]
    pub fn all_carried(&self) -> Vec<(ClusterKey, Carried)> {
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.iter().map(|(key, target)| (key.clone(), Carried::of(target))).collect()
    }

    /// Takes a round in as if pods had been asked.
    #[cfg(test)]
    pub(crate) fn meter(&self, key: &ClusterKey, reports: &[Report]) {
        if let Some(target) = self.targets.lock().unwrap_or_else(PoisonError::into_inner).get_mut(key) {
            target.load = target.meter.round(reports, Instant::now(), Timestamp::now());
        }
    }
}
