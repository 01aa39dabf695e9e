//! The store's part of the spec.

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{CaSecretRef, CloudNativePg, ShardBackup, ShardRestore, ShardSecretRef, TlsSecretRef};

/// The store: a fixed number of slots over PostgreSQL shards, or one SQLite file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "(has(self.slots) ? self.slots : 1024) == (has(oldSelf.slots) ? oldSelf.slots : 1024)"
).message(
    "spec.database.slots: cannot change, since every id's place follows from it; put the old value back, or make a new ChatCluster"
))]
#[x_kube(validation = Rule::new("!has(self.shards) || self.shards.exists(s, !has(s.weight) || s.weight > 0)").message(
    "spec.database.shards: with a weight of 0 everywhere no shard could take anything; give one of them another weight"
))]
#[x_kube(validation = Rule::new("!has(self.embedded) || !has(self.rebalance)").message(
    "spec.database.rebalance: an embedded database has no shards to move slots between; remove the field"
))]
#[x_kube(validation = Rule::new("has(self.shards) != has(self.embedded)").message(
    "spec.database: exactly one kind of database is needed; set one of shards and embedded"
))]
#[x_kube(validation = Rule::new("has(self.embedded) == has(oldSelf.embedded)").message(
    "spec.database: cannot change between shards and embedded, since the data would stay behind; put the old field back, or make a new ChatCluster"
))]
#[x_kube(validation = Rule::new("!has(self.embedded) || !has(self.slots)").message(
    "spec.database.slots: an embedded database always has 1024 slots; remove the field"
))]
#[x_kube(validation = Rule::new("!has(self.backup) || (has(self.shards) && self.shards.exists(s, has(s.managed)))").message(
    "spec.database.backup: only managed shards are backed up, and there is none; remove the field, and use the tools of whoever runs the databases"
))]
pub struct Database {
    /// Number of slots that rooms and users are spread over; 1024 if absent, and always with `embedded`. Never changes in the life of a ChatCluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_536))]
    pub slots: Option<i32>,

    /// PostgreSQL shards. Slots are handed out over the first ones; when the list or a weight changes, slots move while people chat, as `rebalance` says. A shard that is taken out goes when its slots have moved away, and its data as `deletionPolicy` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1_024))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub shards: Option<Vec<Shard>>,

    /// One SQLite file on a volume of the gateway, in place of `shards`; needs `spec.broker.inProcess`, and with it one gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedded: Option<Embedded>,

    /// When and how fast slots move between shards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebalance: Option<ShardRebalancing>,

    /// Backups of the managed shards; none are made if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<ShardBackup>,

    /// What becomes of data that the operator keeps when the ChatCluster is deleted, or a managed shard taken out; Retain if absent: volumes and the Secrets that open them stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// When and how fast slots move between shards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShardRebalancing {
    /// Whether the operator plans moves, and whether a person has to approve of a plan; Automatic if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<ShardRebalancingMode>,

    /// Slots that are on their way at the same time, at most; 4 if absent. A shard gives one and takes one at a time, whatever this says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub concurrent_moves: Option<i32>,

    /// Bytes that one move copies in a second, at most; as the gateway's own default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 65_536, max = 10_000_000_000_i64))]
    pub bytes_per_second: Option<i64>,

    /// Times in which moves may begin; any time if absent. A slot on its way when a window ends stays with its source until the next one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub windows: Vec<Window>,

    /// Seconds after a slot has moved in which its source keeps what it had of it; 3600 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 2_592_000))]
    pub keep_source_seconds: Option<i32>,

    /// ShardRebalances of the past that are kept of those that the operator made; 10 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub history_limit: Option<i32>,
}

/// Whether the operator plans moves, and whether a person has to approve of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum ShardRebalancingMode {
    /// It plans them, and carries the plan out.
    Automatic,
    /// It plans them, and carries a plan out when its hash stands in `spec.approvedPlan` of the ShardRebalance.
    Approve,
    /// It plans nothing by itself. A ShardRebalance that a person makes is carried out when it is approved.
    Off,
}

/// A time that comes again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Its name.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// When it begins: minute, hour, day of month, month and day of week, such as `0 3 * * 1-5`.
    #[schemars(length(min = 9, max = 128))]
    pub cron: String,

    /// Time zone of `cron` by its IANA name, such as `Europe/Berlin`; UTC if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,

    /// Minutes for which it is open.
    #[schemars(range(min = 1, max = 44_640))]
    pub duration_minutes: i32,
}

/// What becomes of data that the operator keeps when the ChatCluster is deleted, or a managed shard taken out; Retain if absent: volumes and the Secrets that open them stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum DeletionPolicy {
    /// Volumes and the Secrets that open them stay; a new ChatCluster of the same name takes them up.
    Retain,
    /// Volumes and Secrets go.
    Delete,
}

