//! What a newer operator would change about pods that run, and who decides when it does.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::Window;

/// When pods are replaced because the operator is another one: it makes them differently, or brings other images.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "!has(self.windows) || size(self.windows) == 0 || (has(self.mode) && self.mode == 'Automatic')"
).message(
    "spec.adoption.windows: what waits for approval waits for no window; set mode to Automatic, or remove windows"
))]
pub struct Adoption {
    /// Who decides; Approve if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<AdoptionMode>,

    /// The hash of the changes that may be made now, as `status.pendingChanges.hash` says it; other changes wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 16, max = 16), regex(pattern = r"^[0-9a-f]{16}$"))]
    pub approved_changes: Option<String>,

    /// With Automatic, times in which changes may begin; any time if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub windows: Vec<Window>,
}

/// Who decides when pods are replaced because the operator is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum AdoptionMode {
    /// A person: nothing is replaced until the hash of the changes stands in `approvedChanges`.
    Approve,
    /// The operator: one part after the other, within `windows`.
    Automatic,
}

/// What this operator would change about pods that run, had it a free hand. They run as an operator before it made them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingChanges {
    /// Names what this operator makes of the spec; in `spec.adoption.approvedChanges` it lets the changes go ahead.
    #[schemars(length(max = 16))]
    pub hash: String,
    /// Version of this operator.
    #[schemars(length(max = 64))]
    pub operator_version: String,
    /// Since when something waits.
    pub since: Time,
    /// Objects with changes that wait.
    pub count: i32,
    /// The first 16 of them.
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub objects: Vec<PendingObject>,
}

/// The changes of one object's pod template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingObject {
    /// `Deployment` or `StatefulSet`.
    #[schemars(length(max = 63))]
    pub kind: String,
    /// Its name now; that of another revision of the gateways is a hash.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Changes of the template: the first 16.
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub changes: Vec<FieldChange>,
    /// Changes that are left out here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<i32>,
}

/// One field that would be another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// Path in the pod template, such as `spec.containers[gateway].image`.
    #[schemars(length(max = 256))]
    pub path: String,
    /// The value now; absent where the field is not there. At most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub from: Option<String>,
    /// The value to be; absent where the field goes. At most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub to: Option<String>,
}
