//! The queries to a Prometheus that pages show are ones that Prometheus takes, by promtool.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

use std::process::Command;

use serde::Deserialize as _;
use serde_json::{Value, json};

/// Every text under a field `query`, wherever it stands.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("query").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|inner| queries(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| queries(inner, found)),
        _ => {}
    }
}

#[test]
fn queries_of_pages_are_queries() {
    let mut found = Vec::new();
    for page in pages::all().unwrap() {
        for block in pages::blocks(&page.text, "yaml") {
            for document in serde_yaml_ng::Deserializer::from_str(&block) {
                queries(&Value::deserialize(document).unwrap(), &mut found);
            }
        }
    }
    assert!(found.len() >= 2, "only {found:?}");
    let promtool = localkube::promtool(&|line| println!("{line}")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let check = |queries: &[String]| {
        let rules: Vec<Value> = queries.iter().map(|query| json!({ "record": "a:query", "expr": query })).collect();
        let file = folder.path().join("rules.yaml");
        std::fs::write(&file, json!({ "groups": [{ "name": "pages", "rules": rules }] }).to_string()).unwrap();
        Command::new(&promtool).args(["check", "rules", "--lint=none"]).arg(file).output().unwrap()
    };
    for query in found {
        let output = check(std::slice::from_ref(&query));
        assert!(output.status.success(), "{query}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(!check(&["sum(rate(".to_owned()]).status.success(), "promtool takes anything");
}
