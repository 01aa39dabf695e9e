//! Alerts, dashboards and runbooks are about metrics that exist, and each alert has a runbook. What the alerts say yes and no to is tested with promtool
//! (`cargo xtask test --only alerts`).

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use chat_gateway_config::metrics::{Family, Kind, gateway, process};
use chat_operator::metrics::families;
use serde_json::Value;

/// Labels that whoever collects adds, and that the chart's PodMonitors add.
const COLLECTED: [&str; 7] = ["namespace", "pod", "container", "instance", "job", "name", "revision"];
/// Words of a query that are followed by labels in parentheses.
const GROUPINGS: [&str; 4] = ["by", "without", "on", "ignoring"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every series by its name, with the labels that it may have.
fn series() -> BTreeMap<String, BTreeSet<&'static str>> {
    let all = [families::FAMILIES, gateway::FAMILIES, process::FAMILIES].into_iter().flatten();
    all.flat_map(|family: &Family| {
        let mut labels: BTreeSet<&str> = family.labels.iter().copied().chain(COLLECTED).collect();
        if family.kind == Kind::Histogram {
            labels.insert("le");
        }
        family.series().into_iter().map(move |name| (name, labels.clone()))
    })
    .collect()
}

fn rules() -> Vec<Value> {
    let file: Value = serde_yaml_ng::from_str(&read("charts/chat-operator/files/rules.yaml")).unwrap();
    let groups = file["groups"].as_array().unwrap().iter();
    groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// The queries of a dashboard, those of its variables included.
fn queries(dashboard: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets =
        panels.flat_map(|panel| panel["targets"].as_array().unwrap().iter().map(|target| text(&target["expr"])));
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    targets
        .chain(
            variables.filter(|variable| variable["type"] == "query").map(|variable| text(&variable["query"]["query"])),
        )
        .collect()
}

/// What is wrong with the metrics and labels of a query. It knows as much of the language as the queries here use.
fn faults(query: &str, series: &BTreeMap<String, BTreeSet<&'static str>>) -> Vec<String> {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let (mut faults, mut named) = (Vec::new(), BTreeSet::new());
    let mut rest = query;
    let mut groupings = Vec::new();
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_alphabetic()) {
        let word: String = rest[start..].chars().take_while(|letter| is_word(*letter)).collect();
        rest = &rest[start + word.len()..];
        let inner = |open: char, close: char| {
            let text = rest.trim_start().strip_prefix(open)?;
            text.find(close).map(|end| text[..end].to_owned())
        };
        if GROUPINGS.contains(&word.as_str()) {
            let list = inner('(', ')').unwrap_or_default();
            groupings.extend(list.split(',').map(|label| label.trim().to_owned()));
            rest = &rest[rest.find(')').map_or(0, |end| end + 1)..];
        } else if word.starts_with("chat_") || word.starts_with("process_") {
            let Some(known) = series.get(&word) else {
                faults.push(format!("there is no metric {word}"));
                continue;
            };
            named.extend(known.iter().copied());
            if rest.starts_with('{') {
                let matchers = inner('{', '}').unwrap_or_default();
                for matcher in matchers.split("\",") {
                    let label: String = matcher.trim().chars().take_while(|letter| is_word(*letter)).collect();
                    if !known.contains(label.as_str()) {
                        faults.push(format!("{word} has no label {label}"));
                    }
                }
                rest = &rest[rest.find('}').map_or(0, |end| end + 1)..];
            }
        }
    }
    faults.extend(
        groupings
            .iter()
            .filter(|label| !named.contains(label.as_str()))
            .map(|label| format!("nothing has a label {label}")),
    );
    if named.is_empty() {
        faults.push("it names no metric".to_owned());
    }
    faults
}

#[test]
fn faults_of_queries_are_found() {
    let series = series();
    let good = [
        r#"sum by (namespace, name, le) (rate(chat_gateway_ack_seconds_bucket{name=~"$name"}[5m])) > 1"#,
        r#"chat_operator_condition{type="Ready",name="a"} == 0"#,
    ];
    for query in good {
        assert_eq!(faults(query, &series), [""; 0], "{query}");
    }
    let bad = [
        ("chat_operator_conditions == 0", "there is no metric chat_operator_conditions"),
        ("chat_gateway_ack_seconds > 1", "there is no metric chat_gateway_ack_seconds"),
        (r#"chat_operator_condition{namespace="a",kind="Ready"}"#, "chat_operator_condition has no label kind"),
        ("sum by (shard) (chat_gateway_connections)", "nothing has a label shard"),
        ("up == 0", "it names no metric"),
    ];
    for (query, fault) in bad {
        assert!(faults(query, &series).contains(&fault.to_owned()), "{query}");
    }
}

#[test]
fn alerts_and_dashboards_are_about_what_exists() {
    let series = series();
    for rule in rules() {
        let (alert, query) = (&rule["alert"], rule["expr"].as_str().unwrap());
        assert_eq!(faults(query, &series), [""; 0], "{alert}");
        assert!(
            ["critical", "warning", "info"].iter().any(|severity| rule["labels"]["severity"] == *severity),
            "{alert}"
        );
    }
    for entry in fs::read_dir(root().join("charts/chat-operator/files/dashboards")).unwrap() {
        let path = entry.unwrap().path();
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let queries = queries(&dashboard);
        assert!(queries.len() > 10, "{}", path.display());
        for query in queries {
            assert_eq!(faults(&query, &series), [""; 0], "{}: {query}", path.display());
        }
        let panels = dashboard["panels"].as_array().unwrap();
        let ids: BTreeSet<i64> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len(), "{}: panels share an id", path.display());
    }
}

#[test]
fn each_alert_has_its_runbook_and_its_test() {
    let tests = read("tests/monitoring/rules_test.yaml");
    let mut alerts = BTreeSet::new();
    for rule in rules() {
        let alert = rule["alert"].as_str().unwrap().to_owned();
        let annotations = &rule["annotations"];
        assert_eq!(annotations["runbook_url"], format!("https://chatcluster.dev/runbooks/{alert}"));
        assert!(annotations["summary"].is_string() && annotations["description"].is_string(), "{alert}");
        assert!(tests.contains(&format!("alertname: {alert}")), "nothing tests {alert}");
        let page = read(&format!("docs/runbooks/{alert}.md"));
        for part in ["**What people notice.**", "**Look.**", "**Do.**", "**It ends**"] {
            assert!(page.contains(part), "the runbook of {alert} has no {part}");
        }
        assert!(alerts.insert(alert), "an alert's name stands twice");
    }
    let pages = fs::read_dir(root().join("docs/runbooks")).unwrap().map(|entry| entry.unwrap().path());
    let books: BTreeSet<String> = pages
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| name != "index")
        .collect();
    assert_eq!(books, alerts);
    let index = read("docs/runbooks/index.md");
    assert!(alerts.iter().all(|alert| index.contains(&format!("({alert}.md)"))), "the list of runbooks is not whole");
}
