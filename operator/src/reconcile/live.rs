//! The children of one cluster as they are in the API server, and their pods.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map},
    fmt,
};

use chat_gateway_config::stats::Taken;
use k8s_openapi::api::core::v1::Pod;
use kube::api::DynamicObject;
use serde::de::DeserializeOwned;

use crate::build::{ChildId, Kind};

/// Existing children and pods.
#[derive(Clone, Default)]
pub struct Live {
    objects: BTreeMap<ChildId, DynamicObject>,
    /// Pods of the cluster.
    pub pods: Vec<Pod>,
    /// Name of the gateways' Deployment that the spec leads to, once that is known.
    pub target: Option<String>,
    /// What gateways are to take while they run, once that is known.
    pub wanted: Option<Wanted>,
    /// Kinds that the API server does not serve.
    pub not_served: BTreeSet<Kind>,
}

/// What gateways are to take while they run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Digest of the live configuration.
    pub config: String,
    /// Ids of the signing keys; the first one is to sign.
    pub keys: Vec<String>,
}

impl Wanted {
    /// What keeps a gateway from having it all, if something does.
    #[must_use]
    pub fn missing<'a>(&self, taken: &'a Taken) -> Option<&'a str> {
        let has = |keys: &[String], others: &[String]| keys.iter().all(|key| others.contains(key));
        let has_all =
            taken.config.as_ref() == Some(&self.config) && has(&self.keys, &taken.keys) && has(&taken.keys, &self.keys);
        if !has_all {
            return Some(taken.error.as_deref().unwrap_or("it has not taken what is new yet"));
        }
        // The configuration itself names the key of before for as long as one gateway lacks the new one: who has that configuration is not there yet.
        let signs = self.keys.first().is_none_or(|key| *key == taken.signs);
        (!signs).then_some(
            "it signs with the key of before, since not every gateway has said yet that it knows the new one",
        )
    }
}

impl fmt::Debug for Live {
    // Names only: Secrets are among the objects.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.objects.keys()).finish()
    }
}

impl Live {
    /// No children, these pods.
    #[must_use]
    pub fn with_pods(pods: Vec<Pod>) -> Self {
        Self { pods, ..Self::default() }
    }

    /// The child, if it exists.
    #[must_use]
    pub fn get(&self, id: &ChildId) -> Option<&DynamicObject> {
        self.objects.get(id)
    }

    /// Adds or replaces a child.
    pub fn insert(&mut self, id: ChildId, object: DynamicObject) {
        self.objects.insert(id, object);
    }

    /// Forgets a child.
    pub fn remove(&mut self, id: &ChildId) {
        self.objects.remove(id);
    }

    /// All children.
    pub fn iter(&self) -> btree_map::Iter<'_, ChildId, DynamicObject> {
        self.objects.iter()
    }

    /// The child as its own type; `None` when it does not exist or is not readable as one.
    #[must_use]
    pub fn typed<K: DeserializeOwned>(&self, kind: Kind, name: &str) -> Option<K> {
        let object = self.objects.get(&ChildId::new(kind, name))?;
        serde_json::to_value(object).and_then(serde_json::from_value).ok()
    }

    /// All children of a kind as their own type.
    #[must_use]
    pub fn all_typed<K: DeserializeOwned>(&self, kind: Kind) -> Vec<K> {
        self.objects
            .iter()
            .filter(|(id, _)| id.kind == kind)
            .filter_map(|(_, object)| serde_json::to_value(object).and_then(serde_json::from_value).ok())
            .collect()
    }
}