/// A store in the gateway itself: one SQLite file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.storage.size == oldSelf.storage.size").message(
    "spec.database.embedded.storage.size: cannot change after creation; put the old value back"
))]
#[x_kube(validation = Rule::new(
    "has(self.storage.storageClassName) == has(oldSelf.storage.storageClassName) && (!has(self.storage.storageClassName) || self.storage.storageClassName == oldSelf.storage.storageClassName)"
).message(
    "spec.database.embedded.storage.storageClassName: cannot change after creation; put the old value back"
))]
pub struct Embedded {
    /// The volume that holds the file. Its class must give a file system on a block device or a local disk: SQLite's log does not work over NFS.
    pub storage: Storage,
}

/// One PostgreSQL database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "[has(self.managed), has(self.cloudNativePG), has(self.urlSecretRef)].exists_one(kind, kind)"
).message(
    "spec.database.shards: each shard has exactly one of managed, cloudNativePG and urlSecretRef; set one and remove the others"
))]
#[x_kube(validation = Rule::new("has(self.managed) == has(oldSelf.managed)").message(
    "spec.database.shards: a shard cannot change between managed and one of cloudNativePG and urlSecretRef, since its data would stay behind; add a shard under a new name"
))]
#[x_kube(validation = Rule::new("!has(self.tls) || has(self.urlSecretRef)").message(
    "spec.database.shards: tls goes with urlSecretRef; remove it: a Cluster of cloudNativePG brings its own, and a managed PostgreSQL has none"
))]
pub struct Shard {
    /// Name, unique in the ChatCluster: at most 20 lower-case letters, digits and hyphens.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// Share of slots in proportion to the other shards; 100 if absent. With 0 everything leaves it, and it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000))]
    pub weight: Option<i32>,

    /// Standbys of a PostgreSQL that is not managed, which must have flushed what a move rests on before a slot is handed over to or from it; if absent as many as the Cluster of cloudNativePG has instances beside the first, and 0 with urlSecretRef. Set it to the number of standbys that may be promoted: one that is away cannot be told from one that never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 16))]
    pub standbys: Option<i32>,

    /// Rooms by their ids that are to have this shard to themselves, so that others do not suffer from what they do: the shard has their slots and no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 16),
        inner(length(equal = 36), regex(pattern = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub rooms: Option<Vec<String>>,

    /// A PostgreSQL 17 with one node, made by the operator; for development and small installs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedShard>,

    /// A database of a PostgreSQL 15 or newer that CloudNativePG runs in this namespace. Address, users and authorities are taken from it, and followed.
    #[serde(default, rename = "cloudNativePG", skip_serializing_if = "Option::is_none")]
    pub cloud_native_pg: Option<CloudNativePg>,

    /// A PostgreSQL 15 or newer that runs already; the database must not be another shard's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_secret_ref: Option<ShardSecretRef>,

    /// Certificates for the PostgreSQL of `urlSecretRef`, which may be renewed at any time. With it, connections verify the server's certificate and its name, unless the URI has `sslmode=verify-ca`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ShardTls>,
}

/// Certificates for a PostgreSQL that runs already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShardTls {
    /// Authorities that may vouch for the server's certificate, beside those that browsers trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaSecretRef>,

    /// The certificate that gateways show; none if absent. Where PostgreSQL asks for `clientcert=verify-full`, its common name is the user of the URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_secret_ref: Option<TlsSecretRef>,

    /// The certificate that the migration and movers show, who sign in as the owner of the database; that of gateways if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration_certificate_secret_ref: Option<TlsSecretRef>,
}

/// A PostgreSQL made by the operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.storage.size == oldSelf.storage.size").message(
    "spec.database.shards.managed.storage.size: cannot change after creation; put the old value back"
))]
#[x_kube(validation = Rule::new(
    "has(self.storage.storageClassName) == has(oldSelf.storage.storageClassName) && (!has(self.storage.storageClassName) || self.storage.storageClassName == oldSelf.storage.storageClassName)"
).message(
    "spec.database.shards.managed.storage.storageClassName: cannot change after creation; put the old value back"
))]
pub struct ManagedShard {
    /// Its volume.
    pub storage: Storage,

    /// CPU and memory of the pod; small requests and no limit on CPU if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::gateways::resources_schema")]
    pub resources: Option<ResourceRequirements>,

    /// The backup that it begins with, in place of an empty database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<ShardRestore>,
}

/// A volume. It is made once and not changed later, which the rules of its owner say with the path of the field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Size, as a Kubernetes quantity such as 10Gi.
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[1-9][0-9]{0,8}(Mi|Gi|Ti|M|G|T)$"))]
    pub size: String,

    /// StorageClass; the cluster's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub storage_class_name: Option<String>,
}

impl Database {
    /// The shards; none with an embedded database.
    #[must_use]
    pub fn shards(&self) -> &[Shard] {
        self.shards.as_deref().unwrap_or_default()
    }
}
