//! Refusals about the gateway that needs nothing else: an embedded database, and a broker in the gateway's process.

use serde_json::{Value, json};

use super::{Refusal, create, update};

/// A ChatCluster that is accepted, with an embedded database.
#[must_use]
pub fn embedded_base() -> Value {
    json!({
        "apiVersion": "chatcluster.dev/v1alpha1",
        "kind": "ChatCluster",
        "metadata": { "name": "refused-embedded" },
        "spec": {
            "paused": true,
            "gateways": { "replicas": 1 },
            "broker": { "inProcess": {} },
            "database": { "embedded": { "storage": { "size": "1Gi" } } }
        }
    })
}

pub(super) fn refusals() -> Vec<Refusal> {
    let mut all = broker();
    all.extend(database());
    all.extend(changes());
    all
}

fn on_embedded(refusal: Refusal) -> Refusal {
    Refusal { ground: embedded_base, ..refusal }
}

const REPLICAS: &str =
    "spec.gateways.replicas: spec.broker.inProcess reaches one gateway only, and the default is 2; set replicas to 1";

fn broker() -> Vec<Refusal> {
    let alone = |name, spec, message| on_embedded(create(name, spec, message));
    vec![
        alone("two gateways with a broker in process", json!({ "gateways": { "replicas": 2 } }), REPLICAS),
        alone("the default of gateways with a broker in process", json!({ "gateways": null }), REPLICAS),
        alone(
            "a broker in process and one beside it",
            json!({ "broker": { "redisPubSub": {} } }),
            "spec.broker: exactly one kind of broker is needed; set one of rabbitmq, redisPubSub, kafka and inProcess",
        ),
        alone(
            "a broker in process with Redis",
            json!({ "redis": { "managed": {} } }),
            "spec.redis: with spec.broker.inProcess the gateway keeps limits and presence in its own process; remove redis",
        ),
        alone(
            "a broker in process that is no object",
            json!({ "broker": { "inProcess": true } }),
            "spec.broker.inProcess",
        ),
    ]
}

fn database() -> Vec<Refusal> {
    let alone = |name, spec, message| on_embedded(create(name, spec, message));
    vec![
        create(
            "neither shards nor an embedded database",
            json!({ "database": { "slots": null, "shards": null } }),
            "spec.database: exactly one kind of database is needed; set one of shards and embedded",
        ),
        create(
            "an embedded database and shards",
            json!({ "database": { "embedded": { "storage": { "size": "1Gi" } } } }),
            "spec.database: exactly one kind of database is needed; set one of shards and embedded",
        ),
        alone(
            "an embedded database that gateways would share",
            json!({ "broker": { "inProcess": null, "redisPubSub": {} }, "redis": { "managed": {} } }),
            "spec.database.embedded: the file belongs to one gateway, which shares it with no other; set spec.broker to inProcess: {}, or use shards",
        ),
        alone(
            "an embedded database with slots",
            json!({ "database": { "slots": 1024 } }),
            "spec.database.slots: an embedded database always has 1024 slots; remove the field",
        ),
        alone(
            "an embedded database without a volume",
            json!({ "database": { "embedded": { "storage": null } } }),
            "spec.database.embedded.storage",
        ),
        alone(
            "an embedded database of size big",
            json!({ "database": { "embedded": { "storage": { "size": "big" } } } }),
            "spec.database.embedded.storage.size",
        ),
    ]
}

fn changes() -> Vec<Refusal> {
    let alone = |name, spec, message| on_embedded(update(name, spec, message));
    vec![
        alone("a second gateway for an embedded database", json!({ "gateways": { "replicas": 2 } }), REPLICAS),
        alone(
            "an embedded database becomes shards",
            json!({ "database": { "embedded": null, "shards": [{ "name": "a", "urlSecretRef": { "name": "x" } }] } }),
            "spec.database: cannot change between shards and embedded",
        ),
        update(
            "shards become an embedded database",
            json!({
                "broker": { "rabbitmq": null, "inProcess": {} },
                "redis": null,
                "database": { "slots": null, "shards": null, "embedded": { "storage": { "size": "1Gi" } } }
            }),
            "spec.database: cannot change between shards and embedded",
        ),
        alone(
            "a larger volume of an embedded database",
            json!({ "database": { "embedded": { "storage": { "size": "2Gi" } } } }),
            "spec.database.embedded.storage.size: cannot change after creation; put the old value back",
        ),
        alone(
            "another StorageClass of an embedded database",
            json!({ "database": { "embedded": { "storage": { "storageClassName": "fast" } } } }),
            "spec.database.embedded.storage.storageClassName: cannot change after creation; put the old value back",
        ),
    ]
}
