//! The documents that are answered. Pure.

use hyper::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::questions::{Group, Metric};
use crate::{api, autoscale::Load, names::ClusterKey, poll::Carried};

/// Which groups there are.
pub(super) fn groups() -> Value {
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": Group::ALL.map(described) })
}

/// A group with its version.
pub(super) fn group(group: Group) -> Value {
    let mut document = described(group);
    document["kind"] = json!("APIGroup");
    document["apiVersion"] = json!("v1");
    document
}

fn described(group: Group) -> Value {
    let version = json!({ "groupVersion": group_version(group), "version": group.version() });
    json!({ "name": group.name(), "versions": [version], "preferredVersion": version })
}

fn group_version(group: Group) -> String {
    format!("{}/{}", group.name(), group.version())
}

/// What is in a group's version.
pub(super) fn resources(group: Group) -> Value {
    let resource = |name: String, kind: &str| json!({ "name": name, "singularName": "", "namespaced": true, "kind": kind, "verbs": ["get"] });
    let resources: Vec<Value> = match group {
        Group::Custom => Metric::ALL
            .iter()
            .map(|metric| resource(format!("{}/{}", group.resource(), metric.name()), "MetricValueList"))
            .collect(),
        Group::Own => vec![resource(group.resource().to_owned(), OWN_KIND)],
    };
    json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version(group), "resources": resources })
}

/// `kind` of a ChatCluster's load.
const OWN_KIND: &str = "ChatClusterMetrics";

/// A metric of a ChatCluster; `None` while it is not known.
pub(super) fn value(cluster: &ClusterKey, metric: Metric, carried: &Carried) -> Option<Value> {
    let Carried { load, expected, .. } = carried;
    let (value, window) = match metric {
        Metric::Connections => (load.connections, None),
        Metric::MessagesPerSecond => (load.messages_per_second, Some(Load::WINDOW.as_secs())),
        Metric::Utilization => (load.utilization(expected.connections_per_gateway), None),
    };
    let mut item = json!({
        "describedObject": {
            "kind": api::KIND, "apiVersion": api::API_VERSION, "namespace": cluster.namespace, "name": cluster.name,
        },
        "metric": { "name": metric.name() },
        "timestamp": seconds(load.at),
        "value": value?.to_string(),
    });
    if let Some(window) = window {
        item["windowSeconds"] = json!(window);
    }
    let version = group_version(Group::Custom);
    Some(json!({ "kind": "MetricValueList", "apiVersion": version, "metadata": {}, "items": [item] }))
}

/// All that there is to know about a ChatCluster's load; `None` while it is not known. What is not known for longer is left out.
pub(super) fn load(cluster: &ClusterKey, carried: &Carried) -> Option<Value> {
    let Carried { load, expected, .. } = carried;
    let mut document = json!({
        "kind": OWN_KIND,
        "apiVersion": group_version(Group::Own),
        "metadata": { "namespace": cluster.namespace, "name": cluster.name },
        "timestamp": seconds(load.at),
        "connections": load.connections?,
        "connectionsPerGateway": expected.connections_per_gateway,
        "gateways": load.ready,
        "staleGateways": load.stale,
    });
    let sometimes = [
        ("messagesPerSecond", load.messages_per_second),
        ("utilization", load.utilization(expected.connections_per_gateway)),
    ];
    for (field, value) in sometimes.into_iter().filter_map(|(field, value)| Some((field, value?))) {
        document[field] = json!(value);
    }
    Some(document)
}

/// A failure, as the API server tells it.
pub(super) fn failure(code: StatusCode, message: &str) -> Value {
    let reason = match code {
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
        StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
        _ => "InternalError",
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "message": message, "code": code.as_u16(),
    })
}

/// Times in the API have whole seconds.
fn seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::Expected;

    fn carried() -> Carried {
        let at = "2026-11-26T08:58:06.125Z".parse().unwrap();
        Carried {
            load: Load { connections: Some(23_010), messages_per_second: Some(310), ready: 3, stale: 1, at },
            expected: Expected { gateways: 4, connections_per_gateway: 10_000 },
            reason: None,
            verified: None,
        }
    }

    #[test]
    fn metrics_are_lists_of_one_value() {
        let cluster = ClusterKey::new("chat", "demo");
        let of = |metric| value(&cluster, metric, &carried()).unwrap();
        let expected = json!({
            "kind": "MetricValueList", "apiVersion": "custom.metrics.k8s.io/v1beta2", "metadata": {},
            "items": [{
                "describedObject": {
                    "kind": "ChatCluster", "apiVersion": "chatcluster.dev/v1alpha1", "namespace": "chat", "name": "demo",
                },
                "metric": { "name": "connections" }, "timestamp": "2026-11-26T08:58:06Z", "value": "23010",
            }],
        });
        assert_eq!(of(Metric::Connections), expected);
        let messages = of(Metric::MessagesPerSecond);
        assert_eq!(
            (&messages["items"][0]["value"], &messages["items"][0]["windowSeconds"]),
            (&json!("310"), &json!(30))
        );
        assert_eq!(of(Metric::Utilization)["items"][0]["value"], "76");
    }

    #[test]
    fn what_is_not_known_is_no_zero() {
        let (cluster, mut carried) = (ClusterKey::new("chat", "demo"), carried());
        let whole = load(&cluster, &carried).unwrap();
        assert_eq!((&whole["connections"], &whole["messagesPerSecond"]), (&json!(23_010), &json!(310)));
        carried.load = Load { connections: None, messages_per_second: None, ..carried.load };
        for metric in Metric::ALL {
            assert_eq!(value(&cluster, metric, &carried), None, "{metric:?}");
        }
        assert_eq!(load(&cluster, &carried), None);
        carried.load.connections = Some(1);
        let part = load(&cluster, &carried).unwrap();
        assert!(part.get("messagesPerSecond").is_none(), "{part}");
    }

    #[test]
    fn discovery_names_what_can_be_asked() {
        let custom = resources(Group::Custom);
        let names: Vec<&Value> = custom["resources"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
        assert_eq!(
            names,
            [
                "chatclusters.chatcluster.dev/connections",
                "chatclusters.chatcluster.dev/messages_per_second",
                "chatclusters.chatcluster.dev/utilization"
            ]
        );
        assert_eq!(group(Group::Own)["preferredVersion"]["groupVersion"], "metrics.chatcluster.dev/v1alpha1");
        assert_eq!(groups()["groups"][0]["name"], "custom.metrics.k8s.io");
    }
}
