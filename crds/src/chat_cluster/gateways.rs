//! The gateways' part of the spec.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, ResourceRequirements, Toleration, TopologySpreadConstraint};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{Autoscaling, Expose, Rollout};

/// The gateways: how many, their limits, their pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gateways {
    /// How many gateways; 2 if absent. `kubectl scale` and autoscalers write this field, the operator never does. Without effect while `autoscaling.mode` is Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 500))]
    pub replicas: Option<i32>,

    /// How the number of gateways follows the people who are connected; `replicas` holds if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,

    /// Connections that one gateway accepts; more are refused. 10000 if absent. A process has at most about 19000 on many systems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections_per_gateway: Option<i32>,

    /// How people reach the gateways; through a Service of type ClusterIP if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expose: Option<Expose>,

    /// Limits on each user and connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,

    /// How much the gateways log; Info if absent. What libraries say in detail is never logged, whatever the level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level: Option<LogLevel>,

    /// Traces of messages for an OpenTelemetry Collector: each step of some messages on their way through the gateways. Nothing is traced if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Tracing>,

    /// Networks of the proxies in front of the gateways, such as `10.0.0.0/8`. From them, and from nobody else, a client's address is taken out of X-Forwarded-For or Forwarded, for limits on sign-ins and handshakes. With `expose.type` HAProxy they are those in front of HAProxy, and the last address of X-Forwarded-For counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 2, max = 49), regex(pattern = r"^[0-9a-fA-F:.]+(/[0-9]{1,3})?$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub trusted_proxies: Vec<String>,

    /// Origins of pages on other hosts whose scripts may connect from a browser, such as `https://app.example.org`; `*` stands for all. A page that came from the host that it connects to needs no entry, unless a proxy between them changes the Host header.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(
            length(min = 1, max = 270),
            regex(pattern = r"^(\*|[a-zA-Z][a-zA-Z0-9+.-]*://([a-zA-Z0-9._-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?)$")
        )
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allowed_origins: Vec<String>,

    /// Seconds that a stopping gateway gives its clients to move; 300 if absent, 5 with `broker.inProcess`, where there is no other gateway to move to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3_600))]
    pub drain_seconds: Option<i32>,

    /// How gateways are emptied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Drain>,

    /// What happens when some gateways have many more connections than others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebalance: Option<Rebalance>,

    /// How gateways of a new revision take the place of the old ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,

    /// What to add to the gateways' pods. The operator's own labels, probes, ports and security settings stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
}

/// How much the gateways log; Info if absent. What libraries say in detail is never logged, whatever the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum LogLevel {
    /// What was lost.
    Error,
    /// What somebody should look at, too.
    Warn,
    /// What begins, changes and ends, too.
    Info,
    /// Each step, too.
    Debug,
}

/// Traces of messages for an OpenTelemetry Collector: each step of some messages on their way through the gateways. Neither texts nor tokens are in them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tracing {
    /// Base of an OTLP receiver over HTTP, such as `http://collector.observability:4318`; gateways post to `/v1/traces` behind it. They export in batches, drop what the collector does not take, and let no message wait for it.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new(
        "self.matches('^https?://([a-zA-Z0-9._-]+|[[][0-9a-fA-F:.]+[]])(:[0-9]{1,5})?(/[a-zA-Z0-9._~/-]*)?$')"
    ).message(
        "spec.gateways.tracing.endpoint: is no base of an OTLP receiver over HTTP; use http:// or https:// with a host, and maybe a port and a path, and no user, password or query, such as http://collector.observability:4318"
    ))]
    pub endpoint: String,

    /// Messages in a million that are traced, drawn where they are sent; 10000, which is one in a hundred, if absent. 0: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub sampling_rate_per_million: Option<i32>,
}

/// How gateways are emptied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    /// Clients a second that are asked to connect elsewhere, over all gateways; if absent, as many as move everybody within ten minutes, at least 20 and at most 250 for each gateway that takes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub moves_per_second: Option<i32>,

    /// Seconds after which a gateway goes although somebody is left, where the policy is Deadline; 600 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 30, max = 86_400))]
    pub deadline_seconds: Option<i32>,
}

/// What happens when some gateways have many more connections than others, as after gateways were added: connections stay where they are. After a minute of that the fullest turn new clients away and have some of theirs connect elsewhere, until none has more than 5 % above the mean. It takes at most half of what `spec.gateways.drain.movesPerSecond` allows, rests while gateways are drained or replaced, and moves a client once in half an hour at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rebalance {
    /// Automatic if absent. Off: clients stay where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<RebalanceMode>,

    /// Percent of the mean that the fullest gateway may have above it; 15 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 6, max = 1_000))]
    pub tolerance_percent: Option<i32>,

    /// Connections above the mean, over all gateways together, that are not worth the trouble; 200 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min_excess: Option<i32>,
}

