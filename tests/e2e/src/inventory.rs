//! Every object of a namespace, whatever its kind and whoever made it.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, ListParams},
    discovery::{Discovery, Scope, verbs},
};

use crate::{
    namespace::Namespace,
    wait::{Seen, until},
    world::World,
};

/// What Kubernetes itself puts into every namespace.
const FURNITURE: [&str; 2] = ["ConfigMap/kube-root-ca.crt", "ServiceAccount/default"];
/// Events tell of what has gone, and run out by themselves after an hour.
const LEFT_OUT: &str = "Event";

impl World {
    /// `Kind/name` of every object in a namespace, of every kind that the API server lists, but Events.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn inventory(&self, namespace: &str) -> Result<BTreeSet<String>> {
        let discovery = Discovery::new(self.client.clone()).run_aggregated().await?;
        let resources = discovery.groups().flat_map(|group| group.recommended_resources());
        let listed = resources.filter(|(resource, capabilities)| {
            capabilities.scope == Scope::Namespaced
                && capabilities.supports_operation(verbs::LIST)
                && resource.kind != LEFT_OUT
        });
        let lists = listed.map(|(resource, _)| self.titles(namespace, resource));
        Ok(try_join_all(lists).await?.into_iter().flatten().collect())
    }

    async fn titles(&self, namespace: &str, resource: ApiResource) -> Result<Vec<String>> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &resource);
        let list = api.list_metadata(&ListParams::default()).await?;
        let names = list.items.into_iter().filter_map(|object| object.metadata.name);
        Ok(names.map(|name| format!("{}/{name}", resource.kind)).collect())
    }

    /// Names of the PersistentVolumes that are bound, or were, to claims of a namespace.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn volumes_of(&self, namespace: &str) -> Result<Vec<String>> {
        let api: Api<PersistentVolume> = Api::all(self.client.clone());
        let is_of = |volume: &PersistentVolume| {
            let claim = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
            claim.is_some_and(|claim| claim.namespace.as_deref() == Some(namespace))
        };
        let volumes = api.list(&ListParams::default()).await?.items.into_iter().filter(is_of);
        Ok(volumes.filter_map(|volume| volume.metadata.name).collect())
    }
}

impl Namespace {
    /// What is in it before a test puts anything there, once Kubernetes has put its own things there.
    ///
    /// # Errors
    /// Kubernetes has not within half a minute.
    pub async fn furnished(&self) -> Result<BTreeSet<String>> {
        until(format!("the furniture of namespace {}", self.name), Duration::from_secs(30), || async {
            let found = self.world().inventory(&self.name).await?;
            let is_complete = FURNITURE.iter().all(|title| found.contains(*title));
            Ok(if is_complete { Seen::Yes(found) } else { Seen::NotYet(format!("{found:?}")) })
        })
        .await
    }

    /// Waits until exactly `rest` is there that was not there `before`, and as many PersistentVolumes as there are
    /// claims in `rest`.
    ///
    /// # Errors
    /// It is not so within `limit`; the message has what is there.
    pub async fn wait_rest(&self, before: &BTreeSet<String>, rest: &[&str], limit: Duration) -> Result<()> {
        let rest: BTreeSet<String> = rest.iter().map(|title| (*title).to_owned()).collect();
        let claims = rest.iter().filter(|title| title.starts_with("PersistentVolumeClaim/")).count();
        until(format!("nothing but {rest:?} in namespace {}", self.name), limit, || async {
            let now = self.world().inventory(&self.name).await?;
            let added: BTreeSet<String> = now.difference(before).cloned().collect();
            let volumes = self.world().volumes_of(&self.name).await?;
            let done = added == rest && volumes.len() == claims && now.is_superset(before);
            Ok(if done { Seen::Yes(()) } else { Seen::NotYet(format!("{added:?} and volumes {volumes:?}")) })
        })
        .await
    }
}
