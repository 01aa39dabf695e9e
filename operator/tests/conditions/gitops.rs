//! What kstatus, Argo CD with the script that `docs/gitops` has for it, and `kubectl wait` make of one state: they agree.

use std::{collections::BTreeSet, path::Path, process};

use axum::{
    Json, Router,
    extract::{Path as UrlPath, State},
    http::StatusCode,
    routing::get,
};
use localkube::{ArgoCdHealth, Binaries, Health, Judgement};
use serde_json::{Value, json};

use crate::{GENERATION, every_row, fine, judge, kstatus, object};

/// What one word of kstatus is in the words of Argo CD, and whether `kubectl wait --for=condition=Ready` is content.
const AGREED: [(Judgement, Health, bool); 4] = [
    (Judgement::Current, Health::Healthy, true),
    (Judgement::InProgress, Health::Progressing, false),
    (Judgement::Failed, Health::Degraded, false),
    // Before it asks a script.
    (Judgement::Terminating, Health::Progressing, false),
];

/// States in which a person has stopped something: only Argo CD has a word for that, and it says so whether anything waits or not.
const SUSPENDED: [&str; 3] = ["paused, nothing to do", "paused with changes", "a rollout that is paused"];

/// The script of one kind, as a user gives it to Argo CD.
fn script(kind: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/gitops/argocd-cm.yaml");
    let patch: Value = serde_yaml_ng::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let script = &patch["data"][format!("resource.customizations.health.chatcluster.dev_{kind}")];
    script.as_str().unwrap_or_else(|| panic!("no script for {kind}: {patch}")).to_owned()
}

fn argo_cd(objects: &[Value]) -> Vec<(Health, String)> {
    let argo_cd = ArgoCdHealth::build(&|line| println!("{line}")).unwrap();
    argo_cd.judge(&script("ChatCluster"), objects).unwrap()
}

/// All objects.
async fn list(State(objects): State<Vec<Value>>) -> Json<Value> {
    Json(json!({
        "apiVersion": "chatcluster.dev/v1alpha1",
        "kind": "ChatClusterList",
        "metadata": { "resourceVersion": "1" },
        "items": objects,
    }))
}

/// One of them, as `kubectl wait` asks for each that it found.
async fn one(State(objects): State<Vec<Value>>, UrlPath(name): UrlPath<String>) -> Result<Json<Value>, StatusCode> {
    let found = objects.into_iter().find(|object| object["metadata"]["name"] == name);
    found.map(Json).ok_or(StatusCode::NOT_FOUND)
}

/// Objects that one kubectl is asked about: it asks a server five times a second, so several work side by side.
const AT_ONCE: usize = 20;

/// The names with which kubectl itself is content when it waits for Ready, and does not wait.
async fn kubectl_is_content_with(objects: &[Value]) -> BTreeSet<String> {
    // Built with the local Kubernetes, which the step `compile` has done long before.
    let kubectl = Binaries::build(&|line| println!("{line}")).unwrap().kubectl;
    let asked = objects.chunks(AT_ONCE).map(|some| kubectl_wait(&kubectl, some.to_vec()));
    futures::future::join_all(asked).await.into_iter().flatten().collect()
}