/// Whether clients are moved so that gateways have about as many each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RebalanceMode {
    /// The operator moves them.
    Automatic,
    /// They stay where they are.
    Off,
}

/// Limits on each user and connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Messages a second that one user may send, changes of messages, rooms and members included; 10 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub messages_per_second: Option<i32>,

    /// Messages and changes that one user may send at once before the rate counts; 50 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub message_burst: Option<i32>,

    /// Bytes of a message's text; 16384 if absent, 49152 at most, so that a message fits a frame of 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 49_152))]
    pub message_bytes: Option<i32>,

    /// Rooms that one connection follows; 500 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub rooms_per_connection: Option<i32>,
}

/// What to add to the gateways' pods. The operator's own labels, probes, ports and security settings stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "!has(self.labels) || self.labels.all(key, !key.startsWith('app.kubernetes.io/') && !key.startsWith('chatcluster.dev/'))"
).message(
    "spec.gateways.podTemplate.labels: app.kubernetes.io/ and chatcluster.dev/ belong to the operator; use another prefix"
))]
#[x_kube(validation = Rule::new(
    "!has(self.annotations) || self.annotations.all(key, !key.startsWith('chatcluster.dev/'))"
).message(
    "spec.gateways.podTemplate.annotations: chatcluster.dev/ belongs to the operator; use another prefix"
))]
pub struct PodTemplate {
    /// Labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "labels_schema")]
    pub labels: Option<BTreeMap<String, String>>,

    /// Annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "annotations_schema")]
    pub annotations: Option<BTreeMap<String, String>>,

    /// CPU and memory of the gateway; 100m CPU and 128Mi requested, 512Mi at most if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "resources_schema")]
    pub resources: Option<ResourceRequirements>,

    /// Labels that a node must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "labels_schema")]
    pub node_selector: Option<BTreeMap<String, String>>,

    /// Taints that the pods tolerate, as in a Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "tolerations_schema")]
    pub tolerations: Option<Vec<Toleration>>,

    /// Affinity, as in a Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,

    /// How the pods spread, as in a Pod; over nodes, where possible, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub topology_spread_constraints: Option<Vec<TopologySpreadConstraint>>,

    /// Name of a PriorityClass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
}

fn labels_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "nullable": true,
        "maxProperties": 32,
        "additionalProperties": { "type": "string", "maxLength": 63 }
    })
}

pub(super) fn annotations_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "nullable": true,
        "maxProperties": 32,
        "additionalProperties": { "type": "string", "maxLength": 4096 }
    })
}

/// Requests and limits by resource name. The own type's schema would bring claims, which need what the operator does not make.
pub(super) fn resources_schema(_: &mut SchemaGenerator) -> Schema {
    let quantities = |what: &str| {
        serde_json::json!({
            "type": "object",
            "description": format!("{what} by resource name, such as cpu and memory, as Kubernetes quantities."),
            "maxProperties": 16,
            "additionalProperties": {
                "x-kubernetes-int-or-string": true,
                "maxLength": 64,
                "pattern": QUANTITY
            }
        })
    };
    json_schema!({
        "type": "object",
        "nullable": true,
        "properties": { "requests": quantities("What is reserved"), "limits": quantities("What is allowed at most") }
    })
}

/// A Kubernetes quantity, as the API server itself declares it.
pub(super) const QUANTITY: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";

fn tolerations_schema(_: &mut SchemaGenerator) -> Schema {
    let text = |what: &str| serde_json::json!({ "type": "string", "description": what, "maxLength": 316 });
    json_schema!({
        "type": "array",
        "nullable": true,
        "maxItems": 32,
        "x-kubernetes-list-type": "atomic",
        "items": {
            "type": "object",
            "properties": {
                "key": text("Key of the taint; every key if empty."),
                "operator": { "type": "string", "description": "Exists or Equal.", "enum": ["Exists", "Equal"] },
                "value": text("Value of the taint."),
                "effect": { "type": "string", "description": "Effect of the taint; every effect if empty.", "enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"] },
                "tolerationSeconds": { "type": "integer", "format": "int64", "description": "How long a NoExecute taint is tolerated; for ever if absent." }
            }
        }
    })
}
