//! What the managed backends have in common: one replica, one container, a headless Service of the same name.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::{StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec},
    core::v1::{Container, PersistentVolumeClaim, PodSpec, PodTemplateSpec, Volume},
};

use super::{
    meta::{self, Role},
    pod,
};
use crate::{
    names::annotation,
    reconcile::{DeletionPolicy, ValidatedCluster},
};

/// The parts in which managed backends differ.
pub(super) struct Backend<'a> {
    pub(super) role: Role<'a>,
    pub(super) name: String,
    pub(super) container: Container,
    /// Runs before it.
    pub(super) init: Option<Container>,
    pub(super) volumes: Vec<Volume>,
    /// Volume that outlives the pod.
    pub(super) claim: Option<PersistentVolumeClaim>,
    /// Hash of credentials that the program takes only at its first start: a change replaces the pod and its volumes.
    pub(super) restart_on: Option<String>,
    /// Seconds to end in good order.
    pub(super) grace_seconds: i64,
}

pub(super) fn build_stateful_set(cluster: &ValidatedCluster, backend: Backend<'_>) -> StatefulSet {
    let Backend { role, name, container, init, volumes, claim, restart_on, grace_seconds } = backend;
    let mut metadata = meta::template(cluster, role);
    metadata.annotations = restart_on.map(|hash| BTreeMap::from([(annotation::CONFIG_HASH.to_owned(), hash)]));
    let container = Container {
        image_pull_policy: Some("IfNotPresent".to_owned()),
        security_context: Some(pod::restricted_container()),
        ..container
    };
    let spec = PodSpec {
        init_containers: init.map(|init| vec![init]),
        termination_grace_period_seconds: Some(grace_seconds),
        ..pod::restricted_pod(vec![container], volumes)
    };
    let retention = claim.as_ref().map(|_| StatefulSetPersistentVolumeClaimRetentionPolicy {
        when_deleted: Some(
            match cluster.deletion_policy {
                DeletionPolicy::Retain => "Retain",
                DeletionPolicy::Delete => "Delete",
            }
            .to_owned(),
        ),
        when_scaled: Some("Retain".to_owned()),
    });
    StatefulSet {
        metadata: meta::owned(cluster, role, name.clone()),
        spec: Some(StatefulSetSpec {
            replicas: Some(1),
            service_name: Some(name),
            selector: meta::selector(&cluster.key.name, role),
            template: PodTemplateSpec { metadata: Some(metadata), spec: Some(spec) },
            volume_claim_templates: claim.map(|claim| vec![claim]),
            persistent_volume_claim_retention_policy: retention,
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}
