//! Backups of managed shards, and where a managed shard begins.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Dumps of all managed shards, begun at the same moment, onto a volume that exists already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShardBackup {
    /// When one is made: minute, hour, day of month, month and day of week, such as `0 3 * * *`.
    #[schemars(length(min = 9, max = 128))]
    pub cron: String,

    /// Time zone of `cron` by its IANA name, such as `Europe/Berlin`; UTC if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,

    /// Complete backups that are kept; older ones are deleted after each new one. 7 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000))]
    pub keep: Option<i32>,

    /// The volume. Nothing else may write into its folder of the ChatCluster's name.
    pub persistent_volume_claim: BackupVolume,
}

impl ShardBackup {
    /// Complete backups that are kept.
    #[must_use]
    pub fn effective_keep(&self) -> i32 {
        self.keep.unwrap_or(7)
    }
}

/// A volume for backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupVolume {
    /// Name of a PersistentVolumeClaim in the ChatCluster's namespace.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub claim_name: String,
}

/// A backup that a managed shard begins with. It is looked at when the shard's own volume is empty, and never again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShardRestore {
    /// The volume with it.
    pub persistent_volume_claim: BackupVolume,

    /// Its folder: name of the ChatCluster that it was made of, and when, such as `demo/20260131T030000Z`.
    #[schemars(length(min = 18, max = 80), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[0-9]{8}T[0-9]{6}Z$"))]
    pub backup: String,
}

/// How backups go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// When one was begun last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>,

    /// When one was complete last. Absent until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_time: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>,
}
