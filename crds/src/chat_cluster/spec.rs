//! What a user asks for.

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{
    Adoption, ChatClusterStatus, Database, EngineRef, Gateways, Kafka, Oidc, RabbitMqSecretRef, RabbitMqTls,
    RedisSecretRef, RedisTls, SigningKeySecretRef,
};

/// A chat backend: gateways, the broker between them, Redis, and database shards; or one gateway that needs none of these.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "chatcluster.dev",
    version = "v1alpha1",
    kind = "ChatCluster",
    plural = "chatclusters",
    shortname = "cc",
    category = "all",
    namespaced,
    status = "ChatClusterStatus",
    derive = "PartialEq",
    scale(
        spec_replicas_path = ".spec.gateways.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Gateways", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".status.effective.replicas"),
    printcolumn(name = "Connections", type_ = "integer", json_path = ".status.connections"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 40").message(
        "metadata.name: must be at most 40 characters, since the names of pods and Services are made of it; choose a shorter name"
    ),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message(
        "metadata.name: must be lower-case letters, digits and hyphens and start with a letter, since Services are named after it; choose such a name"
    ),
    validation = Rule::new(
        "!has(self.spec.database.shards) || self.spec.database.shards.all(s, !has(s.managed) || size(self.metadata.name) + size(s.name) <= 45)"
    ).message(
        "spec.database.shards: the names of the ChatCluster and of a managed shard must have at most 45 characters together; shorten one"
    )
)]
#[x_kube(validation = Rule::new("has(self.redis) || has(self.broker.inProcess)").message(
    "spec.redis: gateways that share a broker share limits and presence, too; set managed or urlSecretRef, or use spec.broker.inProcess with one gateway"
))]
#[x_kube(validation = Rule::new("!has(self.redis) || !has(self.broker.inProcess)").message(
    "spec.redis: with spec.broker.inProcess the gateway keeps limits and presence in its own process; remove redis, or choose another broker"
))]
#[x_kube(validation = Rule::new("!has(self.database.embedded) || has(self.broker.inProcess)").message(
    "spec.database.embedded: the file belongs to one gateway, which shares it with no other; set spec.broker to inProcess: {}, or use shards"
))]
#[x_kube(validation = Rule::new(
    "!has(self.broker.inProcess) || (has(self.gateways) && has(self.gateways.replicas) && self.gateways.replicas <= 1)"
).message(
    "spec.gateways.replicas: spec.broker.inProcess reaches one gateway only, and the default is 2; set replicas to 1, or choose another broker"
))]
#[x_kube(validation = Rule::new(
    "!has(self.broker.inProcess) || !has(self.gateways) || !has(self.gateways.autoscaling)"
).message(
    "spec.gateways.autoscaling: spec.broker.inProcess reaches one gateway only; remove autoscaling, or choose another broker"
))]
#[serde(rename_all = "camelCase")]
pub struct ChatClusterSpec {
    /// Image of the gateway; the one that the operator brings if absent, where that of another operator waits for `adoption`. Changing it rolls the gateways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^[a-zA-Z0-9][-._:/@a-zA-Z0-9]*$"))]
    pub image: Option<String>,

    /// While true, the operator changes nothing that belongs to this ChatCluster; the conditions go on telling how it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,

    /// When pods are replaced because the operator is another one; not until somebody approves if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Adoption>,

    /// The gateways: how many, their limits, their pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateways: Option<Gateways>,

    /// How users prove who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,

    /// What carries messages between gateways. Exactly one kind.
    pub broker: Broker,

    /// Rate limits and presence, shared by the gateways. Required, except with `spec.broker.inProcess`, where it must be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<Redis>,

    /// The store.
    pub database: Database,
}

/// How users prove who they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// Whether people may sign up and in with a password; Enabled if absent. With Disabled, an issuer of `oidc` makes tokens, or your own sign-in with the signing key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passwords: Option<Passwords>,

    /// The Ed25519 keys of tokens, the first of which signs them; the operator makes one if absent. Running gateways follow the Secret; another Secret rolls them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key_secret_ref: Option<SigningKeySecretRef>,

    /// OpenID Connect issuers whose access tokens are accepted beside the cluster's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["issuer".into()]))]
    pub oidc: Vec<Oidc>,
}

/// Whether people may sign up and in with a password; Enabled if absent. With Disabled, an issuer of `oidc` makes tokens, or your own sign-in with the signing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Passwords {
    /// Sign-up and sign-in are served.
    Enabled,
    /// Only tokens of the issuers of `oidc`, and tokens signed with the cluster's key, are accepted.
    Disabled,
}

