//! One PodDisruptionBudget a tier: a node drain takes one pod at a time, and broken pods never block it, nor gateways that are not ready since they only
//! turn new clients away.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::meta::{self, Role};
use crate::{
    names::Component,
    reconcile::{ShardBackend, ValidatedCluster},
};

pub(super) fn build_pod_disruption_budgets(cluster: &ValidatedCluster) -> Vec<PodDisruptionBudget> {
    let mut gateways = build_budget(cluster, Role::of(Component::Gateway), cluster.names.gateway());
    if let Some(spec) = &mut gateways.spec {
        spec.max_unavailable = Some(IntOrString::Int(cluster.gateways.closed.saturating_add(1)));
    }
    let mut budgets = vec![gateways];
    if cluster.gateways.expose.tier().is_some() {
        budgets.push(build_budget(cluster, Role::of(Component::Balancer), cluster.names.haproxy()));
    }
    if cluster.broker.is_managed() {
        budgets.push(build_budget(cluster, Role::of(Component::Broker), cluster.names.rabbitmq()));
    }
    if cluster.has_managed_redis() {
        budgets.push(build_budget(cluster, Role::of(Component::Cache), cluster.names.redis()));
    }
    for shard in cluster.shards() {
        if let ShardBackend::Managed(_) = shard.backend {
            budgets.push(build_budget(cluster, Role::shard(&shard.name), cluster.names.shard(&shard.name)));
        }
    }
    budgets
}

fn build_budget(cluster: &ValidatedCluster, role: Role<'_>, name: String) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: meta::owned(cluster, role, name),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(meta::selector(&cluster.key.name, role)),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}
