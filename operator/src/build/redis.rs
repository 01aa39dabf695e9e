//! Managed Redis: rate limits and presence, nothing that must outlive it, so it writes nothing to disk.

use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Container};

use super::{
    gateway::container_port,
    meta::Role,
    pod::{self, Pace, mount, mount_read_only, scratch_volume, secret_volume},
    stateful_set::{Backend, build_stateful_set},
};
use crate::{
    names::{Component, key, port},
    reconcile::{Redis, ValidatedCluster},
};

const SECRETS: &str = "/etc/chatcluster/secrets/redis";
/// Memory limit of the defaults, in bytes, should a user's requests name none.
const DEFAULT_MEMORY: u64 = 256 << 20;

/// Variable by which the image is told to take changed passwords while it runs: every so many seconds it looks at their files.
pub(crate) const REDIS_FOLLOW: &str = "REDIS_FOLLOW_SECONDS";

/// The StatefulSet, unless Redis is the user's.
pub(super) fn build_redis(cluster: &ValidatedCluster) -> Option<StatefulSet> {
    let Some(Redis::Managed { credentials, resources }) = &cluster.redis else { return None };
    let resources = resources.clone().unwrap_or_else(|| pod::resources("50m", "32Mi", "256Mi"));
    // A quarter is left for buffers of clients and for fragmentation.
    let memory = pod::memory_bytes(&resources, DEFAULT_MEMORY) / 4 * 3;
    let memory = memory.to_string();
    let arguments = ["--save", "", "--appendonly", "no", "--maxmemory", &memory, "--maxmemory-policy", "volatile-ttl"];
    let name = cluster.names.redis();
    let container = Container {
        name: "redis".to_owned(),
        image: Some(cluster.images.redis.clone()),
        args: Some(arguments.map(str::to_owned).into()),
        env: Some(vec![
            pod::env("REDIS_PASSWORD_FILE", format!("{SECRETS}/{}", key::PASSWORD)),
            pod::env(REDIS_FOLLOW, pod::LOOK),
        ]),
        ports: Some(vec![container_port("redis", port::REDIS)]),
        resources: Some(resources),
        startup_probe: Some(pod::tcp_probe(port::REDIS, Pace { period: 1, failures: 60 })),
        readiness_probe: Some(pod::tcp_probe(port::REDIS, Pace { period: 3, failures: 2 })),
        liveness_probe: Some(pod::tcp_probe(port::REDIS, Pace { period: 15, failures: 4 })),
        volume_mounts: Some(vec![mount("data", "/data"), mount("tmp", "/tmp"), mount_read_only("secrets", SECRETS)]),
        ..Container::default()
    };
    Some(build_stateful_set(
        cluster,
        Backend {
            role: Role::of(Component::Cache),
            volumes: vec![
                scratch_volume("data", "64Mi"),
                scratch_volume("tmp", "64Mi"),
                secret_volume("secrets", &name, &[(key::PASSWORD, key::PASSWORD)]),
            ],
            name,
            container,
            init: None,
            claim: None,
            restart_on: Some(credentials.made_with()),
            grace_seconds: 10,
        },
    ))
}
