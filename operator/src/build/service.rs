//! Services: one in front of the gateways, a headless one for each managed backend.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::meta::{self, Role};
use crate::{
    names::{Component, port},
    reconcile::{ShardBackend, ValidatedCluster},
};

pub(super) fn build_services(cluster: &ValidatedCluster) -> Vec<Service> {
    let mut services = vec![build_gateway_service(cluster)];
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
    let role = Role::of(Component::Gateway);
    Service {
        metadata: meta::owned(cluster, role, cluster.names.gateway()),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(meta::selector_labels(&cluster.key.name, role)),
            ports: Some(vec![ServicePort {
                app_protocol: Some("kubernetes.io/ws".to_owned()),
                target_port: Some(IntOrString::String("http".to_owned())),
                ..service_port("http", port::GATEWAY_SERVICE)
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
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
