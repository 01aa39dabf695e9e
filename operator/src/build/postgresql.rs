//! A managed shard: one PostgreSQL server with its own volume.

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Container, PersistentVolumeClaim},
};
use kube::api::ObjectMeta;

use super::{
    backup,
    gateway::container_port,
    meta::{self, Role},
    persistent_volume_claim::claim_spec,
    pod::{self, Pace, mount, mount_read_only, scratch_volume, secret_volume},
    stateful_set::{Backend, build_stateful_set},
};
use crate::{
    names::{key, port},
    reconcile::{ManagedShard, Shard, ShardBackend, ValidatedCluster},
};

const SECRETS: &str = "/etc/chatcluster/secrets/postgresql";
const DATA: &str = "/var/lib/postgresql/data";
/// Memory limit of the defaults, in bytes, should a user's requests name none.
const DEFAULT_MEMORY: u64 = 512 << 20;

/// The StatefulSet, unless the shard is the user's, or is being left.
pub(super) fn build_postgresql(cluster: &ValidatedCluster, shard: &Shard) -> Option<StatefulSet> {
    let ShardBackend::Managed(managed) = &shard.backend else { return None };
    if shard.is_leaving {
        // It is held as it is: the spec tells its volume and its resources no more.
        return None;
    }
    let name = cluster.names.shard(&shard.name);
    let role = Role::shard(&shard.name);
    let container = container(cluster, managed);
    let restoring =
        managed.restore.as_ref().map(|restore| backup::restoring(cluster, &shard.name, restore, &container));
    let (init, backups) = restoring.unzip();
    let mut volumes = vec![
        // The server's socket and its temporary files.
        scratch_volume("tmp", "256Mi"),
        secret_volume("secrets", &name, &[(key::PASSWORD, key::PASSWORD)]),
    ];
    volumes.extend(backups);
    Some(build_stateful_set(
        cluster,
        Backend {
            role,
            container,
            init,
            volumes,
            claim: Some(claim(cluster, role, managed)),
            name,
            // The password is in the volume since its first start; a restart would not change it.
            restart_on: None,
            // A fast shutdown writes a checkpoint, which can take a while on a slow disk.
            grace_seconds: 60,
        },
    ))
}

fn container(cluster: &ValidatedCluster, managed: &ManagedShard) -> Container {
    let resources = managed.resources.clone().unwrap_or_else(|| pod::resources("50m", "96Mi", "512Mi"));
    let ready = ["pg_isready", "-h", "127.0.0.1", "-p", "5432"];
    Container {
        name: "postgresql".to_owned(),
        image: Some(cluster.images.postgresql.clone()),
        args: Some(arguments(pod::memory_bytes(&resources, DEFAULT_MEMORY))),
        env: Some(vec![
            pod::env("POSTGRES_PASSWORD_FILE", format!("{SECRETS}/{}", key::PASSWORD)),
            pod::env("PGDATA", format!("{DATA}/pgdata")),
        ]),
        ports: Some(vec![container_port("postgresql", port::POSTGRESQL)]),
        resources: Some(resources),
        // Recovery after a crash replays the log, which may take minutes: be patient before calling it dead.
        startup_probe: Some(pod::exec_probe(&ready, Pace { period: 2, failures: 300 })),
        // A process for each: gateways tell sooner than these of one that stands still.
        readiness_probe: Some(pod::exec_probe(&ready, Pace { period: 5, failures: 2 })),
        liveness_probe: Some(pod::exec_probe(&ready, Pace { period: 30, failures: 2 })),
        volume_mounts: Some(vec![mount("data", DATA), mount("tmp", "/tmp"), mount_read_only("secrets", SECRETS)]),
        ..Container::default()
    }
}

/// Settings of the server. An acknowledged message must survive a crash, so the log is synchronous.
fn arguments(memory: u64) -> Vec<String> {
    // The usual quarter of the memory; the page cache does the rest.
    let shared_buffers = (memory >> 20) / 4;
    [
        // 20 gateways with a pool of 8 each, the movers and a person with psql.
        "max_connections=200",
        &format!("shared_buffers={shared_buffers}MB"),
        "synchronous_commit=on",
        "fsync=on",
        // Checkpoints are spread out, and the log stays far below the smallest volume.
        "max_wal_size=512MB",
        "min_wal_size=80MB",
        "checkpoint_completion_target=0.9",
        "wal_compression=on",
        // Shards move by logical replication later; changing this would need a restart.
        "wal_level=logical",
        // A transaction that a killed gateway left open must not hold its locks for long.
        "idle_in_transaction_session_timeout=30s",
        "tcp_keepalives_idle=15",
        "tcp_keepalives_interval=5",
        "tcp_keepalives_count=3",
        "password_encryption=scram-sha-256",
    ]
    .iter()
    .flat_map(|setting| ["-c".to_owned(), (*setting).to_owned()])
    .collect()
}

fn claim(cluster: &ValidatedCluster, role: Role<'_>, managed: &ManagedShard) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some("data".to_owned()),
            // Without the version: claim templates are immutable, and the version changes with the operator.
            labels: Some(meta::lasting_labels(&cluster.key.name, role)),
            ..ObjectMeta::default()
        },
        spec: Some(claim_spec(&managed.volume)),
        status: None,
    }
}
