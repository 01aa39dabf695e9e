//! Secrets that the operator made and somebody changed by hand: it says what is wrong and how to go on, nothing is written until then, and no password takes the
//! place of one that a database has.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::*;

fn path(name: &str) -> String {
    format!("/api/v1/namespaces/chat/secrets/{name}")
}

impl World {
    /// Changes the Secret as with an editor; it stays so, and the other children are as they were. What Ready says.
    async fn edited(&self, name: &str, edit: impl FnOnce(&mut Value)) -> Condition {
        let mut secret = self.server.get(&path(name)).unwrap();
        edit(&mut secret);
        self.server.put(&path(name), secret);
        let before = self.children();
        assert_eq!(self.rest().await, [""; 0], "{name}");
        assert_eq!(self.children(), before, "{name}");
        assert_eq!(self.context.backoff.count(&key()), 0, "it is no failure of the operator");
        self.condition("Ready")
    }
}

/// What to edit: Secret, key; and what the message has to name besides.
const KEYS: [(&str, &str, &str); 8] = [
    ("demo-shard-a", "password", "volume"),
    ("demo-shard-a", "gatewayPassword", "volume"),
    ("demo-shard-a", "uri", "volume"),
    ("demo-shard-a", "migrationUri", "volume"),
    ("demo-rabbitmq", "password", "delete the Secret"),
    ("demo-rabbitmq", "uri", "delete the Secret"),
    ("demo-redis", "password", "delete the Secret"),
    ("demo-redis", "url", "delete the Secret"),
];

#[tokio::test]
async fn a_key_that_was_removed_or_replaced_is_named_and_nothing_is_written() {
    let world = World::settled().await;
    for (name, at, way_out) in KEYS {
        let whole = world.server.get(&path(name)).unwrap();
        for (what, value) in [
            ("removed", Value::Null),
            ("emptied", json!("")),
            ("no text", json!(STANDARD.encode([0xff, 0xfe, 0x00]))),
            ("rubbish", json!(STANDARD.encode("rubbish"))),
        ] {
            let ready = world.edited(name, |secret| secret["data"][at] = value).await;
            let reason = if what == "rubbish" { "SecretInvalid" } else { "SecretKeyNotFound" };
            assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", reason), "{what}: {ready:?}");
            let message = &ready.message;
            assert!([name, at, way_out].iter().all(|word| message.contains(word)), "{what}: {message}");
            assert!(!message.contains("rubbish"), "a value is shown: {message}");
        }
        world.server.put(&path(name), whole);
        assert_eq!(world.rest().await, [""; 0], "it is put back, and all is well");
        assert!(!world.condition("Ready").reason.starts_with("Secret"), "{:?}", world.condition("Ready"));
    }
}

/// The keys that sign tokens and open the admin port.
#[tokio::test]
async fn a_signing_key_that_is_none_is_named_and_gateways_keep_theirs() {
    let world = World::settled().await;
    let name = "demo-signing-key";
    let rubbish = json!(STANDARD.encode("rubbish"));
    let keys = world.server.get(&path(name)).unwrap()["data"].as_object().unwrap().clone();
    let at = keys.keys().next().unwrap().clone();
    let ready = world.edited(name, |secret| secret["data"][&at] = rubbish).await;
    assert_eq!(ready.reason, "SecretInvalid", "{ready:?}");
    assert!(ready.message.contains(name) && ready.message.contains(&at), "{ready:?}");
}

/// Without the Secret, the volume of the shard cannot be opened: nothing new takes its place.
#[tokio::test]
async fn a_secret_that_opens_a_volume_is_not_made_anew() {
    let world = World::settled().await;
    let claim = "/api/v1/namespaces/chat/persistentvolumeclaims/data-demo-shard-a-0";
    world.server.put(claim, json!({ "metadata": { "name": "data-demo-shard-a-0", "namespace": "chat" } }));
    let secret = world.server.remove(&path("demo-shard-a")).unwrap();
    assert_eq!(world.rest().await, [""; 0]);
    assert!(world.server.get(&path("demo-shard-a")).is_none());
    let ready = world.condition("Ready");
    assert_eq!(ready.reason, "CredentialsLost", "{ready:?}");
    assert!(ready.message.contains("demo-shard-a") && ready.message.contains("data-demo-shard-a-0"), "{ready:?}");
    world.server.put(&path("demo-shard-a"), secret);
    assert_eq!(world.rest().await, [""; 0], "it is put back, and all is well");
    // Nothing that lasts is behind these: new ones are made, and pods start anew with them.
    for name in ["demo-redis", "demo-rabbitmq"] {
        let before = world.server.remove(&path(name)).unwrap()["data"].clone();
        let made = world.rest().await;
        assert!(made.contains(&path(name)) && made.iter().any(|path| path.contains("/statefulsets/")), "{made:?}");
        assert_ne!(world.server.get(&path(name)).unwrap()["data"], before);
    }
}

/// A Secret that belongs to the ChatCluster does so without its labels: what is in it stays.
#[tokio::test]
async fn labels_that_were_taken_away_change_no_password() {
    let world = World::settled().await;
    let uid = world.server.get(&chat_cluster("demo")).unwrap()["metadata"]["uid"].clone();
    for name in ["demo-redis", "demo-rabbitmq", "demo-shard-a"] {
        let mut secret = world.server.get(&path(name)).unwrap();
        let data = secret["data"].clone();
        secret["metadata"]["labels"] = json!({});
        // As with `deletionPolicy: Delete`, where the Secrets of shards have an owner, too.
        secret["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "chatcluster.dev/v1alpha1", "kind": "ChatCluster", "name": "demo", "uid": uid, "controller": true,
        }]);
        world.server.put(&path(name), secret);
        assert!(world.rest().await.contains(&path(name)), "labels come back");
        assert_eq!(world.server.get(&path(name)).unwrap()["data"], data, "{name}");
    }
}
