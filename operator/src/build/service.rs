//! Services: one in front of the gateways, a headless one for each managed backend.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::meta::{self, Role};
use crate::{
    names::{Component, port},
    reconcile::{Expose, LoadBalancer, ShardBackend, Tier, ValidatedCluster},
};

pub(super) fn build_services(cluster: &ValidatedCluster) -> Vec<Service> {
    let mut services = vec![build_gateway_service(cluster)];
    if let Some(tier) = cluster.gateways.expose.tier() {
        services.push(build_gateway_pods(cluster));
        services.push(build_tier_service(cluster, tier));
    }
    if cluster.broker.is_managed() {
        let role = Role::of(Component::Broker);
        services.push(build_headless(cluster, role, cluster.names.rabbitmq(), ("amqp", port::RABBITMQ)));
    }
    if cluster.has_managed_redis() {
        let role = Role::of(Component::Cache);
        services.push(build_headless(cluster, role, cluster.names.redis(), ("redis", port::REDIS)));
    }
    for shard in cluster.shards() {
        if let ShardBackend::Managed(_) = shard.backend {
            let (role, name) = (Role::shard(&shard.name), cluster.names.shard(&shard.name));
            services.push(build_headless(cluster, role, name, ("postgresql", port::POSTGRESQL)));
        }
    }
    services
}

fn build_gateway_service(cluster: &ValidatedCluster) -> Service {
    let balancer = match &cluster.gateways.expose {
        Expose::LoadBalancer(balancer) => Some(balancer),
        Expose::ClusterIp | Expose::HaProxy(_) | Expose::Ingress(_) | Expose::HttpRoute(_) => None,
    };
    let port = ServicePort {
        app_protocol: Some("kubernetes.io/ws".to_owned()),
        target_port: Some(IntOrString::String("http".to_owned())),
        ..service_port("http", port::GATEWAY_SERVICE)
    };
    build_front(cluster, Role::of(Component::Gateway), cluster.names.gateway(), port, balancer)
}

fn build_tier_service(cluster: &ValidatedCluster, tier: &Tier) -> Service {
    let (name, _) = tier.port();
    let port = ServicePort {
        app_protocol: Some(
            if tier.certificate.is_some() { "kubernetes.io/wss" } else { "kubernetes.io/ws" }.to_owned(),
        ),
        target_port: Some(IntOrString::String(name.to_owned())),
        ..service_port(name, tier.service_port())
    };
    let role = Role::of(Component::Balancer);
    build_front(cluster, role, cluster.names.haproxy(), port, tier.load_balancer.as_ref())
}

/// A Service for clients, with a load balancer or without.
fn build_front(
    cluster: &ValidatedCluster,
    role: Role<'_>,
    name: String,
    port: ServicePort,
    balancer: Option<&LoadBalancer>,
) -> Service {
    let mut metadata = meta::owned(cluster, role, name);
    metadata.annotations = balancer.map(|balancer| balancer.annotations.clone()).filter(|map| !map.is_empty());
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(if balancer.is_some() { "LoadBalancer" } else { "ClusterIP" }.to_owned()),
            load_balancer_class: balancer.and_then(|balancer| balancer.class.clone()),
            selector: Some(meta::selector_labels(&cluster.key.name, role)),
            ports: Some(vec![port]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// Every gateway by its own address as long as it exists, ready or not: HAProxy checks them itself, and one that is emptied keeps its clients.
fn build_gateway_pods(cluster: &ValidatedCluster) -> Service {
    let role = Role::of(Component::Gateway);
    let mut service = build_headless(cluster, role, cluster.names.gateway_pods(), ("http", port::GATEWAY_HTTP));
    if let Some(spec) = &mut service.spec {
        spec.publish_not_ready_addresses = Some(true);
    }
    service
}

fn build_headless(
    cluster: &ValidatedCluster,
    role: Role<'_>,
    name: String,
    (port_name, number): (&str, i32),
) -> Service {
    Service {
        metadata: meta::owned(cluster, role, name),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            cluster_ip: Some("None".to_owned()),
            selector: Some(meta::selector_labels(&cluster.key.name, role)),
            ports: Some(vec![ServicePort {
                target_port: Some(IntOrString::String(port_name.to_owned())),
                ..service_port(port_name, number)
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn service_port(name: &str, number: i32) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: number,
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    }
}
