//! A ChatCluster that was checked against what it refers to: defaults applied, references resolved, credentials at hand.
//!
//! Only [`super::validate`] makes these values. Builders read nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chat_crds::chat_cluster::ScaleDownPolicy;
use chat_gateway_config::{AllowedOrigin, Cidr, LogLevel, Oidc, Passwords, SaslMechanism, SecurityProtocol, Tracing};
use k8s_openapi::api::core::v1::{
    Affinity, PodTemplateSpec, ResourceRequirements, Toleration, TopologySpreadConstraint,
};

use super::exposed::Expose;
use crate::{
    args::{Images, Labels},
    autoscale::Settings,
    drain::Tolerance,
    hash::Hasher,
    names::{ClusterKey, Names, annotation, key},
    poll::{AddressTemplate, Consultation},
    rebalance::Wanted,
    recurrence::Recurrence,
    rollout::Limits,
    sensitive::Sensitive,
};

/// Hexadecimal digits by which a key of a Secret names a URI.
const URI_DIGITS: usize = 10;

/// A checked ChatCluster.
#[derive(Clone, Debug)]
pub struct ValidatedCluster {
    /// Namespace and name.
    pub key: ClusterKey,
    /// The object's uid, for owner references.
    pub uid: String,
    /// Names of its children.
    pub names: Names,
    /// Images to run; the gateway's is the cluster's own where the spec names one.
    pub images: Images,
    /// Namespace whose operator pods may ask gateways for statistics.
    pub operator_namespace: String,
    /// Labels of the namespace whose pods may read gateways' metrics; empty for nobody.
    pub monitoring: Labels,
    /// What happens to managed data when the ChatCluster is deleted.
    pub deletion_policy: DeletionPolicy,
    /// The gateways.
    pub gateways: Gateways,
    /// Whether passwords are a way in.
    pub passwords: Passwords,
    /// Other issuers of tokens.
    pub oidc: Vec<Issuer>,
    /// The keys that verify tokens.
    pub signing_key: SigningKey,
    /// The keys themselves, PEM: the probe of delivery signs with one.
    pub signing_pem: Sensitive,
    /// Their ids, in the order in which they stand in the Secret; at least one.
    pub signing_keys: Vec<String>,
    /// Id of the one that signs tokens.
    pub signer: String,
    /// The token of the gateways' admin port that the operator shows.
    pub admin_token: Sensitive,
    /// What the Secret with it is to hold.
    pub admin_tokens: TokensKept,
    /// The broker.
    pub broker: Broker,
    /// Redis; `None` where the gateway keeps limits and presence in its own process.
    pub redis: Option<Redis>,
    /// The store.
    pub database: Database,
    /// Backups of the managed shards, where there are to be any.
    pub backup: Option<Backup>,
    /// Names of this cluster's migration Jobs that have completed.
    pub completed_migrations: BTreeSet<String>,
    /// When slots may begin to move; at any time where there is none.
    pub windows: Vec<Recurrence>,
    /// When changes of a new operator may begin, where it decides itself.
    pub adoption_windows: Vec<Recurrence>,
    /// What becomes of the shards; nothing until they have been looked at.
    pub fleet: Fleet,
}

/// What becomes of the shards of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// Shards that gateways use.
    pub served: BTreeSet<String>,
    /// Managed shards that own nothing any more, and whose children stay until gateways have let go of them.
    pub released: BTreeSet<String>,
    /// Movers that should run.
    pub movers: Vec<Wanted>,
    /// Jobs of movers that go on as they are.
    pub tidiers: BTreeSet<String>,
    /// Bytes that a mover copies in a second; `None` for its own default.
    pub bytes_per_second: Option<u64>,
}

/// What happens to managed data when the ChatCluster is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// Volumes and their credentials stay.
    Retain,
    /// Volumes and their credentials go.
    Delete,
}

