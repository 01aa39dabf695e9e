//! Every name, label, port and path that more than one part agrees on: builders, reader, writer, tests and docs.

use std::fmt;

/// The field manager of everything the operator writes.
pub const FIELD_MANAGER: &str = "chat-operator";
/// The field manager of what the operator writes on pods, whose other fields belong to their controllers.
pub const DRAIN_MANAGER: &str = "chat-operator-drain";

/// Label keys.
pub mod label {
    pub use chat_crds::keys::label::{CLUSTER, COMPONENT, REVISION};

    /// Program of the object.
    pub const NAME: &str = "app.kubernetes.io/name";
    /// The ChatCluster.
    pub const INSTANCE: &str = "app.kubernetes.io/instance";
    /// Version of the operator that rendered the object.
    pub const VERSION: &str = "app.kubernetes.io/version";
    /// Always `chatcluster`.
    pub const PART_OF: &str = "app.kubernetes.io/part-of";
    /// Always `chat-operator`.
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    /// The ShardRebalance that a mover works for; absent on those that clean up later.
    pub const REBALANCE: &str = "chatcluster.dev/rebalance";
    /// The shard that the object belongs to.
    pub const SHARD: &str = "chatcluster.dev/shard";
    /// On a pod of the operator's own: it is the replica that leads, and the one that the metrics APIs lead to.
    pub const LEADER: &str = "chatcluster.dev/leader";
}

/// Annotation keys.
pub mod annotation {
    pub use chat_crds::keys::annotation::{DRAIN_REQUESTED, DRAINING};

    /// On a ChatCluster, by a person: violations of delivery up to this time (RFC 3339) are forgiven.
    pub const DELIVERY_CLEARED: &str = "chatcluster.dev/delivery-cleared";
    /// Hash of the object as the operator rendered it; equal hash and no drift means no write.
    pub const APPLIED_HASH: &str = "chatcluster.dev/applied-hash";
    /// On a Deployment or StatefulSet: how its pod template was made, and what of it waits.
    pub const RENDERING: &str = "chatcluster.dev/rendering";
    /// On a Secret that the operator made, by a person: another text than before asks for another token or password.
    pub const ROTATE: &str = "chatcluster.dev/rotate";
    /// On that Secret: the request that was begun last.
    pub const ROTATED: &str = "chatcluster.dev/rotated";
    /// On that Secret, while both are in it: how far the rotation is.
    pub const ROTATION: &str = "chatcluster.dev/rotation";
    /// On the Secret of a managed RabbitMQ or Redis: hash of the password that its pods were made with, once it was replaced. They are not made anew for it.
    pub const MADE_WITH: &str = "chatcluster.dev/made-with";
    /// Kubernetes': of pods that are equal otherwise, a ReplicaSet deletes the one with the lowest first.
    pub const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
    /// On the gateway's pod template: hash of what a running gateway does not re-read.
    pub const CONFIG_HASH: &str = "chatcluster.dev/config-hash";
    /// On the gateway's pod template, and so on its pods: hash of the rest of the template. It tells pods of an older template from those of
    /// the present one before the Deployment's controller does.
    pub const TEMPLATE_HASH: &str = "chatcluster.dev/template-hash";
    /// On the Deployment of a revision of the gateways: when all gateways were of it for the first time.
    pub const ROLLED_OUT: &str = "chatcluster.dev/rolled-out";
    /// On the Deployment of a revision that is being rolled out: its wave, from 0.
    pub const WAVE: &str = "chatcluster.dev/rollout-wave";
    /// On the Deployment of a revision that is not to be tried again: why, as `Reason: sentence`.
    pub const FAILED: &str = "chatcluster.dev/rollout-failed";
    /// On the Deployment of a revision of the gateways: hash of where its gateways find the broker.
    pub const BROKER: &str = "chatcluster.dev/broker-hash";
    /// On the Deployment of the wanted revision, where the operator decides how many gateways there are: how many, over all revisions.
    pub const WANTED: &str = "chatcluster.dev/gateways-wanted";
}

