//! What the documentation shows of ChatClusters and ShardRebalances: every manifest, and every fragment of a spec, is one that the schema takes, and
//! has no field that it does not know. The rules in CEL are for the API server, which the end-to-end tests ask about the examples.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use chat_crds::{ChatCluster, ShardRebalance, testing};
use kube::CustomResourceExt;
use serde::{Deserialize as _, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// The documents of all YAML in the pages, with the page that each stands in.
fn documents() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for page in pages::all().unwrap() {
        for block in pages::blocks(&page.text, "yaml") {
            for document in serde_yaml_ng::Deserializer::from_str(&block) {
                let document = Value::deserialize(document)
                    .unwrap_or_else(|error| panic!("{} shows what is no YAML: {error}\n{block}", page.path));
                found.push((page.path.clone(), document));
            }
        }
    }
    found
}

/// A fragment of a spec as a whole ChatCluster: what must be there, and the fragment leaves out, comes from one that is accepted.
fn completed(mut fragment: Value) -> Value {
    let base = testing::base();
    for field in ["broker", "database"] {
        let spec = &mut fragment["spec"];
        if spec.get(field).is_none() {
            spec[field] = base["spec"][field].clone();
        } else if field == "database" && spec[field].get("embedded").is_none() && spec[field].get("shards").is_none() {
            spec[field]["shards"] = base["spec"][field]["shards"].clone();
        }
    }
    for field in ["apiVersion", "kind"] {
        fragment[field] = base[field].clone();
    }
    if fragment.get("metadata").is_none() {
        fragment["metadata"] = json!({ "name": "demo" });
    }
    fragment
}

/// Which kind of ours it is; a fragment that is nothing but a spec is a ChatCluster's.
fn kind(document: &Value) -> Option<String> {
    match (document["apiVersion"].as_str(), document.get("spec")) {
        (Some(version), _) if version.starts_with("chatcluster.dev/") => document["kind"].as_str().map(str::to_owned),
        (None, Some(_)) => Some("ChatCluster".to_owned()),
        _ => None,
    }
}

/// What is wrong with an object of the kind `K`: what its schema does not take, and that it has fields which the types do not know.
fn wrong<K: CustomResourceExt + Serialize + DeserializeOwned>(object: &Value) -> Vec<String> {
    let schema = serde_json::to_value(K::crd()).unwrap();
    let schema = jsonschema::validator_for(&schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"]).unwrap();
    let mut wrong: Vec<String> =
        schema.iter_errors(object).map(|error| format!("{} {error}", error.instance_path())).collect();
    if wrong.is_empty() {
        let typed = serde_json::to_value(serde_json::from_value::<K>(object.clone()).unwrap()).unwrap();
        if typed["spec"] != object["spec"] {
            wrong.push(format!("known of its spec is only {:#}", typed["spec"]));
        }
    }
    wrong
}

#[test]
fn what_pages_show_is_what_the_schema_takes() {
    let mut seen = 0;
    for (page, document) in documents() {
        let Some(kind) = kind(&document) else { continue };
        let wrong = match kind.as_str() {
            "ChatCluster" => wrong::<ChatCluster>(&completed(document.clone())),
            "ShardRebalance" => wrong::<ShardRebalance>(&document),
            other => panic!("{page} shows a {other}, which is no kind of ours"),
        };
        assert!(wrong.is_empty(), "{page}: {wrong:#?}\n{document:#}");
        seen += 1;
    }
    assert!(seen > 20, "only {seen} manifests");
}

#[test]
fn other_yaml_is_a_manifest_with_kind_and_name() {
    for (page, document) in documents() {
        if kind(&document).is_none() {
            for field in ["/apiVersion", "/kind", "/metadata/name"] {
                let value = document.pointer(field);
                assert!(value.is_some_and(Value::is_string), "{page} shows YAML without {field}:\n{document:#}");
            }
        }
    }
}

#[test]
fn json_is_json() {
    for page in pages::all().unwrap() {
        for block in pages::blocks(&page.text, "json") {
            let documents: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(&block).into_iter().collect();
            assert!(documents.is_ok(), "{} shows what is no JSON: {documents:?}\n{block}", page.path);
        }
    }
}

#[test]
fn what_the_schema_does_not_take_is_found() {
    let of = |spec: Value| wrong::<ChatCluster>(&completed(json!({ "spec": spec })));
    assert!(of(json!({ "gateways": { "replicas": 2 } })).is_empty());
    assert!(!of(json!({ "gateways": { "replicass": 2 } })).is_empty());
    assert!(!of(json!({ "gateways": { "replicas": 0.5 } })).is_empty());
    assert!(!of(json!({ "adoption": { "mode": "Never" } })).is_empty());
}
