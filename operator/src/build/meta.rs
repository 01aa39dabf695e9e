//! Metadata of children: names, labels, selectors and the owner.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, OwnerReference};
use kube::api::ObjectMeta;

use crate::{
    names::{Component, label},
    reconcile::ValidatedCluster,
};

/// What a child is: its role and, for a database, its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Role<'a> {
    pub(super) component: Component,
    pub(super) shard: Option<&'a str>,
}

impl<'a> Role<'a> {
    pub(super) const fn of(component: Component) -> Self {
        Self { component, shard: None }
    }

    pub(super) const fn shard(name: &'a str) -> Self {
        Self { component: Component::Database, shard: Some(name) }
    }
}

/// Labels that select the pods of a role. They never change in the life of a cluster: selectors are immutable.
pub(super) fn selector_labels(cluster: &str, role: Role<'_>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([
        (label::INSTANCE.to_owned(), cluster.to_owned()),
        (label::COMPONENT.to_owned(), role.component.label().to_owned()),
    ]);
    if let Some(shard) = role.shard {
        labels.insert(label::SHARD.to_owned(), shard.to_owned());
    }
    labels
}

/// Selector of the pods of a role.
pub(super) fn selector(cluster: &str, role: Role<'_>) -> LabelSelector {
    LabelSelector { match_labels: Some(selector_labels(cluster, role)), ..LabelSelector::default() }
}

/// Selector of the gateways' pods as the scale subresource wants it: a string.
#[must_use]
pub fn gateway_selector(cluster: &str) -> String {
    selector_labels(cluster, Role::of(Component::Gateway))
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(",")
}

/// Labels of a child that stay the same for its whole life.
pub(super) fn lasting_labels(cluster: &str, role: Role<'_>) -> BTreeMap<String, String> {
    let mut labels = selector_labels(cluster, role);
    for (key, value) in [
        (label::NAME, role.component.program()),
        (label::PART_OF, "chatcluster"),
        (label::MANAGED_BY, "chat-operator"),
        (label::CLUSTER, cluster),
    ] {
        labels.insert(key.to_owned(), value.to_owned());
    }
    labels
}

/// All labels of a child.
fn labels(cluster: &str, role: Role<'_>) -> BTreeMap<String, String> {
    let mut labels = lasting_labels(cluster, role);
    labels.insert(label::VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    labels
}

/// Metadata of an object that goes when its ChatCluster goes.
pub(super) fn owned(cluster: &ValidatedCluster, role: Role<'_>, name: String) -> ObjectMeta {
    ObjectMeta { owner_references: Some(vec![owner(cluster)]), ..unowned(cluster, role, name) }
}

/// Metadata of an object that stays when its ChatCluster goes. Its labels still tell whose it was.
pub(super) fn unowned(cluster: &ValidatedCluster, role: Role<'_>, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(cluster.key.namespace.clone()),
        labels: Some(labels(&cluster.key.name, role)),
        ..ObjectMeta::default()
    }
}

/// Metadata of a pod template. Without the version: a new operator must not restart what runs.
pub(super) fn template(cluster: &ValidatedCluster, role: Role<'_>) -> ObjectMeta {
    ObjectMeta { labels: Some(lasting_labels(&cluster.key.name, role)), ..ObjectMeta::default() }
}

fn owner(cluster: &ValidatedCluster) -> OwnerReference {
    OwnerReference {
        api_version: crate::api::API_VERSION.to_owned(),
        kind: crate::api::KIND.to_owned(),
        name: cluster.key.name.clone(),
        uid: cluster.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}
