//! The ServiceAccounts of gateways and migrations, and of the tier of HAProxy: names for policies, without any right and without a token.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::meta::{self, Role};
use crate::{names::Component, reconcile::ValidatedCluster};

pub(super) fn build_service_accounts(cluster: &ValidatedCluster) -> Vec<ServiceAccount> {
    let tier = cluster.gateways.expose.tier().map(|_| (Component::Balancer, cluster.names.haproxy()));
    let all = std::iter::once((Component::Gateway, cluster.names.gateway())).chain(tier);
    all.map(|(component, name)| ServiceAccount {
        metadata: meta::owned(cluster, Role::of(component), name),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    })
    .collect()
}
