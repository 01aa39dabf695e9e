//! ChatClusters as tests need them.

use chat_crds::ShardRebalance;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::seen::Seen;

const READY_SINCE: &str = "2026-01-01T00:00:00Z";

fn now() -> Timestamp {
    READY_SINCE.parse::<Timestamp>().unwrap() + SignedDuration::from_mins(192)
}

fn condition(type_: &str, status: &str, reason: &str, message: &str, since: &str) -> Value {
    json!({ "type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": since, "observedGeneration": 3 })
}

fn manifest() -> Value {
    let good =
        |type_: &str, status: &str, reason: &str, message: &str| condition(type_, status, reason, message, READY_SINCE);
    json!({
        "apiVersion": "chatcluster.dev/v1alpha1", "kind": "ChatCluster",
        "metadata": { "name": "demo", "namespace": "chat", "generation": 3 },
        "spec": {
            "gateways": { "replicas": 3 },
            "broker": { "rabbitmq": { "managed": {} } }, "redis": { "managed": {} },
            "database": { "shards": [{ "name": "a", "managed": { "storage": { "size": "1Gi" } } }] },
        },
        "status": {
            "observedGeneration": 3, "replicas": 3, "readyReplicas": 3, "connections": 412, "revision": "5b8f96bcf",
            "shards": [{ "name": "a", "available": true, "slots": 512 }, { "name": "b", "available": true, "slots": 512 }],
            "effective": { "image": "chatcluster.dev/chat-gateway:0.1.0", "replicas": 3, "connectionsPerGateway": 10_000,
                "drainSeconds": 300, "messagesPerSecond": 10, "messageBurst": 20, "messageBytes": 4_096,
                "roomsPerConnection": 100, "passwords": "Enabled", "slots": 1_024, "deletionPolicy": "Retain" },
            "conditions": [
                good("Ready", "True", "Ready", "people can chat, and everything is as the spec asks"),
                good("Reconciling", "False", "Settled", "everything is as the spec asks"),
                good("Stalled", "False", "NotStalled", "nothing waits for a person"),
                good("GatewaysAvailable", "True", "GatewaysReady", "3 of 3 gateways are ready"),
                good("BrokerAvailable", "True", "Connected", "RabbitMQ answers every gateway"),
                good("CacheAvailable", "True", "Connected", "Redis answers every gateway"),
                good("DatabaseAvailable", "True", "ShardsReady", "2 of 2 shards answer"),
                good("ShardsBalanced", "True", "Balanced", "slots by shard: a: 512, b: 512"),
                good("RolloutHealthy", "True", "Complete", "all gateways are of the newest revision"),
                good("DeliveryVerified", "True", "Verified", "every message came once and in order"),
                good("CertificatesValid", "True", "NoCertificates", "the spec names no certificate"),
                good("CredentialsRotated", "True", "NothingRotates", "no token or password is being replaced"),
            ],
        },
    })
}

/// The ready one with some conditions replaced, and other fields of its status.
fn with(seconds_ago: i64, changed: &[(&str, &str, &str, &str)], status: &Value) -> Seen {
    let mut manifest = manifest();
    let since = (now() - SignedDuration::from_secs(seconds_ago)).to_string();
    for place in manifest["status"]["conditions"].as_array_mut().unwrap() {
        if let Some((type_, status, reason, message)) = changed.iter().find(|changed| place["type"] == changed.0) {
            *place = condition(type_, status, reason, message, &since);
        }
    }
    for (field, value) in status.as_object().unwrap() {
        manifest["status"][field] = value.clone();
    }
    seen(manifest)
}

fn seen(manifest: Value) -> Seen {
    Seen { cluster: serde_json::from_value(manifest).unwrap(), rebalances: Vec::new(), now: now() }
}

/// All is well.
pub(crate) fn ready() -> Seen {
    seen(manifest())
}

/// The operator has not looked at it.
pub(crate) fn new() -> Seen {
    let mut manifest = manifest();
    manifest["status"] = Value::Null;
    seen(manifest)
}

/// Its gateways do not run yet.
pub(crate) fn starting() -> Seen {
    let waits = "0 of 3 gateways are ready";
    let changed = [
        ("Ready", "False", "GatewaysNotReady", "GatewaysAvailable is False: 0 of 3 gateways are ready"),
        ("Reconciling", "True", "RollingOut", "not every gateway is of the newest revision and ready"),
        ("GatewaysAvailable", "False", "GatewaysNotReady", waits),
        ("DeliveryVerified", "Unknown", "NotProbed", "no probe has ended yet"),
    ];
    with(20, &changed, &json!({ "readyReplicas": 0, "connections": null }))
}

/// In the second wave of a rollout.
pub(crate) fn rolling_out() -> Seen {
    let rollout = json!({ "revision": "77aa", "wave": 2, "waves": 4, "percent": 25, "phase": "Progressing" });
    let changed = [
        ("Ready", "False", "RollingOut", "not every gateway is of the newest revision and ready"),
        ("Reconciling", "True", "RollingOut", "not every gateway is of the newest revision and ready"),
        ("RolloutHealthy", "True", "RollingOut", "wave 2 of 4"),
    ];
    with(90, &changed, &json!({ "rollout": rollout }))
}

/// A shard is away.
pub(crate) fn broken_database() -> Seen {
    let why = "shard b is not available: connection refused";
    let changed = [
        (
            "Ready",
            "False",
            "ConnectionRefused",
            "DatabaseAvailable is False: shard b is not available: connection refused",
        ),
        ("Reconciling", "False", "Applied", "all objects are as the spec asks; see Ready for what is wrong"),
        ("DatabaseAvailable", "False", "ConnectionRefused", why),
    ];
    with(250, &changed, &json!({ "shards": [{ "name": "a", "available": true }, { "name": "b", "available": false }] }))
}

/// Something acknowledged was lost.
pub(crate) fn violated() -> Seen {
    let why = "room r, seq 7 was acknowledged and is lost";
    with(60, &[("DeliveryVerified", "False", "AcknowledgedLost", why)], &json!({}))
}

/// Somebody has paused it, with changes that wait.
pub(crate) fn paused() -> Seen {
    let changed = [
        (
            "Ready",
            "False",
            "ChangesPending",
            "the cluster is paused and 2 changes wait; set spec.paused to false to make them",
        ),
        ("Reconciling", "False", "Paused", "spec.paused is true: the operator changes nothing"),
    ];
    let mut seen = with(60, &changed, &json!({}));
    seen.cluster.spec.paused = Some(true);
    seen
}

/// Slots move.
pub(crate) fn rebalancing() -> Seen {
    let why = "ShardRebalance demo-g2: 1 of 4 slots have moved";
    let mut seen = with(60, &[("ShardsBalanced", "False", "Rebalancing", why)], &json!({}));
    let object: ShardRebalance = serde_json::from_value(json!({
        "apiVersion": "chatcluster.dev/v1alpha1", "kind": "ShardRebalance", "metadata": { "name": "demo-g2" },
        "spec": { "clusterRef": { "name": "demo" } },
        "status": { "conditions": [condition("Ready", "False", "Running", "1 of 4 slots have moved", READY_SINCE)] },
    }))
    .unwrap();
    seen.rebalances.push(object);
    seen
}

/// On its way out.
pub(crate) fn deleting() -> Seen {
    let mut manifest = manifest();
    manifest["metadata"]["deletionTimestamp"] = json!((now() - SignedDuration::from_secs(60)).to_string());
    seen(manifest)
}
