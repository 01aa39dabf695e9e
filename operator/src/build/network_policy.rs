//! NetworkPolicies: who may open a connection to which pod. What pods open themselves is not restricted, because
//! external backends can be anywhere; only a gateway with everything in its own process has nothing to open, unless it brings spans to a collector.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::meta::{self, Role};
use crate::{
    names::{Component, label, port},
    reconcile::{ShardBackend, ValidatedCluster},
};

pub(super) fn build_network_policies(cluster: &ValidatedCluster) -> Vec<NetworkPolicy> {
    let gateways = || peer(cluster, Component::Gateway);
    let mut policies =
        vec![build_policy(cluster, Role::of(Component::Gateway), cluster.names.gateway(), gateway_rules(cluster))];
    if let Some(tier) = cluster.gateways.expose.tier() {
        // Metrics are for whoever collects them in this Kubernetes.
        let rules = vec![rule(tier.port().1, None), rule(port::TIER_OWN, Some(vec![any_pod()]))];
        policies.push(build_policy(cluster, Role::of(Component::Balancer), cluster.names.haproxy(), rules));
    }
    if cluster.embedded().is_some() {
        // A collector can be anywhere, too, and behind a Service on another port than the spec names.
        let opens = |policy: &NetworkPolicy| {
            cluster.gateways.tracing.is_some() && policy.metadata.name == Some(cluster.names.gateway())
        };
        policies.iter_mut().filter(|policy| !opens(policy)).for_each(forbid_egress);
    } else {
        policies.push(build_policy(
            cluster,
            Role::of(Component::Migration),
            cluster.names.migration_policy(),
            Vec::new(),
        ));
        policies.push(build_policy(cluster, Role::of(Component::Mover), cluster.names.mover_policy(), Vec::new()));
    }
    if cluster.backup.is_some() {
        policies.push(build_policy(cluster, Role::of(Component::Backup), cluster.names.backup(), Vec::new()));
    }
    if cluster.broker.is_managed() {
        let rules = vec![rule(port::RABBITMQ, Some(vec![gateways()]))];
        policies.push(build_policy(cluster, Role::of(Component::Broker), cluster.names.rabbitmq(), rules));
    }
    if cluster.has_managed_redis() {
        let rules = vec![rule(port::REDIS, Some(vec![gateways()]))];
        policies.push(build_policy(cluster, Role::of(Component::Cache), cluster.names.redis(), rules));
    }
    for shard in cluster.shards() {
        if let ShardBackend::Managed(_) = shard.backend {
            let mut peers = vec![gateways(), peer(cluster, Component::Migration), peer(cluster, Component::Mover)];
            peers.extend(cluster.backup.as_ref().map(|_| peer(cluster, Component::Backup)));
            let (role, name) = (Role::shard(&shard.name), cluster.names.shard(&shard.name));
            policies.push(build_policy(cluster, role, name, vec![rule(port::POSTGRESQL, Some(peers))]));
        }
    }
    policies
}

/// Clients come from anywhere, or through the tier only, which is believed about their addresses; the operator's probe is a client. Statistics are for the operator alone, although
/// the tier's checks are on the same port: it has no token. The kubelet's probes are always let in.
fn gateway_rules(cluster: &ValidatedCluster) -> Vec<NetworkPolicyIngressRule> {
    let mut askers = vec![operator(cluster)];
    if cluster.gateways.expose.tier().is_none() {
        askers.extend(monitoring(cluster));
        return vec![rule(port::GATEWAY_HTTP, None), rule(port::GATEWAY_ADMIN, Some(askers))];
    }
    let tier = || peer(cluster, Component::Balancer);
    askers.push(tier());
    askers.extend(monitoring(cluster));
    vec![
        rule(port::GATEWAY_HTTP, Some(vec![operator(cluster), tier()])),
        rule(port::GATEWAY_ADMIN, Some(askers)),
        rule(port::GATEWAY_AGENT, Some(vec![tier()])),
    ]
}

fn build_policy(
    cluster: &ValidatedCluster,
    role: Role<'_>,
    name: String,
    ingress: Vec<NetworkPolicyIngressRule>,
) -> NetworkPolicy {
    NetworkPolicy {
        metadata: meta::owned(cluster, role, name),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(meta::selector(&cluster.key.name, role)),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(ingress).filter(|rules| !rules.is_empty()),
            egress: None,
        }),
    }
}

/// Answers to clients are not concerned: a policy is about who opens a connection.
fn forbid_egress(policy: &mut NetworkPolicy) {
    if let Some(spec) = &mut policy.spec {
        spec.policy_types.get_or_insert_default().push("Egress".to_owned());
    }
}

fn rule(number: i32, from: Option<Vec<NetworkPolicyPeer>>) -> NetworkPolicyIngressRule {
    let port = NetworkPolicyPort {
        port: Some(IntOrString::Int(number)),
        protocol: Some("TCP".to_owned()),
        ..NetworkPolicyPort::default()
    };
    NetworkPolicyIngressRule { ports: Some(vec![port]), from }
}

fn peer(cluster: &ValidatedCluster, component: Component) -> NetworkPolicyPeer {
    let selector = meta::selector(&cluster.key.name, Role::of(component));
    NetworkPolicyPeer { pod_selector: Some(selector), ..NetworkPolicyPeer::default() }
}

/// Any pod of any namespace.
fn any_pod() -> NetworkPolicyPeer {
    NetworkPolicyPeer { namespace_selector: Some(LabelSelector::default()), ..NetworkPolicyPeer::default() }
}

/// Pods of the namespace that collects metrics, where there is one. Of what is on the port only metrics and probes need no token.
fn monitoring(cluster: &ValidatedCluster) -> Option<NetworkPolicyPeer> {
    let labels = Some(cluster.monitoring.clone()).filter(|labels| !labels.is_empty())?;
    let selector = LabelSelector { match_labels: Some(labels), ..LabelSelector::default() };
    Some(NetworkPolicyPeer { namespace_selector: Some(selector), ..NetworkPolicyPeer::default() })
}

fn operator(cluster: &ValidatedCluster) -> NetworkPolicyPeer {
    let matching = |key: &str, value: &str| LabelSelector {
        match_labels: Some(BTreeMap::from([(key.to_owned(), value.to_owned())])),
        ..LabelSelector::default()
    };
    NetworkPolicyPeer {
        namespace_selector: Some(matching("kubernetes.io/metadata.name", &cluster.operator_namespace)),
        pod_selector: Some(matching(label::NAME, "chat-operator")),
        ip_block: None,
    }
}
