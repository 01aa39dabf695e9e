//! How new gateways take the place of old ones.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Prometheus;

/// How gateways of a new revision take the place of the old ones. A gateway that is alone is replaced at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "!has(self.waves) || self.waves.all(w, self.waves.exists_one(o, o == w)) && (size(self.waves) < 2 || self.waves[0] < self.waves[size(self.waves) - 1])"
).message(
    "spec.gateways.rollout.waves: percents of the connections, each larger than the one before, such as [5, 25, 50, 100]; correct the list"
))]
pub struct Rollout {
    /// Percents of the open connections that the new gateways have at the end of each wave; 5, 25, 50, 100 if absent. A last wave of 100 is added where it is missing. While nobody is connected there is one wave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10), inner(range(min = 1, max = 100)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub waves: Option<Vec<i32>>,

    /// Seconds that the new gateways are watched at the end of each wave but the last, before the next begins; 60 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400))]
    pub analysis_seconds: Option<i32>,

    /// What makes new gateways worse than the old ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Analysis>,

    /// Seconds within which a new gateway has to become ready, and to answer the operator once it is, or the rollout has failed; 180 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 30, max = 86_400))]
    pub progress_deadline_seconds: Option<i32>,

    /// What follows when the new gateways fail; Automatic if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,

    /// True stops the rollout where it is: nobody is moved, and no gateway replaced. Both revisions serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
}

/// What makes new gateways worse than the old ones. The new ones have failed when they are over a limit, and the old ones, watched over the same time, are not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// Percent of the sign-ins over WebSockets that are refused, at most; 5 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub max_refused_sign_ins: Option<i32>,

    /// Percent of the requests that end with an error of the gateway's own, at most; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub max_failed_requests: Option<i32>,

    /// Milliseconds from the commit of a message to its way out of the gateway, on average, that the new gateways may be slower than the old ones; 250 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60_000))]
    pub max_added_latency_ms: Option<i32>,

    /// Percent of the messages for its clients that a gateway had to fetch from the store, since its broker connection did not bring them, at most; 20 if absent. In a rollout that changes the broker new gateways miss what old ones publish, and the other way round: there it is not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub max_missed_messages: Option<i32>,

    /// Restarts of the new gateways' containers, at most; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub max_restarts: Option<i32>,

    /// Queries to a Prometheus that new gateways have to pass besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
}

/// What follows when new gateways fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Rollback {
    /// The old gateways take everybody back, and the revision is not tried again.
    Automatic,
    /// The rollout stops where it is and waits for a person.
    Manual,
}

/// A rollout that is under way, or has failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// Revision of the new gateways.
    #[schemars(length(max = 64))]
    pub revision: String,
    /// Which wave, from 1.
    pub wave: i32,
    /// How many waves there are.
    pub waves: i32,
    /// Percent of the connections that the new gateways have at the end of this wave.
    pub percent: i32,
    /// How it stands, in a word: `Progressing`, `Paused`, `RollingBack` or `Failed`.
    #[schemars(length(max = 64))]
    pub phase: String,
    /// Why it failed, or what it waits for where that is not as it should be, in a word; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
    /// The same in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1_024))]
    pub message: Option<String>,
    /// When the new gateways' Deployment was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Time>,
}
