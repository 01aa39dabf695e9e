//! What is known of each ChatCluster from its last pass, as metrics.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use chat_crds::{
    ChatClusterStatus,
    chat_cluster::{BackupStatus, ConditionType},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use prometheus::{IntGaugeVec, Registry};

use super::{families, registered};
use crate::names::ClusterKey;

/// What the status of each ChatCluster says; the last word on each stays until it goes.
#[derive(Debug)]
pub struct Told {
    conditions: IntGaugeVec,
    pending: IntGaugeVec,
    expiries: OfSecrets,
    rotations: OfSecrets,
    backups_begun: IntGaugeVec,
    backups_whole: IntGaugeVec,
}

/// A gauge for some Secrets of each ChatCluster.
#[derive(Debug)]
struct OfSecrets {
    gauge: IntGaugeVec,
    /// Those that have a value. A std mutex, held for map operations.
    told: Mutex<BTreeMap<ClusterKey, Vec<String>>>,
}

impl OfSecrets {
    fn new(gauge: IntGaugeVec) -> Self {
        Self { gauge, told: Mutex::default() }
    }

    /// Takes in the values by Secret. Others of the ChatCluster are forgotten.
    fn set(&self, key: &ClusterKey, all: Vec<(String, i64)>) {
        let ClusterKey { namespace, name } = key;
        for (secret, value) in &all {
            self.gauge.with_label_values(&[namespace, name, secret]).set(*value);
        }
        let now: Vec<String> = all.into_iter().map(|(secret, _)| secret).collect();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let before = if now.is_empty() { told.remove(key) } else { told.insert(key.clone(), now.clone()) };
        for secret in before.unwrap_or_default().iter().filter(|secret| !now.contains(secret)) {
            // An error says that there was none.
            let _ = self.gauge.remove_label_values(&[namespace, name, secret]);
        }
    }
}

impl Told {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |family| registered(registry, IntGaugeVec::new(super::opts(&family), family.labels)?);
        Ok(Self {
            conditions: gauge(families::CONDITION)?,
            pending: gauge(families::CHANGES_PENDING)?,
            expiries: OfSecrets::new(gauge(families::CERTIFICATE_EXPIRY)?),
            rotations: OfSecrets::new(gauge(families::ROTATION_PENDING)?),
            backups_begun: gauge(families::BACKUP_SCHEDULE)?,
            backups_whole: gauge(families::BACKUP_SUCCESS)?,
        })
    }

    /// Takes the word of a status.
    pub fn note(&self, key: &ClusterKey, status: &ChatClusterStatus) {
        let ClusterKey { namespace, name } = key;
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
        self.backup(key, status.backup.as_ref());
    }

    /// Takes in how backups go; `None` where none are wanted.
    fn backup(&self, ClusterKey { namespace, name }: &ClusterKey, backup: Option<&BackupStatus>) {
        let whole = backup.and_then(|backup| backup.last_successful_time.as_ref());
        let begun = backup.and_then(|backup| backup.last_schedule_time.as_ref()).or(whole);
        let seconds = |time: &Time| time.0.as_second();
        let whole = begun.map(|_| whole.map_or(0, seconds));
        for (gauge, value) in [(&self.backups_begun, begun.map(seconds)), (&self.backups_whole, whole)] {
            match value {
                Some(value) => gauge.with_label_values(&[namespace, name]).set(value),
                // An error says that there was none.
                None => drop(gauge.remove_label_values(&[namespace, name])),
            }
        }
    }

    /// Takes in when certificates end, by their Secrets.
    pub fn deadlines(&self, key: &ClusterKey, all: Vec<(String, i64)>) {
        self.expiries.set(key, all);
    }

    /// Takes in which Secrets are being replaced.
    pub fn rotations(&self, key: &ClusterKey, secrets: Vec<String>) {
        self.rotations.set(key, secrets.into_iter().map(|secret| (secret, 1)).collect());
    }

    /// Forgets a ChatCluster that has gone, or about which nothing was ever said.
    pub fn forget(&self, key: &ClusterKey) {
        self.deadlines(key, Vec::new());
        self.rotations(key, Vec::new());
        self.backup(key, None);
        let ClusterKey { namespace, name } = key;
        // An error says that there was none.
        for type_ in ConditionType::ALL {
            let _ = self.conditions.remove_label_values(&[namespace, name, type_.as_str()]);
        }
        let _ = self.pending.remove_label_values(&[namespace, name]);
    }
}
