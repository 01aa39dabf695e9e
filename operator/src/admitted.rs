//! What the API server made of children that were applied, where that is not what was asked for. A policy that overrides a field, such as the registry of an image,
//! answers each apply with the same object: writing it again changes nothing, and would be done at every pass.
//!
//! In memory only: after a start the operator applies such a child once more.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use kube::api::DynamicObject;
use serde_json::Value;

use crate::{build::ChildId, hash::Hasher, names::ClusterKey};

/// Digests of what came back, by child.
pub type Answers = BTreeMap<ChildId, String>;

/// What came back of each ChatCluster's children that were changed on their way.
#[derive(Debug, Default)]
pub struct Admitted {
    // A std mutex: held for a map operation, never across an await.
    answers: Mutex<HashMap<ClusterKey, Answers>>,
}

impl Admitted {
    /// Notes the digest of what came back of a child; `None` where that was what was asked for.
    pub fn note(&self, key: &ClusterKey, id: &ChildId, digest: Option<String>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        match digest {
            Some(digest) => {
                answers.entry(key.clone()).or_default().insert(id.clone(), digest);
            }
            None => {
                answers.get_mut(key).map(|answers| answers.remove(id));
            }
        }
    }

    /// What is known of a ChatCluster's children.
    #[must_use]
    pub fn of(&self, key: &ClusterKey) -> Answers {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned().unwrap_or_default()
    }

    /// Forgets a ChatCluster that has gone.
    pub fn forget(&self, key: &ClusterKey) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// Digest of a child that was applied with the hash `applied` and is this now. Its status and metadata do not count.
#[must_use]
pub fn digest(applied: &str, object: &DynamicObject) -> String {
    let mut content = object.data.clone();
    if let Value::Object(content) = &mut content {
        content.remove("status");
    }
    Hasher::new().text(applied).text(&content.to_string()).finish()
}
