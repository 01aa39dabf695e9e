//! Fixture clusters, and the way from their YAML through the real validation.

#![allow(clippy::unwrap_used, reason = "a fixture that cannot be read is a failed test")]
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod api_server;
pub(crate) mod audit_log;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use chat_crds::ChatCluster;
use chat_operator::{
    admitted::Admitted,
    args::Images,
    backoff::Backoff,
    build::{Kind, migration_name},
    cache::Cache,
    context::Context,
    echoes::Echoes,
    engines::{EngineId, EngineKind, Found, Registry},
    events::Announcer,
    metrics::Metrics,
    names::ClusterKey,
    poll::Poller,
    rebalance::Memory,
    reconcile::{Dereferenced, Environment, Live, SecretValues, ValidateError, ValidatedCluster, validate},
    sensitive::{Entropy, EntropyError, Sensitive},
};
use k8s_openapi::ByteString;
use kube::{Client, ResourceExt, api::DynamicObject};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;

use api_server::{ApiServer, chat_cluster};

/// Names of the fixture clusters whose objects are kept. What is written of the one called `paused` is in `paused.rs`.
pub(crate) const FIXTURES: [&str; 18] = [
    "minimal",
    "two-shards",
    "backups",
    "external-backends",
    "engines",
    "overlays",
    "everything",
    "scaled-to-zero",
    "redis-pubsub",
    "redis-pubsub-apart",
    "kafka",
    "strimzi",
    "client-certificates",
    "mutual-tls",
    "embedded",
    "in-process",
    "haproxy",
    "traced",
];

/// Bytes that are the same in every run, and different at every call.
#[derive(Default)]
pub(crate) struct FixedEntropy(u8);

impl Entropy for FixedEntropy {
    fn bytes(&mut self) -> Result<[u8; 32], EntropyError> {
        self.0 += 1;
        Ok([self.0; 32])
    }
}

pub(crate) fn environment() -> Environment {
    Environment {
        images: Images {
            gateway: "chatcluster.dev/chat-gateway:0.1.0".to_owned(),
            postgresql: "chatcluster.dev/postgresql:17".to_owned(),
            rabbitmq: "chatcluster.dev/rabbitmq:4".to_owned(),
            redis: "chatcluster.dev/redis:8".to_owned(),
            haproxy: "chatcluster.dev/haproxy:3".to_owned(),
        },
        operator_namespace: "chat-system".to_owned(),
        monitoring: std::collections::BTreeMap::from([("team".to_owned(), "monitoring".to_owned())]),
        identity: "n".to_owned(),
    }
}

/// An operator that has just started.
pub(crate) fn context(client: Client) -> Context {
    context_with_news(client).0
}

/// The same with what its poller tells the controller.
pub(crate) fn context_with_news(client: Client) -> (Context, Receiver<ClusterKey>) {
    let metrics = Arc::new(Metrics::new().unwrap());
    let (changed, news) = tokio::sync::mpsc::channel(8);
    let context = Context {
        environment: Arc::new(environment()),
        cache: Arc::new(Cache::default()),
        poller: Arc::new(Poller::new(changed, Arc::clone(&metrics))),
        memory: Arc::new(Memory::default()),
        engines: Arc::new(Registry::default()),
        backoff: Arc::new(Backoff::default()),
        admitted: Arc::new(Admitted::default()),
        echoes: Arc::new(Echoes::default()),
        announcer: Arc::new(Announcer::new(client.clone(), "test", Arc::clone(&metrics))),
        client,
        metrics,
    };
    (context, news)
}

