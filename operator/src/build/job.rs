//! Jobs of the gateway's image that work on the shards: what the migration and movers have in common.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    batch::v1::{Job, JobSpec},
    core::v1::{Container, PodSpec, PodTemplateSpec},
};

use super::{
    meta::{self, Role},
    pod,
    secret_mounts::Mounts,
};
use crate::reconcile::ValidatedCluster;

/// Tries before the Job counts as failed. Each waits a minute or two for databases that are away, and the pauses between them grow to six minutes,
/// so this bridges about an hour without a database.
const TRIES: i32 = 10;

/// What a Job does.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Name of its container.
    pub(super) container: &'static str,
    /// Arguments of the program.
    pub(super) arguments: Vec<String>,
    /// The ConfigMap with its configuration.
    pub(super) config: String,
    /// Memory: the request and the limit.
    pub(super) memory: (&'static str, &'static str),
    /// Seconds between the order to stop and the end; the default of Kubernetes if absent.
    pub(super) grace_seconds: Option<i64>,
    /// Seconds for which it is there when it has ended; for ever if absent.
    pub(super) kept_seconds: Option<i32>,
    /// Labels of the Job and its pods besides the usual ones.
    pub(super) labels: BTreeMap<String, String>,
}

/// The Job called `name`.
pub(super) fn build_job(cluster: &ValidatedCluster, role: Role<'_>, name: String, work: Work) -> Job {
    let Mounts { volumes, mounts } = Mounts::config(work.config).shards(cluster);
    let (memory, limit) = work.memory;
    let container = Container {
        name: work.container.to_owned(),
        image: Some(cluster.images.gateway.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        args: Some(work.arguments),
        env: Some(vec![pod::env_field("POD_NAME", "metadata.name"), pod::env("RUST_LOG", "info")]),
        resources: Some(pod::resources("50m", memory, limit)),
        security_context: Some(pod::restricted_container()),
        volume_mounts: Some(mounts),
        ..Container::default()
    };
    let spec = PodSpec {
        restart_policy: Some("Never".to_owned()),
        service_account_name: Some(cluster.names.gateway()),
        termination_grace_period_seconds: work.grace_seconds,
        ..pod::restricted_pod(vec![container], volumes)
    };
    let mut metadata = meta::owned(cluster, role, name);
    let mut template = meta::template(cluster, role);
    for object in [&mut metadata, &mut template] {
        object.labels.get_or_insert_default().extend(work.labels.clone());
    }
    Job {
        metadata,
        spec: Some(JobSpec {
            backoff_limit: Some(TRIES),
            ttl_seconds_after_finished: work.kept_seconds,
            template: PodTemplateSpec { metadata: Some(template), spec: Some(spec) },
            ..JobSpec::default()
        }),
        status: None,
    }
}