/// The gateways.
#[derive(Clone, Debug)]
pub struct Gateways {
    /// How many. With autoscaling of the operator's own it is what that says, once it has been asked.
    pub replicas: i32,
    /// How the operator decides how many; `None` where somebody else does.
    pub autoscaling: Option<Settings>,
    /// Connections each one accepts.
    pub connections: u32,
    /// What stands in front of them.
    pub expose: Expose,
    /// How clients reach a single one, where gateways name each other to them.
    pub hints: Option<AddressTemplate>,
    /// Limits on users and connections.
    pub limits: chat_gateway_config::Limits,
    /// How much they log.
    pub log_level: LogLevel,
    /// Where spans of messages go, and of how many; `None` where nothing is traced.
    pub tracing: Option<Tracing>,
    /// Proxies whose word about addresses counts.
    pub trusted_proxies: Vec<Cidr>,
    /// Pages on other hosts that may connect from a browser.
    pub allowed_origins: Vec<AllowedOrigin>,
    /// Seconds that a draining gateway gives its clients.
    pub drain_seconds: u32,
    /// How those go that are one too many.
    pub drain: Drain,
    /// How unevenly their connections may be spread; `None` where the spec does not care.
    pub tolerance: Option<Tolerance>,
    /// Those that turn new clients away now: they are well, and not ready.
    pub closed: i32,
    /// How those of a new revision take the place of the old ones.
    pub rollout: Rollout,
    /// Names of Deployments and ConfigMaps of other revisions that stay as they are.
    pub kept: BTreeSet<String>,
    /// The revision that stays the wanted one although this operator would make another one of the spec.
    pub pin: Option<Pin>,
    /// How their revision was named, where they follow the files whose contents were part of its name.
    pub followed: Option<Followed>,
    /// Annotations of the Deployment that tell how its rollout stands.
    pub notes: BTreeMap<String, String>,
    /// What the user lays over the pod template.
    pub overlay: PodOverlay,
}

/// A gateways' Deployment that an operator before this one made, and that stays as it is.
#[derive(Clone, Debug)]
pub struct Pin {
    /// Name of the Deployment, and of the ConfigMap that its pods read.
    pub name: String,
    /// Its pod template as it was made.
    pub template: PodTemplateSpec,
}

/// The Secret of the admin port.
#[derive(Clone, Debug)]
pub struct TokensKept {
    /// The tokens, one a line: each opens the port, the first is shown.
    pub content: Sensitive,
    /// Annotations by which a rotation is known.
    pub annotations: BTreeMap<String, String>,
}

/// How the revision was named that gateways are of who follow what has changed since.
#[derive(Clone, Debug)]
pub struct Followed {
    /// Its hash of the configuration.
    pub config_hash: String,
    /// Its hash of what its template is made of.
    pub inputs: String,
}

/// How gateways go that are one too many.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// What is waited for.
    pub policy: ScaleDownPolicy,
    /// Time after which nothing is waited for, where the policy has one.
    pub deadline: Duration,
    /// Moves a second, where the spec says how many.
    pub moves_per_second: Option<i32>,
}

/// How gateways of a new revision take the place of the old ones.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// Percents of the connections; ascending, the last is 100.
    pub waves: Vec<i32>,
    /// Whether a revision that fails is taken back.
    pub rollback: bool,
    /// Stay where it is.
    pub paused: bool,
    /// Seconds within which a new gateway has to become ready.
    pub progress_deadline: i32,
    /// When new gateways are worse, and how long they are watched.
    pub limits: Limits,
    /// What a Prometheus is asked about them; the names in braces of its queries are not replaced yet.
    pub consultation: Option<Consultation>,
}

/// What the user lays over the gateways' pod template.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodOverlay {
    /// Labels to add; those of the operator win.
    pub labels: BTreeMap<String, String>,
    /// Annotations to add; those of the operator win.
    pub annotations: BTreeMap<String, String>,
    /// Requests and limits; replace the defaults as a whole.
    pub resources: Option<ResourceRequirements>,
    /// Node labels to require.
    pub node_selector: BTreeMap<String, String>,
    /// Taints to tolerate.
    pub tolerations: Vec<Toleration>,
    /// Affinity.
    pub affinity: Option<Affinity>,
    /// Spread; replaces the default spread over nodes.
    pub topology_spread_constraints: Option<Vec<TopologySpreadConstraint>>,
    /// Priority class.
    pub priority_class_name: Option<String>,
}

/// A key of a Secret that the user made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretKey {
    /// The Secret.
    pub secret: String,
    /// The key in it.
    pub key: String,
}

