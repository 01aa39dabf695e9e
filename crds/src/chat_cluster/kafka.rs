//! Apache Kafka as the broker: one that runs already, by its addresses or as Strimzi runs it.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{CaSecretRef, EngineRef, PasswordSecretRef, TlsSecretRef};

/// An Apache Kafka that runs already. Gateways read one topic of their own, and all of it each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.bootstrapServers) != has(self.clusterRef)").message(
    "spec.broker.kafka: set exactly one of bootstrapServers and clusterRef; remove the other"
))]
#[x_kube(validation = Rule::new("has(self.clusterRef) || !(has(self.listener) || has(self.userRef) || has(self.topicRef))").message(
    "spec.broker.kafka: listener, userRef and topicRef go with clusterRef; remove them, or set clusterRef in place of bootstrapServers"
))]
#[x_kube(validation = Rule::new(
    "!has(self.clusterRef) || !(has(self.securityProtocol) || has(self.caSecretRef) || has(self.sasl) || has(self.clientCertificateSecretRef))"
).message(
    "spec.broker.kafka: with clusterRef, the Kafka and the KafkaUser of userRef say how gateways connect; remove securityProtocol, caSecretRef, sasl and clientCertificateSecretRef"
))]
#[x_kube(validation = Rule::new("!has(self.topic) || !has(self.topicRef)").message(
    "spec.broker.kafka: topic is a name and topicRef a KafkaTopic; remove one of them"
))]
#[x_kube(validation = Rule::new(
    "!has(self.clientCertificateSecretRef) || (has(self.securityProtocol) && self.securityProtocol.endsWith('SSL'))"
).message(
    "spec.broker.kafka.clientCertificateSecretRef: is for connections with TLS; set securityProtocol to SSL or SASL_SSL, or remove it"
))]
#[x_kube(validation = Rule::new(
    "has(self.sasl) == (has(self.securityProtocol) && self.securityProtocol.startsWith('SASL_'))"
).message(
    "spec.broker.kafka.sasl: goes with securityProtocol SASL_SSL or SASL_PLAINTEXT and with no other; set both or neither"
))]
#[x_kube(validation = Rule::new(
    "!has(self.caSecretRef) || (has(self.securityProtocol) && self.securityProtocol.endsWith('SSL'))"
).message(
    "spec.broker.kafka.caSecretRef: is for connections with TLS; set securityProtocol to SSL or SASL_SSL, or remove caSecretRef"
))]
pub struct Kafka {
    /// Addresses of servers to ask first, each `host:port`; they name all others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 16),
        inner(length(min = 3, max = 260), regex(pattern = r"^([-_.a-zA-Z0-9]+|\[[:.a-fA-F0-9]+\]):[1-9][0-9]{0,4}$"))
    )]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub bootstrap_servers: Vec<String>,

    /// A Kafka of kafka.strimzi.io in this namespace. Addresses and authorities are taken from it, and followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_ref: Option<EngineRef>,

    /// The listener of the Kafka of `clusterRef`, by its name; if absent, its only internal one that takes the user, or the one of these with TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 25), regex(pattern = r"^[a-z0-9]+$"))]
    pub listener: Option<String>,

    /// A KafkaUser of the Kafka of `clusterRef`, with authentication scram-sha-512 or tls; gateways do not sign in if absent. It needs Describe, Read
    /// and Write on the topic, and Create to make it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_ref: Option<KafkaObjectRef>,

    /// A KafkaTopic of the Kafka of `clusterRef`, of this ChatCluster and no other, in place of a name in `topic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_ref: Option<KafkaObjectRef>,

    /// The topic, of this ChatCluster and no other; `chatcluster.<namespace>.<name>` if absent. Gateways make it when they may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 249), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub topic: Option<String>,

    /// Partitions of the topic when gateways make it; 12 if absent. A topic that exists stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub partitions: Option<i32>,

    /// Copies of each partition when gateways make the topic; Kafka's own default if absent. A topic that exists stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32))]
    pub replication_factor: Option<i32>,

    /// Whether connections are encrypted and whether gateways sign in, under Kafka's own names; PLAINTEXT, which is neither, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_protocol: Option<SecurityProtocol>,

    /// Authorities that may vouch for the servers' certificates; those that browsers trust if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaSecretRef>,

    /// Who the gateways are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sasl: Option<Sasl>,

    /// The certificate that gateways show to servers that ask for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_secret_ref: Option<TlsSecretRef>,
}

/// A KafkaUser or a KafkaTopic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaObjectRef {
    /// Its name; it is in the same namespace.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
}

/// Whether connections are encrypted and whether gateways sign in, under Kafka's own names; PLAINTEXT, which is neither, if absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum SecurityProtocol {
    /// Neither.
    #[default]
    #[serde(rename = "PLAINTEXT")]
    Plaintext,
    /// TLS.
    #[serde(rename = "SSL")]
    Ssl,
    /// SASL without encryption.
    #[serde(rename = "SASL_PLAINTEXT")]
    SaslPlaintext,
    /// SASL inside TLS.
    #[serde(rename = "SASL_SSL")]
    SaslSsl,
}

/// Who the gateways are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sasl {
    /// How the password is proven.
    pub mechanism: SaslMechanism,

    /// The user; it needs Describe, Read and Write on the topic, and Create to make it.
    #[schemars(length(min = 1, max = 256))]
    pub username: String,

    /// The user's password.
    pub password_secret_ref: PasswordSecretRef,
}

/// How the password is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum SaslMechanism {
    /// The password itself is sent.
    #[serde(rename = "PLAIN")]
    Plain,
    /// Challenge and response by SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// Challenge and response by SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}
