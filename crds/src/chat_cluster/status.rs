//! What the operator tells.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{
    BackupStatus, CloudNativePg, DeletionPolicy, Passwords, PendingChanges, RolloutStatus, ShardSecretRef, ShardTls,
};

/// What the operator observed. Everything in it is observed or computed; nothing is taken from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChatClusterStatus {
    /// Generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Ready, Reconciling, Stalled, and one condition for each part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::conditions::schema")]
    pub conditions: Vec<Condition>,

    /// Label selector of the gateways' pods, for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1_024))]
    pub selector: Option<String>,

    /// Gateways that exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,

    /// Gateways that are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,

    /// Open client connections over all gateways, a few seconds old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<i64>,

    /// Hash of the gateways' image and configuration that all ready gateways run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub revision: Option<String>,

    /// The operator's last decision on how many gateways there are, and why; absent unless `spec.gateways.autoscaling.mode` is Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<AutoscalingStatus>,

    /// Gateways that are one too many and are being emptied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub draining: Vec<DrainingGateway>,

    /// Clients a second that may be asked to connect elsewhere now, over all gateways and for whatever reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moves_per_second: Option<i64>,

    /// The rollout that is under way or has failed; absent when all gateways are of the newest revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutStatus>,

    /// What this operator would change about pods that run, and does not until `spec.adoption` says so; absent when they are as it makes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_changes: Option<PendingChanges>,

    /// Backups of the managed shards; absent unless `spec.database.backup` wants them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupStatus>,

    /// Each shard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1_024))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub shards: Vec<ShardStatus>,

    /// The values in force, defaults included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<Effective>,
}

/// A decision of the operator's autoscaler, with what it was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoscalingStatus {
    /// Gateways wanted.
    pub desired_replicas: i32,
    /// Why, in a word: `Settled`, `DemandRose`, `DemandFell`, `ScheduleBegan`, `GatewayBusy`, `LimitsChanged`, `AtMaximum`, `Stabilizing`, `GatewaysNotReady`, `RollingOut`, `Rebalancing`, `MetricsStale`, `Paused` or `Starting`.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// Why, in a sentence.
    #[schemars(length(max = 1_024))]
    pub message: String,
    /// Open connections over all gateways, those that are leaving included. Of a gateway that does not answer, what it said last.
    pub connections: i64,
    /// Messages a second that gateways took from clients.
    pub messages_per_second: i64,
    /// Gateways whose word is older than ten seconds, or that have not said anything yet.
    pub stale_gateways: i32,
    /// When the number was changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_scale_time: Option<Time>,
}

/// A gateway that is being emptied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrainingGateway {
    /// Name of its pod.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Since when.
    pub since: Time,
}

/// One shard as the gateways see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShardStatus {
    /// Name of the shard.
    #[schemars(length(max = 20))]
    pub name: String,
    /// Slots that it owns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<i32>,
    /// Whether every gateway reaches it.
    pub available: bool,
    /// What becomes of it; absent where it is simply there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<ShardPhase>,
    /// Rows in it, about, when slots were planned last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// Bytes on disk, about, when slots were planned last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// Bytes of the write-ahead log that its slowest standby had yet to flush, when slots were planned last; absent without standbys, or where they cannot be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_bytes: Option<i64>,
    /// `standbys` of the spec, which is needed until the shard is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standbys: Option<i32>,
    /// `cloudNativePG` of the spec, which is needed until the shard is left.
    #[serde(default, rename = "cloudNativePG", skip_serializing_if = "Option::is_none")]
    pub cloud_native_pg: Option<CloudNativePg>,
    /// The Secret with its URIs, of a shard whose spec names one: it is needed until the shard is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_secret_ref: Option<ShardSecretRef>,
    /// `tls` of the spec, which is needed until the shard is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ShardTls>,
}

/// What becomes of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum ShardPhase {
    /// It is new, and not every gateway has it yet.
    Joining,
    /// The spec has it no more, and slots of it are on their way to others.
    Leaving,
    /// Its slots have left it, and gateways are letting go of it.
    Released,
}