/// Ports of containers and Services.
pub mod port {
    /// Gateway: page, HTTP API and WebSocket.
    pub const GATEWAY_HTTP: i32 = 8080;
    /// Gateway: probes, statistics, metrics.
    pub const GATEWAY_ADMIN: i32 = 8081;
    /// Gateway: how much more it takes, for the tier of HAProxy.
    pub const GATEWAY_AGENT: i32 = 8082;
    /// The Service in front of the gateways, and that of the tier of HAProxy without TLS.
    pub const GATEWAY_SERVICE: i32 = 80;
    /// HAProxy: clients without TLS.
    pub const TIER_HTTP: i32 = 9080;
    /// HAProxy: clients with TLS.
    pub const TIER_HTTPS: i32 = 9443;
    /// HAProxy: probes and metrics.
    pub const TIER_OWN: i32 = 9101;
    /// The Service of the tier of HAProxy with TLS.
    pub const TIER_SERVICE_TLS: i32 = 443;
    /// RabbitMQ, AMQP 0-9-1.
    pub const RABBITMQ: i32 = 5672;
    /// Redis.
    pub const REDIS: i32 = 6379;
    /// PostgreSQL.
    pub const POSTGRESQL: i32 = 5432;
}

/// Paths in gateway and migration pods.
pub mod path {
    /// Folder of the configuration file.
    pub const CONFIG_DIR: &str = "/etc/chatcluster/gateway";
    /// Name of the configuration file in [`CONFIG_DIR`] and its key in the ConfigMap.
    pub const CONFIG_FILE: &str = "config.json";
    /// Folder of what gateways take while they run.
    pub const LIVE_DIR: &str = "/etc/chatcluster/live";
    /// Name of the file in [`LIVE_DIR`] and its key in the ConfigMap.
    pub const LIVE_FILE: &str = "live.json";
    /// Folder that holds one folder for each Secret.
    pub const SECRETS_DIR: &str = "/etc/chatcluster/secrets";
    /// Folder in [`SECRETS_DIR`] with the URI of each shard that gateways use, under the shard's name.
    pub const SHARDS: &str = "shards";
    /// Folder of HAProxy's configuration file.
    pub const TIER_DIR: &str = "/etc/chatcluster/haproxy";
    /// Name of the configuration file in [`TIER_DIR`] and its key in the ConfigMap.
    pub const TIER_FILE: &str = "haproxy.cfg";
    /// Name of the script in [`TIER_DIR`] that follows the certificate, and its key in the ConfigMap.
    pub const TIER_SCRIPT: &str = "certificate.lua";
    /// Folder of HAProxy's certificate.
    pub const TLS_DIR: &str = "/etc/chatcluster/tls";
    /// Name of the certificate in [`TLS_DIR`]; its key has `.key` behind it.
    pub const TLS_FILE: &str = "tls.pem";
    /// Where the volume of an embedded database is mounted.
    pub const DATA_DIR: &str = "/var/lib/chatcluster";
    /// Name of an embedded database in [`DATA_DIR`], as the gateway itself calls it.
    pub const DATA_FILE: &str = "chat.sqlite3";
}

/// Keys in Secrets, generated or given, and names of the projected files.
pub mod key {
    /// Signing key, PKCS#8 PEM.
    pub const SIGNING_KEY: &str = "key.pem";
    /// Bearer token of `/stats`.
    pub const TOKEN: &str = "token";
    /// User name of managed RabbitMQ, or of a user at an engine.
    pub const USERNAME: &str = "username";
    /// Password of a managed backend, or of gateways at Kafka.
    pub const PASSWORD: &str = "password";
    /// Password of the role that gateways sign in with on a managed shard.
    pub const GATEWAY_PASSWORD: &str = "gatewayPassword";
    /// URI of RabbitMQ, or of a shard for gateways.
    pub const URI: &str = "uri";
    /// URI of a shard for the migration.
    pub const MIGRATION_URI: &str = "migrationUri";
    /// URL of Redis.
    pub const URL: &str = "url";
    /// Name of the application's database, in the Secret of its user in CloudNativePG.
    pub const DATABASE: &str = "dbname";
    /// Certificates of authorities, PEM.
    pub const CA: &str = "ca.crt";
    /// Addresses of Kafka's servers, separated by commas.
    pub const BOOTSTRAP_SERVERS: &str = "bootstrapServers";
    /// Certificate of HAProxy, or of gateways at Kafka, PEM, as in a Secret of type `kubernetes.io/tls`.
    pub const TLS_CERTIFICATE: &str = "tls.crt";
    /// Its private key.
    pub const TLS_KEY: &str = "tls.key";
}

/// The user that every container runs as.
pub const UID: i64 = 65_532;

/// Role of an object in the cluster; the value of the component label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// Gateways.
    Gateway,
    /// The tier of HAProxy in front of them.
    Balancer,
    /// RabbitMQ.
    Broker,
    /// Redis.
    Cache,
    /// A PostgreSQL shard.
    Database,
    /// The migration Job.
    Migration,
    /// Jobs that move slots between shards.
    Mover,
    /// Backups of managed shards.
    Backup,
}

