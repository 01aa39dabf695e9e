//! Refusals about Apache Kafka as the broker.

use serde_json::{Value, json};

use super::{Refusal, create, update};

/// A ChatCluster that is accepted, with all that can be said about Kafka.
#[must_use]
pub fn kafka_base() -> Value {
    json!({
        "apiVersion": "chatcluster.dev/v1alpha1",
        "kind": "ChatCluster",
        "metadata": { "name": "refused-kafka" },
        "spec": {
            "paused": true,
            "gateways": { "replicas": 1 },
            "broker": {
                "kafka": {
                    "bootstrapServers": ["kafka-bootstrap.kafka.svc:9093", "[::1]:9093"],
                    "topic": "chat",
                    "partitions": 3,
                    "replicationFactor": 3,
                    "securityProtocol": "SASL_SSL",
                    "caSecretRef": { "name": "kafka-ca" },
                    "sasl": {
                        "mechanism": "SCRAM-SHA-512",
                        "username": "chat",
                        "passwordSecretRef": { "name": "kafka-user" }
                    }
                }
            },
            "redis": { "managed": {} },
            "database": { "shards": [{ "name": "a", "urlSecretRef": { "name": "a" } }] }
        }
    })
}

const SASL: &str = "spec.broker.kafka.sasl: goes with securityProtocol SASL_SSL or SASL_PLAINTEXT and with no other";
const CA: &str = "spec.broker.kafka.caSecretRef: is for connections with TLS; set securityProtocol to SSL or SASL_SSL";

pub(super) fn refusals() -> Vec<Refusal> {
    let on = |kafka: Value| json!({ "broker": { "kafka": kafka } });
    let with = |name, kafka, message| Refusal { ground: kafka_base, ..create(name, on(kafka), message) };
    vec![
        Refusal {
            ground: kafka_base,
            ..create(
                "Kafka and another broker",
                json!({ "broker": { "redisPubSub": {} } }),
                "spec.broker: exactly one kind of broker is needed",
            )
        },
        with(
            "Kafka nowhere",
            json!({ "bootstrapServers": null }),
            "spec.broker.kafka: set exactly one of bootstrapServers and clusterRef",
        ),
        with("Kafka on no server", json!({ "bootstrapServers": [] }), "spec.broker.kafka.bootstrapServers"),
        with("Kafka without a port", json!({ "bootstrapServers": ["kafka"] }), "spec.broker.kafka.bootstrapServers[0]"),
        with(
            "Kafka as a URL",
            json!({ "bootstrapServers": ["kafka://kafka:9092"] }),
            "spec.broker.kafka.bootstrapServers[0]",
        ),
        with(
            "two Kafka servers in one",
            json!({ "bootstrapServers": ["a:9092,b:9092"] }),
            "spec.broker.kafka.bootstrapServers[0]",
        ),
        with("a topic with a path", json!({ "topic": "chat/messages" }), "spec.broker.kafka.topic"),
        with("a topic without partitions", json!({ "partitions": 0 }), "spec.broker.kafka.partitions"),
        with("a topic without copies", json!({ "replicationFactor": 0 }), "spec.broker.kafka.replicationFactor"),
        with("Kafka over TLS 1.3", json!({ "securityProtocol": "TLS" }), "spec.broker.kafka.securityProtocol"),
        with("a SASL protocol without SASL", json!({ "sasl": null }), SASL),
        with("SASL without a protocol", json!({ "securityProtocol": null, "caSecretRef": null }), SASL),
        with("SASL with another protocol", json!({ "securityProtocol": "SSL" }), SASL),
        with("a CA without TLS", json!({ "securityProtocol": "SASL_PLAINTEXT" }), CA),
        with("a CA without a protocol", json!({ "securityProtocol": null, "sasl": null }), CA),
        with("SASL by ticket", json!({ "sasl": { "mechanism": "GSSAPI" } }), "spec.broker.kafka.sasl.mechanism"),
        with("SASL of nobody", json!({ "sasl": { "username": "" } }), "spec.broker.kafka.sasl.username"),
        with(
            "SASL without a password",
            json!({ "sasl": { "passwordSecretRef": null } }),
            "spec.broker.kafka.sasl.passwordSecretRef",
        ),
        with(
            "a client's certificate without TLS",
            json!({ "securityProtocol": "SASL_PLAINTEXT", "caSecretRef": null, "clientCertificateSecretRef": { "name": "me" } }),
            "spec.broker.kafka.clientCertificateSecretRef: is for connections with TLS",
        ),
        with(
            "a client's certificate of nobody",
            json!({ "clientCertificateSecretRef": { "name": "" } }),
            "spec.broker.kafka.clientCertificateSecretRef.name",
        ),
        with(
            "Kafka by address and by Strimzi",
            json!({ "clusterRef": { "name": "my-kafka" } }),
            "spec.broker.kafka: set exactly one of bootstrapServers and clusterRef",
        ),
        with(
            "a KafkaUser without a Kafka",
            json!({ "userRef": { "name": "chat" } }),
            "spec.broker.kafka: listener, userRef and topicRef go with clusterRef",
        ),
        with("a listener without a Kafka", json!({ "listener": "tls" }), "go with clusterRef"),
        with(
            "a Kafka of Strimzi with a protocol",
            json!({ "bootstrapServers": null, "clusterRef": { "name": "k" }, "caSecretRef": null, "sasl": null, "securityProtocol": "SSL" }),
            "with clusterRef, the Kafka and the KafkaUser of userRef say how gateways connect",
        ),
        with(
            "two topics",
            json!({ "bootstrapServers": null, "clusterRef": { "name": "k" }, "caSecretRef": null, "sasl": null, "securityProtocol": null,
                "topicRef": { "name": "chat" } }),
            "spec.broker.kafka: topic is a name and topicRef a KafkaTopic",
        ),
        with(
            "a KafkaUser of another namespace",
            json!({ "userRef": { "name": "a/b" } }),
            "spec.broker.kafka.userRef.name",
        ),
        with("a listener with a hyphen", json!({ "listener": "my-tls" }), "spec.broker.kafka.listener"),
        Refusal { ground: kafka_base, ..update("Kafka loses its SASL", on(json!({ "sasl": null })), SASL) },
    ]
}