pub(crate) fn file(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures", name].iter().collect();
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The fixture cluster `name`.
pub(crate) fn cluster(name: &str) -> ChatCluster {
    serde_yaml_ng::from_str(&file(&format!("{name}.yaml"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserSecret {
    metadata: kube::api::ObjectMeta,
    string_data: BTreeMap<String, String>,
}

/// The Secrets that users made.
pub(crate) fn user_secrets() -> BTreeMap<String, Option<SecretValues>> {
    let secrets: Vec<UserSecret> = serde_yaml_ng::from_str(&file("secrets.yaml")).unwrap();
    let values =
        |data: BTreeMap<String, String>| data.into_iter().map(|(key, value)| (key, Sensitive::new(value))).collect();
    secrets.into_iter().map(|secret| (secret.metadata.name.unwrap(), Some(values(secret.string_data)))).collect()
}

/// Puts the Secrets that users made into the API server.
pub(crate) fn put_user_secrets(server: &ApiServer) {
    for (name, values) in user_secrets() {
        let data: serde_json::Map<String, Value> = values
            .unwrap()
            .into_iter()
            .map(|(key, value)| (key, serde_json::to_value(ByteString(value.expose().as_bytes().to_vec())).unwrap()))
            .collect();
        server.put(
            &format!("/api/v1/namespaces/chat/secrets/{name}"),
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": "chat" }, "data": data }),
        );
    }
}

/// The reason of Ready that the API server has of the ChatCluster `demo`.
pub(crate) fn reason_of_ready(server: &ApiServer) -> String {
    let cluster = server.get(&chat_cluster("demo")).unwrap();
    let conditions = cluster["status"]["conditions"].as_array().unwrap();
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready").unwrap();
    ready["reason"].as_str().unwrap().to_owned()
}

/// The engines of other operators, as these leave them when they are ready.
pub(crate) fn engines() -> BTreeMap<EngineId, Found> {
    let objects: Vec<DynamicObject> = serde_yaml_ng::from_str(&file("engine-objects.yaml")).unwrap();
    let found = objects.into_iter().map(|object| {
        let named = object.types.as_ref().unwrap().kind.clone();
        let kind = EngineKind::ALL.into_iter().find(|kind| kind.name() == named).unwrap();
        (EngineId { kind, name: object.name_any() }, Found::There(Box::new(object)))
    });
    found.collect()
}

/// The cluster with nothing existing but the users' Secrets.
pub(crate) fn fetched(cluster: ChatCluster) -> Dereferenced {
    Dereferenced {
        cluster,
        live: Live::default(),
        engines: engines(),
        secrets: user_secrets(),
        locked_volumes: BTreeMap::new(),
    }
}

/// What is wrong: whether only a change of the spec helps, the reason, the message.
pub(crate) fn problem(fetched: &Dereferenced) -> (bool, &'static str, String) {
    match validated(fetched) {
        Err(ValidateError::Unmet(problem)) => (false, problem.reason, problem.message),
        Err(ValidateError::Invalid(problem)) => (true, problem.reason, problem.message),
        other => panic!("{other:?}"),
    }
}

/// Puts a value into a Secret that is there.
pub(crate) fn set(fetched: &mut Dereferenced, secret: &str, key: &str, value: &str) {
    let values = fetched.secrets.get_mut(secret).unwrap().as_mut().unwrap();
    values.insert(key.to_owned(), Sensitive::new(value));
}

pub(crate) fn validated(fetched: &Dereferenced) -> Result<ValidatedCluster, ValidateError> {
    validate(fetched, &environment(), &mut FixedEntropy::default())
}

/// The fixture `name`, its migration completed, so that everything is built.
pub(crate) fn migrated(name: &str) -> ValidatedCluster {
    migrated_from(fetched(cluster(name)))
}

/// The same of a cluster that was changed.
pub(crate) fn migrated_from(mut fetched: Dereferenced) -> ValidatedCluster {
    if let Some(job) = migration_name(&validated(&fetched).unwrap()).unwrap() {
        insert(&mut fetched.live, Kind::Job, completed_job(&job));
    }
    let mut cluster = validated(&fetched).unwrap();
    // What a pass looks up: once they are migrated gateways use all shards.
    cluster.fleet.served = cluster.shards().iter().map(|shard| shard.name.clone()).collect();
    cluster
}

pub(crate) fn completed_job(name: &str) -> serde_json::Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": name },
        "status": { "conditions": [{ "type": "Complete", "status": "True" }] }
    })
}

pub(crate) fn insert(live: &mut Live, kind: Kind, object: serde_json::Value) {
    let object: kube::api::DynamicObject = serde_json::from_value(object).unwrap();
    live.insert(chat_operator::build::ChildId::new(kind, &object.name_any()), object);
}
