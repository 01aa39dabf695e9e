//! Everything that the operator makes for a ChatCluster, by label.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::{CronJob, Job},
    core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, Resource,
    api::{ApiResource, DynamicObject, ListParams},
};

use crate::chat_cluster::ChatCluster;

/// Label that every child carries.
pub const CLUSTER_LABEL: &str = "chatcluster.dev/cluster";

/// The kinds that the operator itself writes.
#[must_use]
pub fn written_kinds() -> Vec<ApiResource> {
    vec![
        erased::<ConfigMap>(),
        erased::<CronJob>(),
        erased::<Deployment>(),
        erased::<Ingress>(),
        erased::<Job>(),
        erased::<NetworkPolicy>(),
        erased::<PodDisruptionBudget>(),
        erased::<Secret>(),
        erased::<Service>(),
        erased::<ServiceAccount>(),
        erased::<StatefulSet>(),
    ]
}

fn erased<K: Resource<DynamicType = ()>>() -> ApiResource {
    ApiResource::erase::<K>(&())
}

impl ChatCluster {
    /// Every object that the operator wrote for the cluster, with its kind in `types`.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn children(&self) -> Result<Vec<DynamicObject>> {
        let mut children = Vec::new();
        for kind in written_kinds() {
            children.extend(self.labelled(&kind).await?);
        }
        Ok(children)
    }

    /// The gateways' Deployments: one, but for rollouts.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn gateway_deployments(&self) -> Result<Vec<Deployment>> {
        let api: Api<Deployment> = Api::namespaced(self.world.client.clone(), &self.namespace);
        let labels = format!("{CLUSTER_LABEL}={},app.kubernetes.io/component=gateway", self.name);
        Ok(api.list(&ListParams::default().labels(&labels)).await?.items)
    }

    /// The gateways' only Deployment.
    ///
    /// # Errors
    /// The API server does not answer, or there is none, or a rollout is under way.
    pub async fn gateway_deployment(&self) -> Result<Deployment> {
        let mut all = self.gateway_deployments().await?;
        ensure!(all.len() == 1, "{} Deployments of gateways", all.len());
        all.pop().context("no Deployment of gateways")
    }

    /// Claims of the cluster's shards, or of its embedded database.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn claims(&self) -> Result<Vec<DynamicObject>> {
        self.labelled(&erased::<PersistentVolumeClaim>()).await
    }

    async fn labelled(&self, kind: &ApiResource) -> Result<Vec<DynamicObject>> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.world.client.clone(), &self.namespace, kind);
        let list = api.list(&ListParams::default().labels(&format!("{CLUSTER_LABEL}={}", self.name))).await?;
        let typed = list.items.into_iter().map(|mut object| {
            object.types =
                Some(kube::core::TypeMeta { api_version: kind.api_version.clone(), kind: kind.kind.clone() });
            object
        });
        Ok(typed.collect())
    }

    /// resourceVersion of the ChatCluster and of every child, by `kind/name`.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn versions(&self) -> Result<BTreeMap<String, String>> {
        let mut versions = BTreeMap::new();
        let mut objects = self.children().await?;
        objects.push(self.get().await?);
        for object in objects {
            versions.insert(title(&object), object.metadata.resource_version.unwrap_or_default());
        }
        Ok(versions)
    }
}

/// `Kind/name` of an object.
#[must_use]
pub fn title(object: &DynamicObject) -> String {
    let kind = object.types.as_ref().map_or("?", |types| types.kind.as_str());
    format!("{kind}/{}", object.metadata.name.as_deref().unwrap_or("?"))
}
