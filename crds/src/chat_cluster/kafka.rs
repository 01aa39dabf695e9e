//! Apache Kafka as the broker: one that runs already.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{CaSecretRef, PasswordSecretRef};

/// An Apache Kafka that runs already. Gateways read one topic of their own, and all of it each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
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
    #[schemars(
        length(min = 1, max = 16),
        inner(length(min = 3, max = 260), regex(pattern = r"^([-_.a-zA-Z0-9]+|\[[:.a-fA-F0-9]+\]):[1-9][0-9]{0,4}$"))
    )]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub bootstrap_servers: Vec<String>,

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
