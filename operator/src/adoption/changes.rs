//! The difference of two templates, for a person.

use std::collections::BTreeSet;

use chat_crds::chat_cluster::FieldChange;
use serde_json::Value;

/// Letters of a path or value that are shown.
const SHOWN: usize = 256;

/// Fields in which `to` differs from `from`, in the order of their paths. Elements of lists of named things are told by their names.
#[must_use]
pub fn differences(from: &Value, to: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    compare("", Some(from), Some(to), &mut found);
    found
}

fn compare(path: &str, from: Option<&Value>, to: Option<&Value>, found: &mut Vec<FieldChange>) {
    match (from, to) {
        (from, to) if from == to => {}
        (Some(Value::Object(from)), Some(Value::Object(to))) => {
            let keys: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
            for key in keys {
                compare(&below(path, key), from.get(key), to.get(key), found);
            }
        }
        (Some(Value::Array(from)), Some(Value::Array(to))) if are_named(from) && are_named(to) => {
            let names: BTreeSet<&str> = from.iter().chain(to).filter_map(name).collect();
            let find = |list: &'_ [Value], wanted: &str| list.iter().position(|item| name(item) == Some(wanted));
            for wanted in names {
                let (before, after) = (find(from, wanted), find(to, wanted));
                let path = format!("{path}[{wanted}]");
                compare(&path, before.and_then(|at| from.get(at)), after.and_then(|at| to.get(at)), found);
            }
        }
        (from, to) => found.push(FieldChange { path: cut(path), from: from.map(shown), to: to.map(shown) }),
    }
}

/// Keys with dots in them, such as those of labels, stand in brackets.
fn below(path: &str, key: &str) -> String {
    match (path, key.contains(['.', '/'])) {
        ("", _) => key.to_owned(),
        (_, true) => format!("{path}[{key}]"),
        (_, false) => format!("{path}.{key}"),
    }
}

fn are_named(list: &[Value]) -> bool {
    let names: BTreeSet<&str> = list.iter().filter_map(name).collect();
    !list.is_empty() && names.len() == list.len()
}

fn name(item: &Value) -> Option<&str> {
    item.get("name")?.as_str()
}

fn shown(value: &Value) -> String {
    cut(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn cut(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(from: &Value, to: &Value) -> Vec<String> {
        let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let all = differences(from, to).into_iter();
        all.map(|change| format!("{}: {} > {}", change.path, shown(change.from), shown(change.to))).collect()
    }

    #[test]
    fn fields_are_told_by_their_paths_and_names() {
        let before = json!({
            "metadata": { "annotations": { "chatcluster.dev/config-hash": "a" } },
            "spec": { "containers": [{ "name": "gateway", "image": "i:1", "args": ["x"] }, { "name": "old" }], "grace": 30 },
        });
        let after = json!({
            "metadata": { "annotations": { "chatcluster.dev/config-hash": "b" } },
            "spec": { "containers": [{ "name": "new" }, { "name": "gateway", "image": "i:2", "args": ["x", "y"] }], "grace": 30, "more": true },
        });
        assert_eq!(
            told(&before, &after),
            [
                "metadata.annotations[chatcluster.dev/config-hash]: a > b",
                "spec.containers[gateway].args: [\"x\"] > [\"x\",\"y\"]",
                "spec.containers[gateway].image: i:1 > i:2",
                "spec.containers[new]: - > {\"name\":\"new\"}",
                "spec.containers[old]: {\"name\":\"old\"} > -",
                "spec.more: - > true",
            ]
        );
        assert_eq!(told(&before, &before), [""; 0]);
    }

    #[test]
    fn long_values_are_cut() {
        let change = differences(&json!({ "a": "x".repeat(1_000) }), &json!({ "a": "ü".repeat(257) }));
        let [change] = change.as_slice() else { panic!("{change:?}") };
        for text in [&change.from, &change.to] {
            assert_eq!(text.as_ref().unwrap().chars().count(), SHOWN);
        }
    }
}
