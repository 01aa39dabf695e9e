//! What is asked for.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::ShardRebalanceStatus;

/// Slots that are to move between the shards of a ChatCluster while people chat. The operator makes one when the shards or their weights change; people make one to spread slots by what they carry now, or to move some by hand.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "chatcluster.dev",
    version = "v1alpha1",
    kind = "ShardRebalance",
    plural = "shardrebalances",
    shortname = "srb",
    namespaced,
    status = "ShardRebalanceStatus",
    derive = "PartialEq",
    selectable = ".spec.clusterRef.name",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.clusterRef.name"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Moved", type_ = "integer", json_path = ".status.progress.slotsMoved"),
    printcolumn(name = "Slots", type_ = "integer", json_path = ".status.plan.slots"),
    printcolumn(name = "P99 pause (ms)", type_ = "integer", json_path = ".status.pauses.p99Ms"),
    printcolumn(name = "Plan", type_ = "string", json_path = ".status.plan.hash"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 63").message(
        "metadata.name: must be at most 63 characters, since Jobs carry it as a label; choose a shorter name"
    )
)]
#[x_kube(validation = Rule::new("self.clusterRef.name == oldSelf.clusterRef.name").message(
    "spec.clusterRef: cannot change, since the plan was made for this ChatCluster; make another ShardRebalance"
))]
#[x_kube(validation = Rule::new(
    "has(self.moves) == has(oldSelf.moves) && (!has(self.moves) || self.moves == oldSelf.moves)"
).message(
    "spec.moves: cannot change, since the plan was made of them; abort this one and make another ShardRebalance"
))]
#[x_kube(validation = Rule::new(
    "!(has(oldSelf.abort) && oldSelf.abort) || (has(self.abort) && self.abort)"
).message(
    "spec.abort: cannot be taken back, since moves have been given up; make another ShardRebalance"
))]
#[serde(rename_all = "camelCase")]
pub struct ShardRebalanceSpec {
    /// The ChatCluster, in the same namespace.
    pub cluster_ref: ClusterRef,

    /// Slots that are to move, and where to. Without them the plan moves what brings every shard to the share that its weight asks for, by what the slots carry now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub moves: Option<Vec<MoveRequest>>,

    /// Hash of the plan in `status.plan` that may be carried out. Another one than that of the plan approves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[0-9a-f]+$"))]
    pub approved_plan: Option<String>,

    /// While true, no slot's move begins, and those under way stop where they are: their slots stay with their source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,

    /// Gives up what has not moved: moves under way are undone, slots that have moved stay where they are. Cannot be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<bool>,
}

/// A ChatCluster in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRef {
    /// Its name.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
}

/// Slots that are to move to one shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MoveRequest {
    /// Numbers and ranges of slots, such as `5` or `0-31,40`.
    #[schemars(length(min = 1, max = 1_024), regex(pattern = r"^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$"))]
    pub slots: String,

    /// Name of the shard that is to have them.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub to: String,
}

impl ShardRebalanceSpec {
    /// Whether nothing is to begin.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.unwrap_or_default()
    }

    /// Whether what has not moved is to be given up.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.abort.unwrap_or_default()
    }
}
