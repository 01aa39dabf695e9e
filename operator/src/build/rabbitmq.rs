//! Managed RabbitMQ: one node without a lasting volume. A message that the broker loses is in the store already.

use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Container};

use super::{
    gateway::container_port,
    meta::Role,
    pod::{self, Pace, mount, mount_read_only, scratch_volume, secret_volume},
    stateful_set::{Backend, build_stateful_set},
};
use crate::{
    names::{Component, key, port},
    reconcile::{Broker, ValidatedCluster},
};

const SECRETS: &str = "/etc/chatcluster/secrets/rabbitmq";
/// Memory limit of the defaults, in bytes, should a user's requests name none.
const DEFAULT_MEMORY: u64 = 512 << 20;

/// Variable by which the image is told to take changed passwords while it runs: every so many seconds it looks at their files.
pub(crate) const RABBITMQ_FOLLOW: &str = "RABBITMQ_FOLLOW_SECONDS";

/// The StatefulSet, unless the broker is the user's.
pub(super) fn build_rabbitmq(cluster: &ValidatedCluster) -> Option<StatefulSet> {
    let Broker::Managed { credentials, resources } = &cluster.broker else { return None };
    let resources = resources.clone().unwrap_or_else(|| pod::resources("50m", "192Mi", "512Mi"));
    // RabbitMQ stops publishers at the watermark; above it Erlang still needs room to page and to collect garbage.
    let watermark = pod::memory_bytes(&resources, DEFAULT_MEMORY) / 10 * 6;
    let name = cluster.names.rabbitmq();
    let container = Container {
        name: "rabbitmq".to_owned(),
        image: Some(cluster.images.rabbitmq.clone()),
        env: Some(vec![
            pod::env("RABBITMQ_DEFAULT_USER_FILE", format!("{SECRETS}/{}", key::USERNAME)),
            pod::env("RABBITMQ_DEFAULT_PASS_FILE", format!("{SECRETS}/{}", key::PASSWORD)),
            pod::env("RABBITMQ_VM_MEMORY", watermark.to_string()),
            pod::env(RABBITMQ_FOLLOW, pod::LOOK),
        ]),
        ports: Some(vec![container_port("amqp", port::RABBITMQ)]),
        resources: Some(resources),
        startup_probe: Some(pod::tcp_probe(port::RABBITMQ, Pace { period: 2, failures: 90 })),
        readiness_probe: Some(pod::tcp_probe(port::RABBITMQ, Pace { period: 3, failures: 2 })),
        liveness_probe: Some(pod::tcp_probe(port::RABBITMQ, Pace { period: 15, failures: 4 })),
        volume_mounts: Some(vec![
            mount("data", "/var/lib/rabbitmq"),
            mount("tmp", "/tmp"),
            mount_read_only("secrets", SECRETS),
        ]),
        ..Container::default()
    };
    let items = [(key::USERNAME, key::USERNAME), (key::PASSWORD, key::PASSWORD)];
    Some(build_stateful_set(
        cluster,
        Backend {
            role: Role::of(Component::Broker),
            volumes: vec![
                scratch_volume("data", "2Gi"),
                scratch_volume("tmp", "128Mi"),
                secret_volume("secrets", &name, &items),
            ],
            name,
            container,
            init: None,
            claim: None,
            restart_on: Some(credentials.made_with()),
            grace_seconds: 30,
        },
    ))
}
