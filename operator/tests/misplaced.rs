//! ShardRebalances that name no ChatCluster, or one without shards: they say so, once, and go on when that has changed.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

mod support;

use std::time::Duration;

use chat_crds::ChatCluster;
use chat_operator::{
    context::Context,
    missing,
    names::ClusterKey,
    reconcile::{reconcile, tell_of_no_cluster},
};
use kube::runtime::{reflector, watcher::Event};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use support::api_server::{ApiServer, chat_cluster, shard_rebalance};

fn key() -> ClusterKey {
    ClusterKey::new("chat", "demo")
}

async fn start() -> (ApiServer, Context) {
    let (server, client) = ApiServer::empty().await;
    (server, support::context(client))
}

fn add(server: &ApiServer, name: &str, owners: &Value) {
    let object = json!({
        "apiVersion": "chatcluster.dev/v1alpha1", "kind": "ShardRebalance",
        "metadata": { "name": name, "namespace": "chat", "generation": 3, "ownerReferences": owners },
        "spec": { "clusterRef": { "name": "demo" } },
    });
    server.put(&shard_rebalance(name), object);
}

/// Status, reason and message of a condition.
fn condition(server: &ApiServer, name: &str, type_: &str) -> Option<[String; 3]> {
    let object = server.get(&shard_rebalance(name)).unwrap();
    let all = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = all.into_iter().find(|condition| condition["type"] == type_)?;
    assert_eq!(found["observedGeneration"], 3);
    assert_eq!(object["status"]["observedGeneration"], 3);
    Some(["status", "reason", "message"].map(|field| found[field].as_str().unwrap().to_owned()))
}

fn state(server: &ApiServer, name: &str) -> Option<(String, String)> {
    condition(server, name, "Ready").map(|[status, reason, _]| (status, reason))
}

fn is(status: &str, reason: &str) -> Option<(String, String)> {
    Some((status.to_owned(), reason.to_owned()))
}

fn writes_of_rebalances(server: &ApiServer) -> usize {
    server.writes().iter().filter(|write| write.path.contains("/shardrebalances/")).count()
}

#[tokio::test]
async fn one_without_a_chat_cluster_says_so_once_and_goes_on_when_it_comes() {
    let (server, context) = start().await;
    add(&server, "mine", &Value::Null);
    for _ in 0..3 {
        tell_of_no_cluster(&context, &key()).await.unwrap();
    }
    assert_eq!(writes_of_rebalances(&server), 1, "nothing has changed since");
    assert_eq!(state(&server, "mine"), is("False", "ClusterNotFound"));
    let [_, _, message] = condition(&server, "mine", "Ready").unwrap();
    assert!(
        message.starts_with("spec.clusterRef: there is no ChatCluster demo in this namespace; make it"),
        "{message}"
    );
    let [reconciling, ..] = condition(&server, "mine", "Reconciling").unwrap();
    let [stalled, ..] = condition(&server, "mine", "Stalled").unwrap();
    assert_eq!((reconciling.as_str(), stalled.as_str()), ("True", "False"), "it may come any moment");

    let mut cluster = serde_json::to_value(support::cluster("external-backends")).unwrap();
    cluster["metadata"]["namespace"] = json!("chat");
    server.put(&chat_cluster("demo"), cluster);
    tell_of_no_cluster(&context, &key()).await.unwrap();
    assert_eq!(writes_of_rebalances(&server), 1, "the pass over the ChatCluster tells of what follows");
    reconcile(&context, &key()).await.unwrap();
    assert_eq!(state(&server, "mine"), is("False", "Planning"), "its Secrets are missing, and the ChatCluster says so");
}

#[tokio::test]
async fn one_whose_chat_cluster_went_says_so_and_one_of_the_operators_goes_with_it() {
    let (server, context) = start().await;
    add(&server, "mine", &Value::Null);
    add(
        &server,
        "own",
        &json!([{ "apiVersion": "v1", "kind": "ChatCluster", "name": "demo", "uid": "1", "controller": true }]),
    );
    let mut done = server.get(&shard_rebalance("mine")).unwrap();
    done["metadata"]["name"] = json!("done");
    done["status"] = json!({ "observedGeneration": 3, "conditions": [{ "type": "Ready", "status": "True", "reason": "Completed",
        "message": "", "observedGeneration": 3, "lastTransitionTime": "2026-01-01T00:00:00Z" }] });
    server.put(&shard_rebalance("done"), done);
    tell_of_no_cluster(&context, &key()).await.unwrap();
    assert_eq!(state(&server, "mine"), is("False", "ClusterNotFound"));
    assert_eq!(state(&server, "own"), None);
    assert_eq!(state(&server, "done"), is("True", "Completed"), "what is over stays as it ended");
    assert!(context.memory.is_named(&key()), "a ChatCluster that comes back has to know");
}

#[tokio::test]
async fn one_for_an_embedded_database_says_so_once() {
    let (server, context) = start().await;
    let mut cluster = serde_json::to_value(support::cluster("embedded")).unwrap();
    cluster["metadata"]["namespace"] = json!("chat");
    server.put(&chat_cluster("demo"), cluster);
    add(&server, "mine", &Value::Null);
    context.memory.name(&key());
    for _ in 0..3 {
        let pass = reconcile(&context, &key()).await.unwrap();
        assert!(pass.error.is_none(), "{:?}", pass.error);
    }
    assert_eq!(writes_of_rebalances(&server), 1);
    assert_eq!(state(&server, "mine"), is("False", "NotSharded"));
    let [_, _, message] = condition(&server, "mine", "Ready").unwrap();
    assert!(message.starts_with("spec.clusterRef: the database of ChatCluster demo is embedded"), "{message}");
    let [stalled, ..] = condition(&server, "mine", "Stalled").unwrap();
    assert_eq!(stalled, "True", "only a person can go on");
}

#[tokio::test]
async fn a_chat_cluster_is_missed_when_it_is_known_which_ones_there_are() {
    let (server, context) = start().await;
    add(&server, "mine", &Value::Null);
    let (clusters, mut writer) = reflector::store::<ChatCluster>();
    let (named, names) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let running = tokio::spawn(missing::run(context, clusters, names, stop.clone()));
    named.send(key()).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(state(&server, "mine"), None, "the first list is yet to come");
    writer.apply_watcher_event(&Event::Init);
    writer.apply_watcher_event(&Event::InitDone);
    let told = async {
        while state(&server, "mine").is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), told).await.unwrap();
    assert_eq!(state(&server, "mine"), is("False", "ClusterNotFound"));
    stop.cancel();
    running.await.unwrap();
}
