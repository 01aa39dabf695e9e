//! The operator's own writes of a status come back as changes of the ChatCluster. There is nothing new in them, and a pass is a dozen requests.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use chat_crds::ChatCluster;
use kube::ResourceExt as _;

use crate::names::ClusterKey;

/// What the operator wrote last into each ChatCluster.
#[derive(Debug, Default)]
pub struct Echoes {
    // A std mutex: held for a map operation, never across an await.
    written: Mutex<HashMap<ClusterKey, String>>,
}

impl Echoes {
    /// Notes the version that a write came to.
    pub fn note(&self, written: &ChatCluster) {
        let Some(version) = written.resource_version() else { return };
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(key(written), version);
    }

    /// Whether this version is what the operator itself wrote; asked once for each. A change that comes before the answer to the write is none: it
    /// costs a pass and does no harm.
    #[must_use]
    pub fn is_echo(&self, seen: &ChatCluster) -> bool {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key(seen);
        let is_own = written.get(&key).is_some_and(|version| Some(version) == seen.resource_version().as_ref());
        // Whoever is being deleted is looked at whatever was written, and never again.
        if is_own || seen.metadata.deletion_timestamp.is_some() {
            written.remove(&key);
        }
        is_own && seen.metadata.deletion_timestamp.is_none()
    }
}

fn key(cluster: &ChatCluster) -> ClusterKey {
    ClusterKey::new(cluster.namespace().unwrap_or_default(), cluster.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(version: &str) -> ChatCluster {
        let object = serde_json::json!({
            "apiVersion": crate::api::API_VERSION,
            "kind": crate::api::KIND,
            "metadata": { "namespace": "ns", "name": "demo", "resourceVersion": version },
            "spec": { "broker": { "inProcess": {} }, "database": { "embedded": { "storage": { "size": "1Gi" } } } },
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn only_the_very_version_that_was_written_is_an_echo_and_only_once() {
        let echoes = Echoes::default();
        assert!(!echoes.is_echo(&version("7")));
        echoes.note(&version("8"));
        assert!(!echoes.is_echo(&version("7")), "somebody else wrote before");
        assert!(echoes.is_echo(&version("8")));
        assert!(!echoes.is_echo(&version("8")), "a watch that begins again brings it as what there is");
        echoes.note(&version("9"));
        let mut leaving = version("9");
        leaving.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time::from(jiff::Timestamp::UNIX_EPOCH));
        assert!(!echoes.is_echo(&leaving));
    }
}
