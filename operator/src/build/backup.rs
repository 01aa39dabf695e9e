//! Backups of managed shards: a CronJob that dumps them onto a volume, and the init container that fills a new shard's volume from such a dump.

use k8s_openapi::api::{
    batch::v1::{CronJob, CronJobSpec, JobSpec, JobTemplateSpec},
    core::v1::{Container, PersistentVolumeClaimVolumeSource, PodSpec, PodTemplateSpec, Volume, VolumeMount},
};

use super::{
    meta::{self, Role},
    pod::{self, mount, mount_read_only, scratch_volume, secret_volume},
};
use crate::{
    names::{Component, key, path},
    reconcile::{Backup, Restore, ShardBackend, ValidatedCluster},
};

const BACKUP: &str = include_str!("scripts/backup.sh");
const RESTORE: &str = include_str!("scripts/restore.sh");
/// Where both see the volume.
const BACKUPS: &str = "/backups";
const VOLUME: &str = "backups";

/// A backup that was to begin so many seconds ago is left out: the next one comes.
const STARTING_DEADLINE: i64 = 3_600;
/// Seconds after which a backup counts as failed.
const ACTIVE_DEADLINE: i64 = 6 * 3_600;
const TRIES: i32 = 2;

/// The CronJob, where the spec wants backups.
pub(super) fn build_backup(cluster: &ValidatedCluster) -> Option<CronJob> {
    let backup = cluster.backup.as_ref()?;
    let role = Role::of(Component::Backup);
    let pod = PodSpec { restart_policy: Some("Never".to_owned()), ..pod_spec(cluster, backup) };
    Some(CronJob {
        metadata: meta::owned(cluster, role, cluster.names.backup()),
        spec: Some(CronJobSpec {
            schedule: backup.cron.clone(),
            time_zone: Some(backup.time_zone.clone()),
            concurrency_policy: Some("Forbid".to_owned()),
            starting_deadline_seconds: Some(STARTING_DEADLINE),
            successful_jobs_history_limit: Some(1),
            failed_jobs_history_limit: Some(1),
            job_template: JobTemplateSpec {
                // Without labels: these Jobs are the CronJob's, and no children of the ChatCluster.
                metadata: None,
                spec: Some(JobSpec {
                    backoff_limit: Some(TRIES),
                    active_deadline_seconds: Some(ACTIVE_DEADLINE),
                    template: PodTemplateSpec { metadata: Some(meta::template(cluster, role)), spec: Some(pod) },
                    ..JobSpec::default()
                }),
            },
            ..CronJobSpec::default()
        }),
        status: None,
    })
}

fn pod_spec(cluster: &ValidatedCluster, backup: &Backup) -> PodSpec {
    // Those that are being left have slots yet.
    let managed = cluster.shards().iter().filter(|shard| !cluster.fleet.released.contains(&shard.name));
    let managed = managed.filter(|shard| matches!(shard.backend, ShardBackend::Managed(_)));
    let names: Vec<&str> = managed.map(|shard| shard.name.as_str()).collect();
    let (mut volumes, mut mounts) = (
        vec![claim(&backup.claim, false), scratch_volume("tmp", "64Mi")],
        vec![mount(VOLUME, BACKUPS), mount("tmp", "/tmp")],
    );
    for name in &names {
        let folder = format!("shard-{name}");
        volumes.push(secret_volume(&folder, &cluster.names.shard(name), &[(key::PASSWORD, key::PASSWORD)]));
        mounts.push(mount_read_only(&folder, format!("{}/{folder}", path::SECRETS_DIR)));
    }
    let container = Container {
        name: "backup".to_owned(),
        env: Some(vec![
            pod::env("CLUSTER", cluster.names.cluster()),
            pod::env("NAMESPACE", &cluster.key.namespace),
            pod::env("SHARDS", names.join(" ")),
            pod::env("KEEP", backup.keep.to_string()),
        ]),
        resources: Some(pod::resources("50m", "64Mi", "512Mi")),
        ..script(cluster, BACKUP, mounts)
    };
    pod::restricted_pod(vec![container], volumes)
}

/// What a shard's pod has besides, to begin with a backup.
pub(super) fn restoring(
    cluster: &ValidatedCluster,
    shard: &str,
    restore: &Restore,
    server: &Container,
) -> (Container, Volume) {
    let mut mounts = server.volume_mounts.clone().unwrap_or_default();
    mounts.push(mount_read_only(VOLUME, BACKUPS));
    let mut env = server.env.clone().unwrap_or_default();
    env.extend([
        pod::env("BACKUP", &restore.backup),
        pod::env("SHARD", shard),
        pod::env("IDENTITY", cluster.key.to_string()),
    ]);
    let container = Container {
        name: "restore".to_owned(),
        env: Some(env),
        resources: server.resources.clone(),
        ..script(cluster, RESTORE, mounts)
    };
    (container, claim(&restore.claim, true))
}

fn script(cluster: &ValidatedCluster, script: &str, mounts: Vec<VolumeMount>) -> Container {
    Container {
        image: Some(cluster.images.postgresql.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()]),
        security_context: Some(pod::restricted_container()),
        // The end of the log is what the pod's status says of a failure.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

fn claim(name: &str, read_only: bool) -> Volume {
    let source =
        PersistentVolumeClaimVolumeSource { claim_name: name.to_owned(), read_only: read_only.then_some(true) };
    Volume { name: VOLUME.to_owned(), persistent_volume_claim: Some(source), ..Volume::default() }
}
