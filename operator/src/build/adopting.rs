//! The parts whose pods a new operator does not replace by itself: what it would make of them, and how what they have is kept.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::PodTemplateSpec,
};
use kube::{ResourceExt, api::ObjectMeta};
use serde_json::Value;

use super::{BuildError, ChildId, Kind, Prepared, Resources, build_stateful_sets, gateway_config, haproxy};
use crate::{
    names::{Component, annotation, label},
    reconcile::ValidatedCluster,
};

/// A part with pods of its own, as it would be made now.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Kind and name.
    pub id: ChildId,
    /// What it is.
    pub component: Component,
    /// The shard, of a database.
    pub shard: Option<String>,
    /// The pod template.
    pub template: Value,
}

/// What is to stand on a workload, and what it keeps.
#[derive(Clone, Debug)]
pub struct Keepsake {
    /// Text of the annotation.
    pub record: String,
    /// The template that it keeps; `None` where it gets the new one.
    pub template: Option<PodTemplateSpec>,
}

/// Every workload of `cluster`, in the order in which changes of a new operator are made: what others need comes first, gateways last.
///
/// # Errors
/// When something cannot be serialised, which no valid cluster leads to.
pub fn workloads(cluster: &ValidatedCluster) -> Result<Vec<Workload>, BuildError> {
    let mut all = Vec::new();
    for set in build_stateful_sets(cluster) {
        let labels = set.labels();
        let component = match labels.get(label::COMPONENT) {
            Some(value) if value == Component::Broker.label() => Component::Broker,
            Some(value) if value == Component::Cache.label() => Component::Cache,
            _ => Component::Database,
        };
        let (id, shard) = (ChildId::new(Kind::StatefulSet, &set.name_any()), labels.get(label::SHARD).cloned());
        let template = serde_json::to_value(set.spec.map(|spec| spec.template))?;
        all.push(Workload { id, component, shard, template });
    }
    let (_, gateways) = gateway_config::build_gateway_config(cluster)?;
    let tier = haproxy::build_haproxy(cluster).map(|(_, deployment)| (Component::Balancer, deployment));
    for (component, deployment) in tier.into_iter().chain([(Component::Gateway, gateways)]) {
        let id = ChildId::new(Kind::Deployment, &deployment.name_any());
        let template = serde_json::to_value(deployment.spec.map(|spec| spec.template))?;
        all.push(Workload { id, component, shard: None, template });
    }
    Ok(all)
}

/// Puts what is to stand on the workloads on them, and back what they keep: with a template of HAProxy's goes the ConfigMap that it reads.
pub fn keep(resources: &mut Resources<Prepared>, mut keepsakes: BTreeMap<ChildId, Keepsake>) {
    let mut note = |kind: Kind, metadata: &mut ObjectMeta| {
        let Keepsake { record, template } = keepsakes.remove(&ChildId::new(kind, metadata.name.as_deref()?))?;
        metadata.annotations.get_or_insert_default().insert(annotation::RENDERING.to_owned(), record);
        template
    };
    for StatefulSet { metadata, spec, .. } in &mut resources.stateful_sets {
        if let (Some(template), Some(spec)) = (note(Kind::StatefulSet, metadata), spec) {
            spec.template = template;
        }
    }
    for Deployment { metadata, spec, .. } in &mut resources.deployments {
        if let (Some(template), Some(spec)) = (note(Kind::Deployment, metadata), spec) {
            spec.template = template;
            let name = metadata.name.clone().unwrap_or_default();
            resources.config_maps.retain(|config| config.metadata.name.as_ref() != Some(&name));
            resources.held.insert(ChildId::new(Kind::ConfigMap, &name));
        }
    }
}