/// Another issuer of tokens.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// What gateways are told of it, except for a file with authorities.
    pub config: Oidc,
    /// Authorities for its certificate; `None` for the public ones.
    pub ca: Option<Authorities>,
}

/// Certificates of authorities that the user gives.
#[derive(Clone, Debug)]
pub struct Authorities {
    /// Where they are.
    pub from: SecretKey,
    /// Their content: for when they end, and for the hash that restarts gateways where these read them at their start.
    pub content: Sensitive,
}

/// The keys that verify tokens, one of which signs them.
#[derive(Clone, Debug)]
pub enum SigningKey {
    /// Made by the operator, kept in a Secret of the cluster.
    Generated(Sensitive),
    /// Made by the user, and kept there.
    Given(SecretKey),
}

/// The broker.
#[derive(Clone, Debug)]
pub enum Broker {
    /// Run by the operator.
    Managed {
        /// Its credentials.
        credentials: BrokerCredentials,
        /// Requests and limits; `None` for the defaults.
        resources: Option<ResourceRequirements>,
    },
    /// A RabbitMQ of the user.
    External(Box<Way>),
    /// A RabbitMQ that another operator runs.
    Engine(Box<BrokerEngine>),
    /// Pub/Sub of the same Redis that keeps limits and presence.
    SharedRedis,
    /// Pub/Sub of another Redis of the user.
    Redis(Box<Way>),
    /// Apache Kafka of the user.
    Kafka(Box<Kafka>),
    /// None: the only gateway brings messages to itself.
    InProcess,
}

/// A RabbitMQ that another operator runs. The operator keeps the way to it in a Secret of its own, which follows the engine's.
#[derive(Clone, Debug)]
pub struct BrokerEngine {
    /// Names it and the virtual host: gateways of another place do not reach those of this one.
    pub place: String,
    /// URI with the user's name and password.
    pub uri: Sensitive,
    /// Authorities of its certificate, PEM; `None` without TLS, or for the public ones.
    pub ca: Option<Sensitive>,
}

/// Apache Kafka of the user.
#[derive(Clone, Debug)]
pub struct Kafka {
    /// Which servers to ask first.
    pub servers: KafkaServers,
    /// The topic; `None` for the one named after the cluster.
    pub topic: Option<String>,
    /// Partitions of a topic that gateways make; `None` for the gateway's default.
    pub partitions: Option<u16>,
    /// Copies of its partitions; `None` for Kafka's default.
    pub replication_factor: Option<u16>,
    /// Whether with TLS and with SASL.
    pub protocol: SecurityProtocol,
    /// Authorities for TLS; `None` for the public ones.
    pub ca: Option<SecretKey>,
    /// Credentials; there if and only if the protocol is with SASL.
    pub sasl: Option<Sasl>,
    /// The certificate that gateways show; its Secret has it and the key under the keys of a Secret of type `kubernetes.io/tls`.
    pub client_certificate: Option<GivenCertificate>,
}

/// Servers of Kafka to ask first.
#[derive(Clone, Debug)]
pub enum KafkaServers {
    /// `host:port` of each, at least one, as the spec has them.
    Given(Vec<String>),
    /// Those of a Kafka that Strimzi runs.
    Engine(KafkaEngine),
}

/// A Kafka that Strimzi runs. The operator keeps the way to it in a Secret of its own, which follows the Kafka's.
#[derive(Clone, Debug)]
pub struct KafkaEngine {
    /// Names it and its listener: gateways of another place do not reach those of this one.
    pub place: String,
    /// What is kept in the Secret: addresses, authorities, password or certificate.
    pub values: BTreeMap<&'static str, Sensitive>,
}

/// Certificates in a Secret, which somebody has to renew.
#[derive(Clone, Debug)]
pub struct GivenCertificate {
    /// The Secret.
    pub secret: String,
    /// PEM.
    pub content: Sensitive,
}

/// Who gateways are to Kafka.
#[derive(Clone, Debug)]
pub struct Sasl {
    /// How the password is proven.
    pub mechanism: SaslMechanism,
    /// The user.
    pub username: String,
    /// Where the password is.
    pub password: SecretKey,
}

