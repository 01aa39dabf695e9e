//! What the operator tells of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// The plan, how far it is, and how long writes waited. What was done stands in the shards themselves; nothing is taken from here but the plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShardRebalanceStatus {
    /// Generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Ready, Reconciling and Stalled. The reason of Ready is how it stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::conditions::schema")]
    pub conditions: Vec<Condition>,

    /// What is to be moved, and what that costs. Made once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<RebalancePlan>,

    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<RebalanceProgress>,

    /// How long writes into a slot waited while it was handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pauses: Option<Pauses>,

    /// When the first move began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,

    /// When it came to its end, whichever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
}

/// What is to be moved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RebalancePlan {
    /// Names the plan: which slots, from where, to where, and the epochs in which their shards have them.
    #[schemars(length(max = 64))]
    pub hash: String,
    /// Hash of the shards and weights that it was made for.
    #[schemars(length(max = 64))]
    pub target: String,
    /// Slots that move.
    pub slots: i32,
    /// Rows in them, about.
    pub rows: i64,
    /// Bytes on disk that they take, about.
    pub bytes: i64,
    /// Seconds that it takes, about, when nothing is in its way.
    pub seconds: i64,
    /// The moves, by source and destination.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2_048))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["from".into(), "to".into()]))]
    pub moves: Vec<PlannedMoves>,
}

/// Slots that move from one shard to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedMoves {
    /// The shard that has them.
    #[schemars(length(max = 20))]
    pub from: String,
    /// The shard that is to have them.
    #[schemars(length(max = 20))]
    pub to: String,
    /// Their numbers and ranges.
    #[schemars(length(max = 16_384))]
    pub slots: String,
    /// How many.
    pub count: i32,
    /// Bytes on disk that they take, about.
    pub bytes: i64,
}

/// How far a plan is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RebalanceProgress {
    /// Slots that have moved.
    pub slots_moved: i32,
    /// Rows that were copied for them.
    pub rows_moved: i64,
    /// Bytes of them.
    pub bytes_moved: i64,
    /// Seconds that are left, about; absent until that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<i64>,
    /// Slots that are on their way now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["slot".into()]))]
    pub in_transit: Vec<SlotInTransit>,
    /// Shards that are away, and that moves wait for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 20)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub waiting_for: Vec<String>,
}

/// A slot on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotInTransit {
    /// Its number.
    pub slot: i32,
    /// The shard that has it.
    #[schemars(length(max = 20))]
    pub from: String,
    /// The shard that is to have it.
    #[schemars(length(max = 20))]
    pub to: String,
    /// How far it is: `migrating`, `fenced` or `importing`.
    #[schemars(length(max = 20))]
    pub state: String,
    /// Rows copied so far.
    pub rows: i64,
    /// Changed keys that wait to be copied.
    pub backlog: i64,
}

/// How long writes waited, over the slots that have moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pauses {
    /// Slots whose pause is known.
    pub count: i32,
    /// Half of them waited at most for so many milliseconds.
    pub p50_ms: i64,
    /// 99 of a hundred waited at most for so many milliseconds.
    pub p99_ms: i64,
    /// The longest.
    pub max_ms: i64,
}

/// How a ShardRebalance stands: the reason of its condition Ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RebalanceState {
    /// `spec.clusterRef` names no ChatCluster.
    ClusterNotFound,
    /// The ChatCluster's database is embedded: there are no shards.
    NotSharded,
    /// There is no plan yet; the message says what is waited for.
    Planning,
    /// Another one of the same ChatCluster is at work.
    Queued,
    /// The plan waits for its hash in `spec.approvedPlan`.
    WaitingForApproval,
    /// The plan waits for one of the windows of the ChatCluster.
    WaitingForWindow,
    /// Slots are moving.
    Running,
    /// `spec.paused` is true.
    Paused,
    /// Moves under way are being undone.
    Aborting,
    /// Every slot of the plan has moved.
    Completed,
    /// `spec.abort` was set, and what had not moved is where it was.
    Aborted,
    /// The shards have changed since; another one took its place.
    Superseded,
    /// A move does not come through.
    Failed,
}

impl RebalanceState {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::ClusterNotFound,
        Self::NotSharded,
        Self::Planning,
        Self::Queued,
        Self::WaitingForApproval,
        Self::WaitingForWindow,
        Self::Running,
        Self::Paused,
        Self::Aborting,
        Self::Completed,
        Self::Aborted,
        Self::Superseded,
        Self::Failed,
    ];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClusterNotFound => "ClusterNotFound",
            Self::NotSharded => "NotSharded",
            Self::Planning => "Planning",
            Self::Queued => "Queued",
            Self::WaitingForApproval => "WaitingForApproval",
            Self::WaitingForWindow => "WaitingForWindow",
            Self::Running => "Running",
            Self::Paused => "Paused",
            Self::Aborting => "Aborting",
            Self::Completed => "Completed",
            Self::Aborted => "Aborted",
            Self::Superseded => "Superseded",
            Self::Failed => "Failed",
        }
    }

    /// What it says, for the reference page.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::ClusterNotFound => {
                "`spec.clusterRef` names no ChatCluster of this namespace; it goes on when there is one"
            }
            Self::NotSharded => "the database of the ChatCluster is embedded: there are no shards",
            Self::Planning => "there is no plan yet; the message says what is waited for",
            Self::Queued => "another ShardRebalance of the same ChatCluster is at work",
            Self::WaitingForApproval => "the plan waits for its hash in `spec.approvedPlan`",
            Self::WaitingForWindow => "the plan waits for one of `spec.database.rebalance.windows` of the ChatCluster",
            Self::Running => "slots are moving",
            Self::Paused => "`spec.paused` is true",
            Self::Aborting => "moves under way are being undone",
            Self::Completed => "every slot of the plan has moved",
            Self::Aborted => "`spec.abort` was set, and what had not moved is where it was",
            Self::Superseded => "the shards have changed since; another one took its place",
            Self::Failed => {
                "a move does not come through, and what had not moved is where it was; the message says why"
            }
        }
    }

    /// Whether nothing more comes of it.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Aborted | Self::Superseded | Self::Failed)
    }

    /// The state that a status tells of; `Planning` where it tells of none.
    #[must_use]
    pub fn of(status: Option<&ShardRebalanceStatus>) -> Self {
        let conditions = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
        let reason = conditions.iter().find(|condition| condition.type_ == "Ready").map(|ready| ready.reason.as_str());
        Self::ALL.into_iter().find(|state| Some(state.as_str()) == reason).unwrap_or(Self::Planning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_as_they_are_written() {
        assert_eq!(RebalanceState::of(None), RebalanceState::Planning);
        let mut words: Vec<&str> = RebalanceState::ALL.into_iter().map(RebalanceState::as_str).collect();
        words.dedup();
        assert_eq!(words.len(), RebalanceState::ALL.len());
    }
}
