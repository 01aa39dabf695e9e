//! What the status of each ChatCluster says, as metrics.

use chat_crds::{ChatClusterStatus, chat_cluster::ConditionType};
use prometheus::{IntGaugeVec, Registry};

use super::{families, registered};
use crate::names::ClusterKey;

/// What the status of each ChatCluster says; the last word on each stays until it goes.
#[derive(Debug)]
pub struct Told {
    conditions: IntGaugeVec,
    pending: IntGaugeVec,
}

impl Told {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |family| registered(registry, IntGaugeVec::new(super::opts(&family), family.labels)?);
        Ok(Self { conditions: gauge(families::CONDITION)?, pending: gauge(families::CHANGES_PENDING)? })
    }

    /// Takes the word of a status.
    pub fn note(&self, ClusterKey { namespace, name }: &ClusterKey, status: &ChatClusterStatus) {
        for condition in &status.conditions {
            let value = match condition.status.as_str() {
                "True" => 1,
                "False" => 0,
                _ => -1,
            };
            self.conditions.with_label_values(&[namespace, name, &condition.type_]).set(value);
        }
        let pending = status.pending_changes.as_ref().map_or(0, |pending| pending.count);
        self.pending.with_label_values(&[namespace, name]).set(pending.into());
    }

    /// Forgets a ChatCluster that has gone, or about which nothing was ever said.
    pub fn forget(&self, ClusterKey { namespace, name }: &ClusterKey) {
        // An error says that there was none.
        for type_ in ConditionType::ALL {
            let _ = self.conditions.remove_label_values(&[namespace, name, type_.as_str()]);
        }
        let _ = self.pending.remove_label_values(&[namespace, name]);
    }
}
