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
    cloud_native_pg: watch::Sender<bool>,
    rabbitmq: watch::Sender<bool>,
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

    /// Notes that some ChatCluster refers to the kind, and that the API server serves it.
    pub fn note_served(&self, kind: EngineKind) {
        self.sender(kind).send_if_modified(|served| !std::mem::replace(served, true));
    }

    /// Ends when [`Self::note_served`] was called for the kind: a watch of a kind that is not served fails for ever, and one of a kind that
    /// nobody refers to costs for nothing.
    pub fn served(&self, kind: EngineKind) -> impl Future<Output = ()> + Send + use<> {
        let mut served = self.sender(kind).subscribe();
        async move {
            // An error means that the registry is gone, and the controller with it.
            let _ = served.wait_for(|served| *served).await;
        }
    }

    const fn sender(&self, kind: EngineKind) -> &watch::Sender<bool> {
        match kind {
            EngineKind::CloudNativePg => &self.cloud_native_pg,
            EngineKind::RabbitMq => &self.rabbitmq,
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
        let mut waiting = std::pin::pin!(registry.served(EngineKind::RabbitMq));
        registry.note_served(EngineKind::CloudNativePg);
        assert!(waiting.as_mut().now_or_never().is_none());
        registry.note_served(EngineKind::RabbitMq);
        assert!(waiting.now_or_never().is_some());
    }
}