async fn kubectl_wait(kubectl: &Path, objects: Vec<Value>) -> BTreeSet<String> {
    let version = json!({ "groupVersion": "chatcluster.dev/v1alpha1", "version": "v1alpha1" });
    let groups = json!({
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [{ "name": "chatcluster.dev", "versions": [version], "preferredVersion": version }],
    });
    let resources = |group: &str, resources: Value| {
        let list = json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group, "resources": resources,
        });
        get(move || async move { Json(list) })
    };
    let ours = json!([
        { "name": "chatclusters", "singularName": "chatcluster", "namespaced": true, "kind": "ChatCluster", "verbs": ["get", "list"] },
    ]);
    let router = Router::new()
        .route("/api", get(|| async { Json(json!({ "kind": "APIVersions", "versions": ["v1"] })) }))
        .route("/api/v1", resources("v1", json!([])))
        .route("/apis", get(|| async { Json(groups) }))
        .route("/apis/chatcluster.dev/v1alpha1", resources("chatcluster.dev/v1alpha1", ours))
        .route("/apis/chatcluster.dev/v1alpha1/namespaces/chat/chatclusters", get(list))
        .route("/apis/chatcluster.dev/v1alpha1/namespaces/chat/chatclusters/{name}", get(one))
        .with_state(objects);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });

    let home = tempfile::tempdir().unwrap();
    let mut command = process::Command::new(kubectl);
    command.args(["wait", "chatcluster", "--all", "--for=condition=Ready", "--timeout=0", "--namespace=chat"]);
    command.arg(format!("--server={server}"));
    // Neither a kubeconfig nor what an earlier run learnt of another server.
    command.env("HOME", home.path()).env("KUBECONFIG", home.path().join("none"));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.is_empty() || told.contains("condition not met"), "{said}{told}");
    let met = said.lines().map(|line| line.strip_suffix(" condition met").unwrap_or_else(|| panic!("{said}{told}")));
    met.map(|name| name.trim_start_matches("chatcluster.chatcluster.dev/").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn kstatus_argo_cd_and_kubectl_wait_agree_on_every_state() {
    let mut states = Vec::new();
    let mut objects = Vec::new();
    let mut add = |state: String, mut object: Value| {
        object["metadata"]["name"] = format!("state-{}", states.len()).into();
        states.push(state);
        objects.push(object);
    };
    for row in every_row() {
        let conditions = judge(&row.world, &[], 100);
        add(row.state.to_owned(), object(GENERATION, &conditions));
        // Whatever holds, it holds for the generation that the operator has seen.
        add(format!("{}, and then a new spec", row.state), object(GENERATION + 1, &conditions));
        let mut leaving = object(GENERATION, &conditions);
        leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        add(format!("{}, and then deleted", row.state), leaving);
    }
    let mut unseen = object(1, &[]);
    unseen["status"] = chat_crds::render::crd().unwrap()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
        ["status"]["default"]
        .clone();
    add("just applied, and no operator has come by".to_owned(), unseen);

    let judgements = kstatus(&objects);
    let healths = argo_cd(&objects);
    let content = kubectl_is_content_with(&objects).await;
    let mut suspended = BTreeSet::new();
    for (((state, object), judgement), (health, message)) in states.iter().zip(&objects).zip(&judgements).zip(healths) {
        let agreed = AGREED.iter().find(|(word, ..)| word == judgement);
        let (_, expected, waited) = agreed.unwrap_or_else(|| panic!("{state}: kstatus says {judgement:?}"));
        if SUSPENDED.contains(&state.as_str()) {
            assert_eq!(health, Health::Suspended, "{state}: {message}");
            suspended.insert(state.as_str());
        } else {
            assert_eq!(health, *expected, "{state}: kstatus says {judgement:?}, Argo CD {message}");
        }
        assert!(!message.is_empty(), "{state}");
        // kubectl looks at conditions alone, and so is content with what was ready and is on its way out.
        if *judgement != Judgement::Terminating {
            let name = object["metadata"]["name"].as_str().unwrap();
            assert_eq!(content.contains(name), *waited, "{state}: kstatus says {judgement:?}");
        }
    }
    assert_eq!(suspended, SUSPENDED.into(), "states that Argo CD calls Suspended are in the table");
}

#[test]
fn both_kinds_have_the_same_script_and_it_says_why() {
    assert_eq!(script("ChatCluster"), script("ShardRebalance"));
    let conditions = judge(&fine(), &[], 1);
    let ready = &conditions[0].message;
    assert_eq!(argo_cd(&[object(GENERATION, &conditions)]), [(Health::Healthy, ready.clone())]);
}