impl Component {
    /// Value of the component label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Balancer => "balancer",
            Self::Broker => "broker",
            Self::Cache => "cache",
            Self::Database => "database",
            Self::Migration => "migration",
            Self::Mover => "mover",
            Self::Backup => "backup",
        }
    }

    /// Value of the name label: the program that runs.
    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Self::Gateway | Self::Migration | Self::Mover => "chat-gateway",
            Self::Balancer => "haproxy",
            Self::Broker => "rabbitmq",
            Self::Cache => "redis",
            Self::Database | Self::Backup => "postgresql",
        }
    }
}

/// Names of the children of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(String);

impl Names {
    /// Names for the cluster called `cluster`.
    #[must_use]
    pub fn new(cluster: impl Into<String>) -> Self {
        Self(cluster.into())
    }

    /// The cluster's own name.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.0
    }

    /// Service, ServiceAccount, PodDisruptionBudget and NetworkPolicy of the gateways, and their Ingress or HTTPRoute; their Deployment and ConfigMap,
    /// too, where there is one gateway only.
    #[must_use]
    pub fn gateway(&self) -> String {
        format!("{}-gateway", self.0)
    }

    /// Deployment and ConfigMap of one revision of the gateways.
    #[must_use]
    pub fn gateway_revision(&self, revision: &str) -> String {
        format!("{}-gateway-{revision}", self.0)
    }

    /// ConfigMap with what gateways of every revision take while they run.
    #[must_use]
    pub fn gateway_live(&self) -> String {
        format!("{}-gateway-live", self.0)
    }

    /// Secret with the URIs of the shards that gateways use, which they follow while they run.
    #[must_use]
    pub fn gateway_shards(&self) -> String {
        format!("{}-gateway-shards", self.0)
    }

    /// Headless Service by which the tier of HAProxy finds the gateways.
    #[must_use]
    pub fn gateway_pods(&self) -> String {
        format!("{}-gateway-pods", self.0)
    }

    /// Objects of the tier of HAProxy.
    #[must_use]
    pub fn haproxy(&self) -> String {
        format!("{}-haproxy", self.0)
    }

    /// Objects of managed RabbitMQ, its Secret included.
    #[must_use]
    pub fn rabbitmq(&self) -> String {
        format!("{}-rabbitmq", self.0)
    }

    /// Secret with the way to a RabbitMQ that another operator runs.
    #[must_use]
    pub fn broker(&self) -> String {
        format!("{}-broker", self.0)
    }

    /// Secret with the way to a Kafka that Strimzi runs.
    #[must_use]
    pub fn kafka(&self) -> String {
        format!("{}-kafka", self.0)
    }

    /// Objects of managed Redis, its Secret included.
    #[must_use]
    pub fn redis(&self) -> String {
        format!("{}-redis", self.0)
    }

    /// Objects of a managed shard, its Secret included; of one that another operator runs, the Secret with the way to it.
    #[must_use]
    pub fn shard(&self, shard: &str) -> String {
        format!("{}-shard-{shard}", self.0)
    }

    /// PersistentVolumeClaim that the StatefulSet of a managed shard makes.
    #[must_use]
    pub fn shard_claim(&self, shard: &str) -> String {
        format!("data-{}-0", self.shard(shard))
    }

    /// PersistentVolumeClaim of an embedded database.
    #[must_use]
    pub fn data_claim(&self) -> String {
        format!("{}-data", self.0)
    }

    /// Job and ConfigMap of the migration with this hash.
    #[must_use]
    pub fn migration(&self, hash: &str) -> String {
        format!("{}-migrate-{hash}", self.0)
    }

    /// NetworkPolicy of the migration's pods.
    #[must_use]
    pub fn migration_policy(&self) -> String {
        format!("{}-migrate", self.0)
    }

    /// Job of the mover with this hash.
    #[must_use]
    pub fn mover(&self, hash: &str) -> String {
        format!("{}-move-{hash}", self.0)
    }

    /// NetworkPolicy of the movers' pods.
    #[must_use]
    pub fn mover_policy(&self) -> String {
        format!("{}-move", self.0)
    }

    /// CronJob and NetworkPolicy of the backups of managed shards.
    #[must_use]
    pub fn backup(&self) -> String {
        format!("{}-backup", self.0)
    }

    /// Secret with the generated signing key.
    #[must_use]
    pub fn signing_key(&self) -> String {
        format!("{}-signing-key", self.0)
    }

    /// Secret with the token of the gateways' admin port.
    #[must_use]
    pub fn admin_token(&self) -> String {
        format!("{}-admin-token", self.0)
    }
}

/// Namespace and name of a ChatCluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterKey {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ClusterKey {
    /// The key of `namespace/name`.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
