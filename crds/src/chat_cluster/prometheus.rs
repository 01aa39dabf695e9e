//! Queries to a Prometheus that new gateways have to pass.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{CaSecretRef, TokenSecretRef};

/// A Prometheus, or what answers as one, and what it is asked of new gateways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "self.url.startsWith('https://') || (!has(self.tokenSecretRef) && !has(self.caSecretRef))"
).message(
    "spec.gateways.rollout.analysis.prometheus: tokenSecretRef and caSecretRef are for https; use an https URL, or remove them"
))]
pub struct Prometheus {
    /// Where it is, such as `http://prometheus.monitoring:9090`; `/api/v1/query` is added.
    #[schemars(length(min = 8, max = 1_024), regex(pattern = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"))]
    pub url: String,

    /// A token to prove who asks, sent as `Authorization: Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret_ref: Option<TokenSecretRef>,

    /// Authorities that may vouch for its certificate; those that browsers trust if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaSecretRef>,

    /// What it is asked every 10 s from when new gateways have the share of a wave. The wave is over when all answers are within their bounds; it has failed when one is not, twice in a row.
    #[schemars(length(min = 1, max = 10))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub queries: Vec<Query>,
}

/// A query whose answer is one number, and its bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "has(self.min) || has(self.max)"
).message(
    "spec.gateways.rollout.analysis.prometheus.queries: a query without bounds decides nothing; set min, max or both"
))]
#[x_kube(validation = Rule::new(
    "!has(self.min) || !has(self.max) || double(self.min) <= double(self.max)"
).message(
    "spec.gateways.rollout.analysis.prometheus.queries: min must not be over max; correct one of them"
))]
pub struct Query {
    /// Its name, for messages.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// PromQL. `{revision}` stands for the revision of the new gateways, `{stable}` for that of the old ones, `{cluster}` and `{namespace}` for the ChatCluster's.
    #[schemars(length(min = 1, max = 4_096), regex(pattern = r"\S"))]
    pub query: String,

    /// The least that is right, a decimal number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^-?[0-9]+(\.[0-9]+)?$"))]
    pub min: Option<String>,

    /// The most that is right, a decimal number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^-?[0-9]+(\.[0-9]+)?$"))]
    pub max: Option<String>,
}