/// Credentials of managed RabbitMQ. While they are replaced each has a line for the one in use and one for the other.
#[derive(Clone, Debug)]
pub struct BrokerCredentials {
    /// User name.
    pub username: Sensitive,
    /// Password.
    pub password: Sensitive,
    /// URI with both.
    pub uri: Sensitive,
    /// Annotations by which a rotation is known.
    pub annotations: BTreeMap<String, String>,
}

impl BrokerCredentials {
    /// Hash of the password that the pods are made with: the one before any rotation.
    #[must_use]
    pub fn made_with(&self) -> String {
        made_with(&self.annotations, &self.password)
    }
}

fn made_with(annotations: &BTreeMap<String, String>, password: &Sensitive) -> String {
    let noted = annotations.get(annotation::MADE_WITH).cloned();
    noted.unwrap_or_else(|| Hasher::new().text(password.expose()).finish())
}

/// Redis.
#[derive(Clone, Debug)]
pub enum Redis {
    /// Run by the operator.
    Managed {
        /// Its credentials.
        credentials: RedisCredentials,
        /// Requests and limits; `None` for the defaults.
        resources: Option<ResourceRequirements>,
    },
    /// One of the user.
    External(Box<Way>),
}

/// The way to a RabbitMQ or a Redis of the user, in Secrets that gateways read anew for each connection.
#[derive(Clone, Debug)]
pub struct Way {
    /// Where the URI or URL is.
    pub uri: SecretKey,
    /// Authorities for TLS; `None` for the public ones.
    pub ca: Option<Authorities>,
    /// The certificate that gateways show; its Secret has it and the key under the keys of a Secret of type `kubernetes.io/tls`.
    pub client_certificate: Option<GivenCertificate>,
}

/// Credentials of managed Redis. While they are replaced each has a line for the one in use and one for the other.
#[derive(Clone, Debug)]
pub struct RedisCredentials {
    /// Password.
    pub password: Sensitive,
    /// URL with it.
    pub url: Sensitive,
    /// Annotations by which a rotation is known.
    pub annotations: BTreeMap<String, String>,
}

impl RedisCredentials {
    /// As [`BrokerCredentials::made_with`].
    #[must_use]
    pub fn made_with(&self) -> String {
        made_with(&self.annotations, &self.password)
    }
}

/// The store.
#[derive(Clone, Debug)]
pub enum Database {
    /// PostgreSQL.
    Shards {
        /// Number of slots.
        slots: u32,
        /// At least one, in the order of names: those of the spec, and those that are being left.
        shards: Vec<Shard>,
    },
    /// One SQLite file of the only gateway, on this volume.
    Embedded(Volume),
}

/// A volume that the operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its size, a Kubernetes quantity.
    pub size: String,
    /// Storage class; `None` for the default of the Kubernetes cluster.
    pub storage_class: Option<String>,
}

/// One shard.
#[derive(Clone, Debug)]
pub struct Shard {
    /// Its name.
    pub name: String,
    /// The spec has it no more: its children stay as they are until its slots have left it.
    pub is_leaving: bool,
    /// Standbys that must have flushed what a move rests on.
    pub standbys: u32,
    /// Where it is.
    pub backend: ShardBackend,
}

/// Where a shard is.
#[derive(Clone, Debug)]
pub enum ShardBackend {
    /// Run by the operator.
    Managed(Box<ManagedShard>),
    /// URIs of the user.
    External {
        /// URI for gateways.
        uri: SecretKey,
        /// URI for the migration; the same key when the Secret has no other.
        migration_uri: SecretKey,
        /// Both contents, so that a migration runs again when they change.
        contents: [Sensitive; 2],
    },
    /// A database of a PostgreSQL that another operator runs, or one for which the user gives certificates.
    Engine(Box<EngineShard>),
}

/// A shard whose URIs the operator makes of several objects. It keeps them in a Secret of its own, which follows these.
#[derive(Clone, Debug)]
pub struct EngineShard {
    /// URI for gateways.
    pub uri: Sensitive,
    /// URI for the migration and movers.
    pub migration_uri: Sensitive,
    /// What the migration runs again for, both: without the authorities of another operator, which renews them by itself.
    pub places: [Sensitive; 2],
    /// The certificates that the user gives.
    pub certificates: Vec<GivenCertificate>,
}