/// What carries messages between gateways. It may change: gateways are rolled, and what crosses between old and new ones meanwhile comes from the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "[has(self.rabbitmq), has(self.redisPubSub), has(self.kafka), has(self.inProcess)].exists_one(kind, kind)"
).message(
    "spec.broker: exactly one kind of broker is needed; set one of rabbitmq, redisPubSub, kafka and inProcess"
))]
pub struct Broker {
    /// RabbitMQ 3.10 or newer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rabbitmq: Option<RabbitMq>,

    /// Redis Pub/Sub: on one Redis 6 or newer, on one behind sentinels, or on a Redis Cluster 7 or newer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis_pub_sub: Option<RedisPubSub>,

    /// Apache Kafka 3.9 or newer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kafka: Option<Kafka>,

    /// None: there is one gateway, and messages stay in its process. Needs `spec.gateways.replicas` of 1 and no `spec.redis`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_process: Option<InProcess>,
}

/// A broker in the gateway's own process; nothing to set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct InProcess {}

/// Redis Pub/Sub: over the Redis of `spec.redis`, or over another one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.tls) || has(self.urlSecretRef)").message(
    "spec.broker.redisPubSub: tls goes with urlSecretRef; remove it, and set spec.redis.tls where the Redis of spec.redis brings messages"
))]
pub struct RedisPubSub {
    /// A Redis of its own for messages, which runs already; the one of `spec.redis` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_secret_ref: Option<RedisSecretRef>,

    /// Certificates for the Redis of `urlSecretRef`, whose URL begins with `rediss`. They may be renewed at any time: each new connection takes what is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<RedisTls>,
}

/// RabbitMQ: made by the operator, or one that runs already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "[has(self.managed), has(self.clusterRef), has(self.uriSecretRef)].exists_one(kind, kind)"
).message(
    "spec.broker.rabbitmq: set exactly one of managed, clusterRef and uriSecretRef; remove the others"
))]
#[x_kube(validation = Rule::new("!has(self.virtualHost) || has(self.clusterRef)").message(
    "spec.broker.rabbitmq.virtualHost: goes with clusterRef; remove it, and put it into the URI where there is one"
))]
#[x_kube(validation = Rule::new("!has(self.tls) || has(self.uriSecretRef)").message(
    "spec.broker.rabbitmq: tls goes with uriSecretRef; remove it: a RabbitmqCluster of clusterRef brings its own, and a managed RabbitMQ has none"
))]
pub struct RabbitMq {
    /// A RabbitMQ with one node, made by the operator; for development and small installs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<Managed>,

    /// A RabbitmqCluster of rabbitmq.com in this namespace. Address, user and authorities are taken from it, and followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_ref: Option<EngineRef>,

    /// The virtual host on the RabbitmqCluster of `clusterRef`, of this ChatCluster and no other; `/` if absent. It must exist, and the cluster's default user needs rights on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[-_./:a-zA-Z0-9]+$"))]
    pub virtual_host: Option<String>,

    /// A RabbitMQ that runs already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri_secret_ref: Option<RabbitMqSecretRef>,

    /// Certificates for the RabbitMQ of `uriSecretRef`, whose URI begins with `amqps`. They may be renewed at any time: each new connection takes what is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<RabbitMqTls>,
}

/// Redis: made by the operator, or one that runs already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.managed) != has(self.urlSecretRef)").message(
    "spec.redis: set exactly one of managed and urlSecretRef; remove the other"
))]
#[x_kube(validation = Rule::new("!has(self.tls) || has(self.urlSecretRef)").message(
    "spec.redis: tls goes with urlSecretRef; remove it: a managed Redis has none"
))]
pub struct Redis {
    /// A single Redis, made by the operator. It holds nothing that must last, and has no volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<Managed>,

    /// A Redis 6 or newer that runs already, alone or behind sentinels; no cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_secret_ref: Option<RedisSecretRef>,

    /// Certificates for the Redis of `urlSecretRef`, whose URL begins with `rediss`. They may be renewed at any time: each new connection takes what is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<RedisTls>,
}

/// A backend without a volume, made by the operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Managed {
    /// CPU and memory of the pod; small requests and no limit on CPU if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::gateways::resources_schema")]
    pub resources: Option<ResourceRequirements>,
}
