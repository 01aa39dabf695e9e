//! Fixtures for tests: what the API server must refuse, and in which words. Behind the feature `testing`.

mod adoption;
mod autoscaling;
mod backup;
mod embedded;
mod engines;
mod expose;
mod kafka;
mod prometheus;
mod rebalance;
mod tracing;

use serde_json::{Value, json};

pub use embedded::embedded_base;
pub use engines::engines_base;
pub use kafka::kafka_base;
pub use rebalance::rebalance_base;

/// One object that must be refused.
pub struct Refusal {
    /// What it is about.
    pub name: &'static str,
    /// Whether the ground exists already and is changed, or is created like this.
    pub kind: Attempt,
    /// The accepted object that `patch` makes wrong; one of [`grounds`].
    pub ground: fn() -> Value,
    /// A JSON merge patch (RFC 7386) on the ground.
    pub patch: Value,
    /// Must stand in the refusal: the field, or the sentence that names it and the way out.
    pub message: &'static str,
}

/// How the object comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// As a new object.
    Create,
    /// As a change of its ground.
    Update,
}

/// The objects that are accepted, on which every [`Refusal`] builds; their names differ.
#[must_use]
pub fn grounds() -> Vec<Value> {
    vec![base(), embedded_base(), engines_base(), kafka_base(), rebalance_base()]
}

/// A ChatCluster that is accepted, with shards.
#[must_use]
pub fn base() -> Value {
    json!({
        "apiVersion": "chatcluster.dev/v1alpha1",
        "kind": "ChatCluster",
        "metadata": { "name": "refused" },
        "spec": {
            "paused": true,
            "gateways": { "replicas": 1 },
            "broker": { "rabbitmq": { "managed": {} } },
            "redis": { "managed": {} },
            "database": {
                "slots": 64,
                "shards": [
                    { "name": "a", "managed": { "storage": { "size": "1Gi" } } },
                    { "name": "b", "urlSecretRef": { "name": "b" } }
                ]
            }
        }
    })
}

/// A refusal's ground with its patch.
#[must_use]
pub fn patched(refusal: &Refusal) -> Value {
    let mut object = (refusal.ground)();
    merge(&mut object, &refusal.patch);
    object
}