impl ShardBackend {
    /// The URI that gateways use.
    #[must_use]
    pub const fn gateway_uri(&self) -> &Sensitive {
        match self {
            Self::Managed(managed) => &managed.credentials.uri,
            Self::External { contents: [uri, _], .. } => uri,
            Self::Engine(engine) => &engine.uri,
        }
    }
}

/// A shard that the operator runs.
#[derive(Clone, Debug)]
pub struct ManagedShard {
    /// Its credentials.
    pub credentials: ShardCredentials,
    /// Its volume.
    pub volume: Volume,
    /// Requests and limits; `None` for the defaults.
    pub resources: Option<ResourceRequirements>,
    /// What it begins with; `None` for an empty database.
    pub restore: Option<Restore>,
}

/// A backup that a shard begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restore {
    /// PersistentVolumeClaim that has it.
    pub claim: String,
    /// Its folder.
    pub backup: String,
}

/// Backups of managed shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// When, as cron has it.
    pub cron: String,
    /// IANA name of its time zone.
    pub time_zone: String,
    /// Complete ones that are kept.
    pub keep: i32,
    /// PersistentVolumeClaim that takes them.
    pub claim: String,
}

/// Credentials of a managed shard.
#[derive(Clone, Debug)]
pub struct ShardCredentials {
    /// Password of the superuser.
    pub password: Sensitive,
    /// Password of the role that gateways use. While it is replaced this and the URI have a line for the one in use and one for the other.
    pub gateway_password: Sensitive,
    /// URI for gateways.
    pub uri: Sensitive,
    /// URI for the migration. While the owner's password is replaced a second line has the next one.
    pub migration_uri: Sensitive,
    /// Annotations by which a rotation is known.
    pub annotations: BTreeMap<String, String>,
}

impl ShardCredentials {
    /// Key of the Secret under which the migration finds the URI for gateways. Once the password was replaced it names the URI, so that a kubelet that has an
    /// older Secret yet has nothing to start the migration with, and waits.
    #[must_use]
    pub fn uri_key(&self) -> String {
        if !self.is_rotated() {
            return key::URI.to_owned();
        }
        let mut digest = Hasher::new().text(&self.logins()).finish();
        digest.truncate(URI_DIGITS);
        format!("{}-{digest}", key::URI)
    }

    /// Whether the password was ever replaced.
    #[must_use]
    pub fn is_rotated(&self) -> bool {
        self.annotations.contains_key(annotation::ROTATED)
    }

    /// The URI by which the owner is let in when the migration has come to its end.
    #[must_use]
    pub fn owner(&self) -> &str {
        self.migration_uri.expose().lines().last().unwrap_or_default()
    }

    /// The URIs in an order that does not tell which one is in use: the migration lets all of them in.
    #[must_use]
    pub fn logins(&self) -> String {
        let mut uris: Vec<&str> = self.uri.expose().lines().collect();
        uris.sort_unstable();
        uris.join("\n")
    }
}

impl ValidatedCluster {
    /// The shards; none with an embedded database.
    #[must_use]
    pub fn shards(&self) -> &[Shard] {
        match &self.database {
            Database::Shards { shards, .. } => shards,
            Database::Embedded(_) => &[],
        }
    }

    /// The volume of an embedded database.
    #[must_use]
    pub const fn embedded(&self) -> Option<&Volume> {
        match &self.database {
            Database::Shards { .. } => None,
            Database::Embedded(volume) => Some(volume),
        }
    }

    /// Whether there is one gateway only, which no other may ever run beside.
    #[must_use]
    pub const fn is_alone(&self) -> bool {
        matches!(self.broker, Broker::InProcess)
    }

    /// Whether the operator runs Redis.
    #[must_use]
    pub fn has_managed_redis(&self) -> bool {
        self.redis.as_ref().is_some_and(Redis::is_managed)
    }
}

impl Broker {
    /// Whether the operator runs it.
    #[must_use]
    pub const fn is_managed(&self) -> bool {
        matches!(self, Self::Managed { .. })
    }
}

impl Redis {
    /// Whether the operator runs it.
    #[must_use]
    pub const fn is_managed(&self) -> bool {
        matches!(self, Self::Managed { .. })
    }
}
