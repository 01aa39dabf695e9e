//! The ServiceAccount of gateways and migrations: a name for policies, without any right and without a token.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::meta::{self, Role};
use crate::{names::Component, reconcile::ValidatedCluster};

pub(super) fn build_service_account(cluster: &ValidatedCluster) -> ServiceAccount {
    ServiceAccount {
        metadata: meta::owned(cluster, Role::of(Component::Gateway), cluster.names.gateway()),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
