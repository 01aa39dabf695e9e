//! Refusals about engines that other operators run.

use serde_json::{Value, json};

use super::{Refusal, create, update};

/// A ChatCluster that is accepted, with all that can be said about engines of other operators.
#[must_use]
pub fn engines_base() -> Value {
    json!({
        "apiVersion": "chatcluster.dev/v1alpha1",
        "kind": "ChatCluster",
        "metadata": { "name": "refused-engines" },
        "spec": {
            "paused": true,
            "gateways": { "replicas": 1 },
            "broker": { "rabbitmq": { "clusterRef": { "name": "mq" }, "virtualHost": "chat" } },
            "redis": { "managed": {} },
            "database": {
                "shards": [
                    shard(&json!({
                        "clusterRef": { "name": "pg" },
                        "database": "chat",
                        "ownerSecretRef": { "name": "chat-owner" },
                        "gatewaySecretRef": { "name": "chat-gateway" }
                    })),
                    { "name": "b", "urlSecretRef": { "name": "b" } }
                ]
            }
        }
    })
}

fn shard(cluster: &Value) -> Value {
    json!({ "name": "a", "cloudNativePG": cluster })
}

pub(super) fn refusals() -> Vec<Refusal> {
    let on = |refusal| Refusal { ground: engines_base, ..refusal };
    let broker =
        |name, rabbitmq: Value, message| on(create(name, json!({ "broker": { "rabbitmq": rabbitmq } }), message));
    let shards =
        |shard: Value| json!({ "database": { "shards": [shard, { "name": "b", "urlSecretRef": { "name": "b" } }] } });
    let cluster = |name, cluster: Value, message| on(create(name, shards(shard(&cluster)), message));
    vec![
        broker(
            "a RabbitmqCluster and a URI",
            json!({ "uriSecretRef": { "name": "x" } }),
            "spec.broker.rabbitmq: set exactly one of managed, clusterRef and uriSecretRef",
        ),
        broker(
            "a RabbitmqCluster and a managed RabbitMQ",
            json!({ "managed": {} }),
            "spec.broker.rabbitmq: set exactly one of managed, clusterRef and uriSecretRef",
        ),
        broker(
            "a virtual host of a managed RabbitMQ",
            json!({ "clusterRef": null, "managed": {} }),
            "spec.broker.rabbitmq.virtualHost: goes with clusterRef",
        ),
        broker("a virtual host without a name", json!({ "virtualHost": "" }), "spec.broker.rabbitmq.virtualHost"),
        broker("a virtual host with a query", json!({ "virtualHost": "a?b" }), "spec.broker.rabbitmq.virtualHost"),
        broker(
            "a RabbitmqCluster without a name",
            json!({ "clusterRef": { "name": null } }),
            "spec.broker.rabbitmq.clusterRef.name",
        ),
        broker(
            "a RabbitmqCluster of another namespace",
            json!({ "clusterRef": { "name": "other/mq" } }),
            "spec.broker.rabbitmq.clusterRef.name",
        ),
        cluster("a Cluster nowhere", json!({ "database": "chat" }), "cloudNativePG.clusterRef"),
        cluster(
            "a Cluster with a long name",
            json!({ "clusterRef": { "name": "p".repeat(64) } }),
            "cloudNativePG.clusterRef.name",
        ),
        cluster(
            "a database with a path",
            json!({ "clusterRef": { "name": "pg" }, "database": "a/b" }),
            "cloudNativePG.database",
        ),
        cluster(
            "an owner without a Secret",
            json!({ "clusterRef": { "name": "pg" }, "ownerSecretRef": { "name": "" } }),
            "cloudNativePG.ownerSecretRef.name",
        ),
        on(create(
            "a shard of a Cluster and of a URI",
            shards(
                json!({ "name": "a", "cloudNativePG": { "clusterRef": { "name": "pg" } }, "urlSecretRef": { "name": "x" } }),
            ),
            "spec.database.shards: each shard has exactly one of managed, cloudNativePG and urlSecretRef",
        )),
        on(update(
            "a shard from a Cluster to managed",
            shards(json!({ "name": "a", "managed": { "storage": { "size": "1Gi" } } })),
            "spec.database.shards: a shard cannot change between managed and one of cloudNativePG and urlSecretRef",
        )),
    ]
}
