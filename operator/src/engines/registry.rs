//! What passes have learned of engines, for the watches: which kinds are served, and which Secrets a ChatCluster uses because an engine names
//! them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::EngineKind;
use crate::names::ClusterKey;

/// What passes have learned of engines.
#[derive(Debug, Default)]
pub struct Registry {
    // A std mutex: held for map operations, never across an await.
    secrets: Mutex<BTreeMap<ClusterKey, BTreeSet<String>>>,
    /// Under which version each kind is served, in the order of [`EngineKind::ALL`].
    served: [watch::Sender<Option<&'static str>>; EngineKind::ALL.len()],
}

impl Registry {
    /// Notes which Secrets of engines a ChatCluster uses, before they are read: a change after that is heard of.
    pub fn note_secrets(&self, key: &ClusterKey, secrets: &BTreeSet<String>) {
        if secrets.is_empty() {
            self.forget(key);
        } else {
            self.held().insert(key.clone(), secrets.clone());
        }
    }

    /// Forgets a ChatCluster that is gone.
    pub fn forget(&self, key: &ClusterKey) {
        self.held().remove(key);
    }

    /// The ChatClusters that use a Secret because one of their engines names it.
    #[must_use]
    pub fn users_of(&self, namespace: &str, secret: &str) -> Vec<ClusterKey> {
        let held = self.held();
        let users = held.iter().filter(|(key, secrets)| key.namespace == namespace && secrets.contains(secret));
        users.map(|(key, _)| key.clone()).collect()
    }

    /// Notes that some ChatCluster refers to the kind, and that the API server serves it under this version.
    pub fn note_served(&self, kind: EngineKind, version: &'static str) {
        self.sender(kind).send_if_modified(|served| served.replace(version) != Some(version));
    }

    /// The version under which the kind was served when last asked for.
    #[must_use]
    pub fn version(&self, kind: EngineKind) -> Option<&'static str> {
        *self.sender(kind).borrow()
    }

    /// Ends with the version of [`Self::note_served`] when that is another one than `known`: a watch of a kind or version that is not served fails
    /// for ever, and one of a kind that nobody refers to costs for nothing. Ends with `None` when the registry is gone, and the controller with it.
    pub fn another(
        &self,
        kind: EngineKind,
        known: Option<&'static str>,
    ) -> impl Future<Output = Option<&'static str>> + Send + use<> {
        let mut served = self.sender(kind).subscribe();
        async move { *served.wait_for(|served| served.is_some() && *served != known).await.ok()? }
    }

    const fn sender(&self, kind: EngineKind) -> &watch::Sender<Option<&'static str>> {
        let [cloud_native_pg, rabbitmq, kafka, kafka_user, kafka_topic] = &self.served;
        match kind {
            EngineKind::CloudNativePg => cloud_native_pg,
            EngineKind::RabbitMq => rabbitmq,
            EngineKind::Kafka => kafka,
            EngineKind::KafkaUser => kafka_user,
            EngineKind::KafkaTopic => kafka_topic,
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<ClusterKey, BTreeSet<String>>> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn a_secret_leads_to_the_chat_clusters_of_its_namespace_that_use_it() {
        let registry = Registry::default();
        let key = ClusterKey::new("chat", "demo");
        registry.note_secrets(&key, &["pg-app".to_owned(), "pg-ca".to_owned()].into());
        assert_eq!(registry.users_of("chat", "pg-ca"), std::slice::from_ref(&key));
        assert!(registry.users_of("other", "pg-ca").is_empty() && registry.users_of("chat", "pg-rw").is_empty());
        registry.note_secrets(&key, &BTreeSet::new());
        assert!(registry.users_of("chat", "pg-ca").is_empty());
    }

    #[test]
    fn a_watch_waits_until_its_kind_is_served() {
        let registry = Registry::default();
        let mut waiting = std::pin::pin!(registry.another(EngineKind::Kafka, None));
        registry.note_served(EngineKind::CloudNativePg, "v1");
        assert!(waiting.as_mut().now_or_never().is_none());
        registry.note_served(EngineKind::Kafka, "v1beta2");
        assert_eq!(waiting.now_or_never(), Some(Some("v1beta2")));
        let mut next = std::pin::pin!(registry.another(EngineKind::Kafka, Some("v1beta2")));
        assert!(next.as_mut().now_or_never().is_none());
        registry.note_served(EngineKind::Kafka, "v1");
        assert_eq!(next.now_or_never(), Some(Some("v1")), "the watch begins anew where the kind is served by now");
    }
}
