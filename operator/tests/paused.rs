//! What a pass over a paused ChatCluster writes, kept as YAML: its status, and no object at all. The same ChatCluster without the pause
//! is the counter-check.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

mod support;

use chat_crds::ChatCluster;
use chat_operator::{names::ClusterKey, reconcile::reconcile};
use serde_json::{Value, json};

use support::api_server::{ApiServer, Write};

/// One pass over `cluster` in an empty namespace, and what it wrote.
async fn pass(cluster: &ChatCluster) -> Vec<Write> {
    let (server, client) = ApiServer::start(cluster).await;
    let context = support::context(client);
    let pass = reconcile(&context, &ClusterKey::new("chat", "demo")).await.unwrap();
    assert!(pass.error.is_none(), "{:?}", pass.error);
    server.writes()
}

/// The write as YAML, without what differs from run to run.
fn golden(write: &Write) -> String {
    let mut body = write.body.clone();
    for condition in body["status"]["conditions"].as_array_mut().into_iter().flatten() {
        condition["lastTransitionTime"] = Value::from("now");
    }
    let shown = json!({ "method": write.method, "path": write.path, "body": body });
    serde_yaml_ng::to_string(&shown).unwrap()
}

#[tokio::test]
async fn a_paused_cluster_gets_a_status_and_nothing_else() {
    let writes = pass(&support::cluster("paused")).await;
    assert!(writes.iter().all(|write| write.path.ends_with("/chatclusters/demo/status")), "{writes:#?}");
    let yaml: Vec<String> = writes.iter().map(golden).collect();
    insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "golden", omit_expression => true }, {
        insta::assert_snapshot!("paused", yaml.join("---\n"));
    });
}

#[tokio::test]
async fn the_same_cluster_without_the_pause_gets_what_the_status_counted() {
    let mut cluster = support::cluster("paused");
    cluster.spec.paused = None;
    let writes = pass(&cluster).await;
    let children = writes.iter().filter(|write| !write.path.contains("/chatclusters/")).count();
    let paused = pass(&support::cluster("paused")).await;
    let status = paused.last().unwrap().body.to_string();
    assert!(children > 10 && status.contains(&format!("{children} changes wait")), "{children} writes; {status}");
}
