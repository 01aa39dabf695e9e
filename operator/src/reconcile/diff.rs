//! Whether an existing object already is what it should be, so that an idle cluster sees no write.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::api::DynamicObject;
use serde_json::Value;

use crate::{admitted, build::Child, hash::Hasher, names::annotation, quantity};

/// Puts the hash of the object as rendered into its annotations.
pub(super) fn stamp(child: &mut Child) {
    let annotations = child.object.metadata.annotations.get_or_insert_default();
    annotations.remove(annotation::APPLIED_HASH);
    let rendered = serde_json::to_string(&child.object).unwrap_or_default();
    let annotations = child.object.metadata.annotations.get_or_insert_default();
    annotations.insert(annotation::APPLIED_HASH.to_owned(), Hasher::new().text(&rendered).finish());
}

/// The hash of the object as it was rendered.
fn hash(object: &DynamicObject) -> Option<&String> {
    object.metadata.annotations.as_ref()?.get(annotation::APPLIED_HASH)
}

/// What tells this state of a child whose apply was answered by something else; `None` where it is what was asked for.
pub(super) fn answer(desired: &DynamicObject, written: &DynamicObject) -> Option<String> {
    let applied = hash(desired)?;
    (!is_current(desired, written, None)).then(|| admitted::digest(applied, written))
}

/// Whether `live` was applied from exactly this (stamped) `desired` and still holds all of it, or is still what the API server `answered` to that.
///
/// The hash alone would miss what somebody else changed; the comparison alone would miss what is no longer wanted.
pub(super) fn is_current(desired: &DynamicObject, live: &DynamicObject, answered: Option<&String>) -> bool {
    if hash(desired).is_none() || hash(desired) != hash(live) || owners_differ(desired, live) {
        return false;
    }
    let holds = |map: &Option<_>, other: &Option<_>| match (map, other) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(map), Some(other)) => contains_all(map, other),
    };
    holds(&desired.metadata.labels, &live.metadata.labels)
        && holds(&desired.metadata.annotations, &live.metadata.annotations)
        && (covers(&desired.data, &live.data) || is_answer(desired, live, answered))
}

fn is_answer(desired: &DynamicObject, live: &DynamicObject, answered: Option<&String>) -> bool {
    let digest = |applied: &String| admitted::digest(applied, live);
    answered.is_some() && hash(desired).map(digest).as_ref() == answered
}

fn contains_all(map: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> bool {
    map.iter().all(|(key, value)| other.get(key) == Some(value))
}

fn owners_differ(desired: &DynamicObject, live: &DynamicObject) -> bool {
    let owners = |object: &DynamicObject| object.metadata.owner_references.clone().unwrap_or_default();
    let live = owners(live);
    owners(desired).iter().any(|owner| !live.contains(owner))
}

/// Whether everything in `desired` is in `live`; what only `live` has is a default of the API server or belongs to
/// somebody else.
fn covers(desired: &Value, live: &Value) -> bool {
    match (desired, live) {
        (Value::Object(desired), Value::Object(live)) => desired.iter().all(|(key, value)| match live.get(key) {
            Some(other) => match merged_by(key) {
                Some(by) => covers_by(by, value, other),
                None => covers(value, other),
            },
            // The API server leaves out what is empty.
            None => is_empty(value),
        }),
        (Value::Array(desired), Value::Array(live)) => {
            desired.len() == live.len() && desired.iter().zip(live).all(|(value, other)| covers(value, other))
        }
        (Value::String(desired), Value::String(live)) => desired == live || quantity::equal(desired, live),
        (desired, live) => desired == live,
    }
}

/// The field by which the API server merges the elements of a list in a pod's template, if it does. What others add to such a list stays whatever is applied, such as
/// a container that a policy gives to every pod; what the operator itself does not want any more is told by the hash.
fn merged_by(list: &str) -> Option<&'static str> {
    match list {
        "containers" | "initContainers" | "volumes" | "env" | "imagePullSecrets" => Some("name"),
        "volumeMounts" => Some("mountPath"),
        _ => None,
    }
}

/// The same of a list whose elements have a name in the field `by`.
fn covers_by(by: &str, desired: &Value, live: &Value) -> bool {
    let (Value::Array(desired), Value::Array(live)) = (desired, live) else { return covers(desired, live) };
    desired.iter().all(|value| live.iter().any(|other| other[by] == value[by] && covers(value, other)))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// Whether the pod is on its way out.
pub(super) fn is_leaving(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::build::{ChildId, Kind};

    fn child(spec: &Value) -> Child {
        let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c" }, "spec": spec });
        let mut child =
            Child { id: ChildId::new(Kind::ConfigMap, "c"), object: serde_json::from_value(object).unwrap() };
        stamp(&mut child);
        child
    }

    #[test]
    fn defaults_of_the_api_server_are_no_difference() {
        let desired = child(&json!({ "cpu": "0.5", "ports": [{ "port": 80 }], "strategy": {} })).object;
        let mut live = desired.clone();
        live.data = json!({ "spec": { "cpu": "500m", "ports": [{ "port": 80, "protocol": "TCP" }], "policy": "x" }, "status": {} });
        assert!(is_current(&desired, &live, None));
    }

    #[test]
    fn what_a_policy_adds_to_named_lists_is_no_difference() {
        let desired = child(&json!({ "containers": [{ "name": "a", "env": [{ "name": "X", "value": "1" }] }] })).object;
        let with = |containers: Value| {
            let mut live = desired.clone();
            live.data = json!({ "spec": { "containers": containers } });
            is_current(&desired, &live, None)
        };
        let beside = json!({ "name": "proxy", "image": "p" });
        assert!(with(json!([beside, { "name": "a", "env": [{ "name": "ZONE" }, { "name": "X", "value": "1" }] }])));
        assert!(!with(json!([beside])), "the operator's own has gone");
        assert!(!with(json!([beside, { "name": "a", "env": [{ "name": "X", "value": "2" }] }])), "it was changed");
    }

    #[test]
    fn drift_and_a_new_rendering_are_differences() {
        let desired = child(&json!({ "replicas": 2 })).object;
        let mut drifted = desired.clone();
        drifted.data = json!({ "spec": { "replicas": 3 } });
        assert!(!is_current(&desired, &drifted, None));
        // A field that is no longer wanted: everything desired is there, yet the hash tells.
        let before = child(&json!({ "replicas": 2, "paused": true })).object;
        assert!(!is_current(&desired, &before, None));
        let mut unlabelled = desired.clone();
        unlabelled.metadata.annotations = None;
        assert!(!is_current(&desired, &unlabelled, None));
    }
}
