//! What stands on a workload about how it was made.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::hash::Hasher;

/// What stands in the annotation `chatcluster.dev/rendering` of a Deployment or StatefulSet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Identity of the operator that made the template.
    pub operator: String,
    /// Hash of the part of the spec, and of the Secrets, that the template is made of.
    pub inputs: String,
    /// What [`super::Rendering::followed`] was when this template was kept; none where nothing waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub followed: Option<String>,
    /// The pod template as it was made, without what the API server adds.
    pub template: Value,
    /// Names all that the template is made of, but for the contents of files that gateways follow; absent until this workload's gateways say that they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasting: Option<Lasting>,
    /// What a newer operator would make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
}

/// What a template of gateways is made of, but for the contents of files that they follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lasting {
    /// Hash of the configuration file.
    pub config: String,
    /// Hash of the part of the spec.
    pub inputs: String,
}

/// A template that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    /// Identity of the operator that would make it.
    pub operator: String,
    /// Hash of the template.
    pub hash: String,
}

impl Record {
    /// Reads the annotation. `None` where there is none, or where somebody has garbled it: then nothing is known of how the workload was made.
    #[must_use]
    pub fn read(annotation: Option<&String>) -> Option<Self> {
        serde_json::from_str(annotation?).ok()
    }

    /// The annotation's text.
    #[must_use]
    pub fn write(&self) -> String {
        // Texts and JSON values always become JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Names a template.
#[must_use]
pub fn hash_of(template: &Value) -> String {
    Hasher::new().text(&template.to_string()).finish()
}
