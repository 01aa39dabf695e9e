//! Conditions of engines whose operators do not write Kubernetes' own type.

use serde::Deserialize;

/// As those operators write them: a time may be absent, and an observed generation, which Kubernetes' own type has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) type_: String,
    pub(super) status: String,
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
}