fn merge(target: &mut Value, patch: &Value) {
    let (Value::Object(into), Value::Object(from)) = (&mut *target, patch) else {
        *target = patch.clone();
        return;
    };
    for (key, value) in from {
        if value.is_null() {
            into.remove(key);
        } else {
            merge(into.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

fn create(name: &'static str, spec: Value, message: &'static str) -> Refusal {
    Refusal {
        name,
        kind: Attempt::Create,
        ground: base,
        patch: Value::Object(std::iter::once(("spec".to_owned(), spec)).collect()),
        message,
    }
}

fn update(name: &'static str, spec: Value, message: &'static str) -> Refusal {
    Refusal { kind: Attempt::Update, ..create(name, spec, message) }
}

/// The table.
#[must_use]
pub fn refusals() -> Vec<Refusal> {
    let mut all = identity();
    all.extend(gateways());
    all.extend(backends());
    all.extend(database());
    all.extend(changes());
    all.extend(adoption::refusals());
    all.extend(backup::refusals());
    all.extend(embedded::refusals());
    all.extend(engines::refusals());
    all.extend(kafka::refusals());
    all.extend(autoscaling::refusals());
    all.extend(expose::refusals());
    all.extend(prometheus::refusals());
    all.extend(rebalance::refusals());
    all.extend(tracing::refusals());
    all
}

fn identity() -> Vec<Refusal> {
    let named = |name: &'static str, value: &str, message| Refusal {
        name,
        kind: Attempt::Create,
        ground: base,
        patch: json!({ "metadata": { "name": value } }),
        message,
    };
    vec![
        named("a name of 41 characters", &"n".repeat(41), "metadata.name: must be at most 40 characters"),
        named("a name that starts with a digit", "1st", "metadata.name: must be lower-case letters"),
        named("a name with a dot", "a.b", "metadata.name: must be lower-case letters"),
        Refusal {
            name: "no spec",
            kind: Attempt::Create,
            ground: base,
            patch: json!({ "spec": null }),
            message: "spec: Required value",
        },
        create("an empty image", json!({ "image": "" }), "spec.image"),
        create("a string for paused", json!({ "paused": "yes" }), "spec.paused"),
    ]
}

fn gateways() -> Vec<Refusal> {
    vec![
        create("negative replicas", json!({ "gateways": { "replicas": -1 } }), "spec.gateways.replicas"),
        create("501 replicas", json!({ "gateways": { "replicas": 501 } }), "spec.gateways.replicas"),
        create(
            "no connection",
            json!({ "gateways": { "connectionsPerGateway": 0 } }),
            "spec.gateways.connectionsPerGateway",
        ),
        create(
            "a proxy by name",
            json!({ "gateways": { "trustedProxies": ["proxy.example.org"] } }),
            "spec.gateways.trustedProxies[0]",
        ),
        create(
            "a proxy twice",
            json!({ "gateways": { "trustedProxies": ["10.0.0.0/8", "10.0.0.0/8"] } }),
            "spec.gateways.trustedProxies[1]",
        ),
        create(
            "an origin with a path",
            json!({ "gateways": { "allowedOrigins": ["https://app.example.org/chat"] } }),
            "spec.gateways.allowedOrigins[0]",
        ),
        create(
            "an origin without a scheme",
            json!({ "gateways": { "allowedOrigins": ["app.example.org"] } }),
            "spec.gateways.allowedOrigins[0]",
        ),
        create(
            "an origin twice",
            json!({ "gateways": { "allowedOrigins": ["*", "*"] } }),
            "spec.gateways.allowedOrigins[1]",
        ),
        create("no time to drain", json!({ "gateways": { "drainSeconds": 0 } }), "spec.gateways.drainSeconds"),
        create(
            "a rate of zero",
            json!({ "gateways": { "limits": { "messagesPerSecond": 0 } } }),
            "spec.gateways.limits.messagesPerSecond",
        ),
        create(
            "a burst of zero",
            json!({ "gateways": { "limits": { "messageBurst": 0 } } }),
            "spec.gateways.limits.messageBurst",
        ),
        create(
            "a message over a frame",
            json!({ "gateways": { "limits": { "messageBytes": 65536 } } }),
            "spec.gateways.limits.messageBytes",
        ),
        create(
            "no room",
            json!({ "gateways": { "limits": { "roomsPerConnection": 0 } } }),
            "spec.gateways.limits.roomsPerConnection",
        ),
        create(
            "a label of the operator's",
            json!({ "gateways": { "podTemplate": { "labels": { "app.kubernetes.io/name": "mine" } } } }),
            "spec.gateways.podTemplate.labels: app.kubernetes.io/ and chatcluster.dev/ belong to the operator; use another prefix",
        ),
        create(
            "an annotation of the operator's",
            json!({ "gateways": { "podTemplate": { "annotations": { "chatcluster.dev/x": "1" } } } }),
            "spec.gateways.podTemplate.annotations: chatcluster.dev/ belongs to the operator; use another prefix",
        ),
        create(
            "a quantity that is none",
            json!({ "gateways": { "podTemplate": { "resources": { "requests": { "cpu": "lots" } } } } }),
            "spec.gateways.podTemplate.resources.requests.cpu",
        ),
        create(
            "an effect that is none",
            json!({ "gateways": { "podTemplate": { "tolerations": [{ "effect": "Never" }] } } }),
            "effect",
        ),
    ]
}

fn backends() -> Vec<Refusal> {
    vec![
        create(
            "an affinity of another type",
            json!({ "gateways": { "podTemplate": { "affinity": { "nodeAffinity": "x" } } } }),
            "spec.gateways.podTemplate.affinity.nodeAffinity",
        ),
        create(
            "a spread without its key",
            json!({ "gateways": { "podTemplate": { "topologySpreadConstraints": [{ "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule" }] } } }),
            "topologyKey",
        ),
        create("an image with a blank", json!({ "image": "a b" }), "spec.image"),
        create(
            "a Secret with a path for a name",
            json!({ "auth": { "signingKeySecretRef": { "name": "../x" } } }),
            "spec.auth.signingKeySecretRef.name",
        ),
        create(
            "a key with a path",
            json!({ "auth": { "signingKeySecretRef": { "name": "x", "key": "../x" } } }),
            "spec.auth.signingKeySecretRef.key",
        ),
        create(
            "an issuer over plain HTTP",
            json!({ "auth": { "oidc": [{ "issuer": "http://id.example.org", "audience": "chat" }] } }),
            "spec.auth.oidc[0].issuer",
        ),
        create(
            "an issuer with a query",
            json!({ "auth": { "oidc": [{ "issuer": "https://id.example.org/?a=b", "audience": "chat" }] } }),
            "spec.auth.oidc[0].issuer",
        ),
        create(
            "an issuer for any audience",
            json!({ "auth": { "oidc": [{ "issuer": "https://id.example.org" }] } }),
            "spec.auth.oidc[0].audience",
        ),
        create(
            "an issuer twice",
            json!({ "auth": { "oidc": [
                { "issuer": "https://id.example.org", "audience": "chat" },
                { "issuer": "https://id.example.org", "audience": "shop" },
            ] } }),
            "spec.auth.oidc[1]",
        ),
        create("passwords maybe", json!({ "auth": { "passwords": "Maybe" } }), "spec.auth.passwords"),
        create(
            "a signing key without a name",
            json!({ "auth": { "signingKeySecretRef": {} } }),
            "spec.auth.signingKeySecretRef.name",
        ),
        create("no broker at all", json!({ "broker": null }), "spec.broker: Required value"),
        create(
            "two kinds of broker",
            json!({ "broker": { "redisPubSub": {} } }),
            "spec.broker: exactly one kind of broker is needed; set one of rabbitmq, redisPubSub, kafka and inProcess",
        ),
        create(
            "no kind of broker",
            json!({ "broker": { "rabbitmq": null } }),
            "spec.broker: exactly one kind of broker is needed; set one of rabbitmq, redisPubSub, kafka and inProcess",
        ),
        create(
            "RabbitMQ of neither kind",
            json!({ "broker": { "rabbitmq": { "managed": null } } }),
            "spec.broker.rabbitmq: set exactly one of managed, clusterRef and uriSecretRef",
        ),
        create(
            "RabbitMQ of both kinds",
            json!({ "broker": { "rabbitmq": { "uriSecretRef": { "name": "x" } } } }),
            "spec.broker.rabbitmq: set exactly one of managed, clusterRef and uriSecretRef",
        ),
        create(
            "no Redis at all",
            json!({ "redis": null }),
            "spec.redis: gateways that share a broker share limits and presence, too; set managed or urlSecretRef",
        ),
        create(
            "Redis of neither kind",
            json!({ "redis": { "managed": null } }),
            "spec.redis: set exactly one of managed and urlSecretRef",
        ),
        create(
            "certificates for a managed RabbitMQ",
            json!({ "broker": { "rabbitmq": { "tls": { "caSecretRef": { "name": "x" } } } } }),
            "spec.broker.rabbitmq: tls goes with uriSecretRef",
        ),
        create(
            "certificates for messages over the Redis of limits",
            json!({ "broker": { "rabbitmq": null, "redisPubSub": { "tls": {} } } }),
            "spec.broker.redisPubSub: tls goes with urlSecretRef",
        ),
        create(
            "certificates for a managed Redis",
            json!({ "redis": { "tls": { "clientCertificateSecretRef": { "name": "x" } } } }),
            "spec.redis: tls goes with urlSecretRef",
        ),
        create(
            "a certificate of nobody for Redis",
            json!({ "redis": { "managed": null, "urlSecretRef": { "name": "x" }, "tls": { "clientCertificateSecretRef": { "name": "" } } } }),
            "spec.redis.tls.clientCertificateSecretRef.name",
        ),
        create(
            "Redis of both kinds",
            json!({ "redis": { "urlSecretRef": { "name": "x" } } }),
            "spec.redis: set exactly one of managed and urlSecretRef",
        ),
    ]
}

fn database() -> Vec<Refusal> {
    let shards = |name, shards: Value, message| create(name, json!({ "database": { "shards": shards } }), message);
    vec![
        create("no slot", json!({ "database": { "slots": 0 } }), "spec.database.slots"),
        create("too many slots", json!({ "database": { "slots": 65537 } }), "spec.database.slots"),
        create(
            "a policy that is none",
            json!({ "database": { "deletionPolicy": "Keep" } }),
            "spec.database.deletionPolicy",
        ),
        shards("no shard", json!([]), "spec.database.shards"),
        shards(
            "two shards of one name",
            json!([{ "name": "a", "urlSecretRef": { "name": "x" } }, { "name": "a", "urlSecretRef": { "name": "y" } }]),
            "Duplicate value",
        ),
        shards(
            "a shard named in capitals",
            json!([{ "name": "A", "urlSecretRef": { "name": "x" } }]),
            "spec.database.shards[0].name",
        ),
        shards(
            "a shard with a long name",
            json!([{ "name": "a".repeat(21), "urlSecretRef": { "name": "x" } }]),
            "spec.database.shards[0].name",
        ),
        shards(
            "a shard of neither kind",
            json!([{ "name": "a" }]),
            "spec.database.shards: each shard has exactly one of managed, cloudNativePG and urlSecretRef",
        ),
        shards(
            "a shard of both kinds",
            json!([{ "name": "a", "managed": { "storage": { "size": "1Gi" } }, "urlSecretRef": { "name": "x" } }]),
            "spec.database.shards: each shard has exactly one of managed, cloudNativePG and urlSecretRef",
        ),
        shards(
            "certificates of a managed shard",
            json!([{ "name": "a", "managed": { "storage": { "size": "1Gi" } }, "tls": {} }]),
            "spec.database.shards: tls goes with urlSecretRef",
        ),
        shards(
            "a certificate of nobody",
            json!([{ "name": "a", "urlSecretRef": { "name": "x" }, "tls": { "clientCertificateSecretRef": { "name": "" } } }]),
            "spec.database.shards[0].tls.clientCertificateSecretRef.name",
        ),
        shards("a volume without a size", json!([{ "name": "a", "managed": { "storage": {} } }]), "storage.size"),
        Refusal {
            name: "names that are too long together",
            kind: Attempt::Create,
            ground: base,
            patch: json!({
                "metadata": { "name": "n".repeat(40) },
                "spec": { "database": { "shards": [{ "name": "sixsix", "managed": { "storage": { "size": "1Gi" } } }] } }
            }),
            message: "spec.database.shards: the names of the ChatCluster and of a managed shard must have at most 45 characters together",
        },
        shards(
            "a volume of one byte",
            json!([{ "name": "a", "managed": { "storage": { "size": "1" } } }]),
            "storage.size",
        ),
        shards(
            "a volume of size big",
            json!([{ "name": "a", "managed": { "storage": { "size": "big" } } }]),
            "storage.size",
        ),
    ]
}

fn changes() -> Vec<Refusal> {
    let a = json!({ "name": "a", "managed": { "storage": { "size": "1Gi" } } });
    let b = json!({ "name": "b", "urlSecretRef": { "name": "b" } });
    let shards = |name, shards: Value, message| update(name, json!({ "database": { "shards": shards } }), message);
    vec![
        update(
            "another number of slots",
            json!({ "database": { "slots": 128 } }),
            "spec.database.slots: cannot change",
        ),
        update("slots taken out", json!({ "database": { "slots": null } }), "spec.database.slots: cannot change"),
        shards("all shards removed", json!([]), "spec.database.shards"),
        shards(
            "weights of zero everywhere",
            json!([
                { "name": "a", "weight": 0, "managed": { "storage": { "size": "1Gi" } } },
                { "name": "b", "weight": 0, "urlSecretRef": { "name": "b" } }
            ]),
            "spec.database.shards: with a weight of 0 everywhere no shard could take anything; give one of them another weight",
        ),
        shards(
            "a weight below zero",
            json!([a, { "name": "b", "weight": -1, "urlSecretRef": { "name": "b" } }]),
            "spec.database.shards[1].weight",
        ),
        shards(
            "a room that is no id",
            json!([a, { "name": "b", "rooms": ["general"], "urlSecretRef": { "name": "b" } }]),
            "spec.database.shards[1].rooms",
        ),
        update(
            "moves without a bound",
            json!({ "database": { "rebalance": { "concurrentMoves": 0 } } }),
            "spec.database.rebalance.concurrentMoves",
        ),
        shards(
            "a shard from managed to given",
            json!([{ "name": "a", "urlSecretRef": { "name": "x" } }, b]),
            "spec.database.shards: a shard cannot change between managed and one of cloudNativePG and urlSecretRef",
        ),
        shards(
            "a larger volume",
            json!([{ "name": "a", "managed": { "storage": { "size": "2Gi" } } }, b]),
            "spec.database.shards.managed.storage.size: cannot change after creation; put the old value back",
        ),
        shards(
            "another StorageClass",
            json!([{ "name": "a", "managed": { "storage": { "size": "1Gi", "storageClassName": "fast" } } }, b]),
            "spec.database.shards.managed.storage.storageClassName: cannot change after creation; put the old value back",
        ),
        update(
            "broker of both kinds",
            json!({ "broker": { "rabbitmq": { "uriSecretRef": { "name": "x" } } } }),
            "set exactly one of managed, clusterRef and uriSecretRef",
        ),
    ]
}
