//! How many gateways there are, when nobody says a number.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the number of gateways follows the people who are connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.mode != 'Native' || has(self.maxReplicas)").message(
    "spec.gateways.autoscaling.maxReplicas: mode Native needs to know how far it may go; set it"
))]
#[x_kube(validation = Rule::new(
    "!has(self.maxReplicas) || (has(self.minReplicas) ? self.minReplicas : 2) <= self.maxReplicas"
).message(
    "spec.gateways.autoscaling.minReplicas: must not be over maxReplicas, and is 2 if absent; lower it or raise maxReplicas"
))]
#[x_kube(validation = Rule::new(
    "self.mode == 'Native' || !(has(self.minReplicas) || has(self.maxReplicas) || has(self.targetUtilization) || has(self.messagesPerGateway) || has(self.schedules) || (has(self.scaleDown) && has(self.scaleDown.windowSeconds)))"
).message(
    "spec.gateways.autoscaling: with mode External the autoscaler that writes the scale subresource decides; remove everything but mode and scaleDown.policy, or set mode to Native"
))]
#[x_kube(validation = Rule::new(
    "!has(self.schedules) || !has(self.maxReplicas) || self.schedules.all(s, s.minReplicas <= self.maxReplicas)"
).message(
    "spec.gateways.autoscaling.schedules: minReplicas must not be over autoscaling.maxReplicas; lower the one or raise the other"
))]
pub struct Autoscaling {
    /// Who decides. Native: the operator, from what the gateways report; it writes the Deployment and the status, and `spec.gateways.replicas` has no effect. External: whoever writes the scale subresource, such as a HorizontalPodAutoscaler or KEDA.
    pub mode: AutoscalingMode,

    /// Fewest gateways; 2 if absent. With 2 or more there is always one gateway more than the connections need, so that one may be lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 500))]
    pub min_replicas: Option<i32>,

    /// Most gateways. Required with mode Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 500))]
    pub max_replicas: Option<i32>,

    /// Percent of `connectionsPerGateway` that gateways are to have on average; 70 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 90))]
    pub target_utilization: Option<i32>,

    /// Messages a second that one gateway takes from its clients at most: a second signal, to which `targetUtilization` applies, too. Only connections count if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub messages_per_gateway: Option<i32>,

    /// When fewer gateways are enough, and how the others go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down: Option<ScaleDown>,

    /// Floors for known times, such as a weekly broadcast. The highest of those in force counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub schedules: Vec<Schedule>,
}

/// Who decides how many gateways there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AutoscalingMode {
    /// The operator.
    Native,
    /// Whoever writes the scale subresource.
    External,
}

/// When fewer gateways are enough, and how the others go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleDown {
    /// Seconds for which fewer gateways must have been enough before one goes; 1800 if absent. Long windows are cheap: they cost gateways, short ones cost everybody's connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 86_400))]
    pub window_seconds: Option<i32>,

    /// How a gateway goes that is one too many; Drain if absent. The emptiest goes first, and takes nobody new from then on. WhenEmpty: it goes when its last client has left. Drain: its clients are asked to connect elsewhere, within `spec.gateways.drain.movesPerSecond`. Deadline: the same, but it goes `spec.gateways.drain.deadlineSeconds` later whoever is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<ScaleDownPolicy>,
}

/// How a gateway goes that is one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScaleDownPolicy {
    /// When its last client has left.
    WhenEmpty,
    /// When its clients have moved.
    Drain,
    /// When its clients have moved, or after a time.
    Deadline,
}

/// A floor for a known time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// Name of the schedule, for the status.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// When the floor begins: minute, hour, day of month, month and day of week, such as `45 19 * * 6`.
    #[schemars(length(min = 9, max = 128))]
    pub cron: String,

    /// Time zone of `cron` by its IANA name, such as `Europe/Berlin`; UTC if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,

    /// Minutes for which it holds.
    #[schemars(range(min = 1, max = 44_640))]
    pub duration_minutes: i32,

    /// Fewest gateways meanwhile.
    #[schemars(range(min = 1, max = 500))]
    pub min_replicas: i32,
}
