//! Volumes: what all claims have in common, and the claim of an embedded database.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimVolumeSource, Volume as PodVolume,
        VolumeResourceRequirements,
    },
    apimachinery::pkg::api::resource::Quantity,
};

use super::meta::{self, Role};
use crate::{
    names::Component,
    reconcile::{DeletionPolicy, ValidatedCluster, Volume},
};

const ROLE: Role<'_> = Role::of(Component::Gateway);

/// The claim of an embedded database, if there is one.
pub(super) fn build_data_claim(cluster: &ValidatedCluster) -> Option<PersistentVolumeClaim> {
    let volume = cluster.embedded()?;
    let name = cluster.names.data_claim();
    // A retained claim has no owner that the garbage collector could take it with; its labels still tell whose it was.
    let metadata = match cluster.deletion_policy {
        DeletionPolicy::Retain => meta::unowned(cluster, ROLE, name),
        DeletionPolicy::Delete => meta::owned(cluster, ROLE, name),
    };
    Some(PersistentVolumeClaim { metadata, spec: Some(claim_spec(volume)), status: None })
}

/// What is asked for: a file system for the pods of one node.
pub(super) fn claim_spec(volume: &Volume) -> PersistentVolumeClaimSpec {
    let requests = BTreeMap::from([("storage".to_owned(), Quantity(volume.size.clone()))]);
    PersistentVolumeClaimSpec {
        access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
        storage_class_name: volume.storage_class.clone(),
        resources: Some(VolumeResourceRequirements { requests: Some(requests), limits: None }),
        ..PersistentVolumeClaimSpec::default()
    }
}

/// The volume `name` of a pod, on the claim of an embedded database.
pub(super) fn data_volume(cluster: &ValidatedCluster, name: &str) -> PodVolume {
    let source = PersistentVolumeClaimVolumeSource { claim_name: cluster.names.data_claim(), read_only: None };
    PodVolume { name: name.to_owned(), persistent_volume_claim: Some(source), ..PodVolume::default() }
}