/// The values in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Effective {
    /// Image of the gateways.
    #[schemars(length(max = 512))]
    pub image: String,
    /// Gateways wanted.
    pub replicas: i32,
    /// Connections that one gateway accepts.
    pub connections_per_gateway: i32,
    /// Seconds that a stopping gateway gives its clients.
    pub drain_seconds: i32,
    /// Messages a second per user.
    pub messages_per_second: i32,
    /// Messages at once per user.
    pub message_burst: i32,
    /// Bytes of a message's text.
    pub message_bytes: i32,
    /// Rooms per connection.
    pub rooms_per_connection: i32,
    /// Whether passwords are a way in.
    pub passwords: Passwords,
    /// Number of slots.
    pub slots: i32,
    /// What becomes of data on deletion.
    pub deletion_policy: DeletionPolicy,
}

/// The types of conditions, each always present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// People can chat, and everything is as the spec asks.
    Ready,
    /// The operator is working towards the spec.
    Reconciling,
    /// The operator cannot go on without a change by somebody.
    Stalled,
    /// As many gateways are ready as are wanted.
    GatewaysAvailable,
    /// The broker answers, to the operator's and every gateway's knowledge.
    BrokerAvailable,
    /// Redis answers.
    CacheAvailable,
    /// Every shard answers, with the schema that the gateways need.
    DatabaseAvailable,
    /// Every slot is owned, and the shards have the shares that their weights ask for.
    ShardsBalanced,
    /// All gateways run the wanted revision, or are on their way without trouble.
    RolloutHealthy,
    /// What is acknowledged is kept, and comes once and in order.
    DeliveryVerified,
    /// No certificate that the spec names ends soon.
    CertificatesValid,
    /// No token or password of the operator's own is being replaced.
    CredentialsRotated,
}

impl ConditionType {
    /// All of them, in the order they are shown in.
    pub const ALL: [Self; 12] = [
        Self::Ready,
        Self::Reconciling,
        Self::Stalled,
        Self::GatewaysAvailable,
        Self::BrokerAvailable,
        Self::CacheAvailable,
        Self::DatabaseAvailable,
        Self::ShardsBalanced,
        Self::RolloutHealthy,
        Self::DeliveryVerified,
        Self::CertificatesValid,
        Self::CredentialsRotated,
    ];

    /// What True says, for the reference page.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ready => "people can chat, and everything is as the spec asks",
            Self::Reconciling => "the operator is working towards the spec",
            Self::Stalled => "the operator cannot go on without a change by somebody; the message says which",
            Self::GatewaysAvailable => "as many gateways are ready as are wanted",
            Self::BrokerAvailable => "the broker answers every gateway, or the only gateway needs none",
            Self::CacheAvailable => "Redis answers every gateway, or the only gateway needs none",
            Self::DatabaseAvailable => {
                "every shard answers every gateway, with the schema they need, or the only gateway reads and writes its own"
            }
            Self::ShardsBalanced => {
                "every slot is owned, the shards are those of the spec, and no slots are to move between them"
            }
            Self::RolloutHealthy => "all gateways run the wanted revision, or are on their way without trouble",
            Self::DeliveryVerified => {
                "what a probe said through the front door was acknowledged, kept, and came once and in order, and for an hour nothing else was seen; it is no part of Ready"
            }
            Self::CertificatesValid => {
                "no certificate in a Secret that the spec names ends within 14 days; it is no part of Ready"
            }
            Self::CredentialsRotated => {
                "no token or password that the operator made is being replaced; while one is, the old one is good, too. It is no part of Ready"
            }
        }
    }

    /// The name in `conditions[].type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::GatewaysAvailable => "GatewaysAvailable",
            Self::BrokerAvailable => "BrokerAvailable",
            Self::CacheAvailable => "CacheAvailable",
            Self::DatabaseAvailable => "DatabaseAvailable",
            Self::ShardsBalanced => "ShardsBalanced",
            Self::RolloutHealthy => "RolloutHealthy",
            Self::DeliveryVerified => "DeliveryVerified",
            Self::CertificatesValid => "CertificatesValid",
            Self::CredentialsRotated => "CredentialsRotated",
        }
    }
}
