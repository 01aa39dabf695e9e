//! The migration: a Job that brings every shard to the schema of the gateway image before gateways of it start.

use k8s_openapi::api::{
    batch::v1::{Job, JobSpec},
    core::v1::{ConfigMap, Container, PodSpec, PodTemplateSpec},
};

use super::{
    BuildError,
    gateway_config::{self, Reader},
    meta::{self, Role},
    pod,
    secret_mounts::Mounts,
};
use crate::{
    hash::Hasher,
    names::{Component, path},
    reconcile::{ShardBackend, ValidatedCluster},
};

/// Tries before the Job counts as failed. Each waits up to two minutes for the shards and the pauses between them
/// grow to six minutes, so this bridges about an hour without a database.
const TRIES: i32 = 10;
/// Hexadecimal digits of the hash in the Job's name.
const HASH_DIGITS: usize = 10;

const ROLE: Role<'_> = Role::of(Component::Migration);

/// The Job and its configuration.
#[derive(Debug)]
pub(super) struct Migration {
    pub(super) name: String,
    pub(super) config_map: ConfigMap,
    pub(super) job: Job,
}

/// Names the work: image, shards, slots, and the credentials through which the shards are reached.
pub(super) fn hash(cluster: &ValidatedCluster) -> Result<String, BuildError> {
    let config = gateway_config::render(cluster, Reader::Migration)?;
    // Of the configuration only what the migration uses: a changed limit must not run it again.
    let database: serde_json::Value = serde_json::from_str(&config)?;
    let mut hasher = Hasher::new().text(&cluster.images.gateway).text(&database["database"].to_string());
    for shard in cluster.shards() {
        hasher = match &shard.backend {
            ShardBackend::Managed(managed) => {
                let credentials = &managed.credentials;
                hasher.text(credentials.uri.expose()).text(credentials.migration_uri.expose())
            }
            ShardBackend::External { contents: [uri, migration_uri], .. } => {
                hasher.text(uri.expose()).text(migration_uri.expose())
            }
        };
    }
    let mut hash = hasher.finish();
    hash.truncate(HASH_DIGITS);
    Ok(hash)
}

/// The Job and the ConfigMap with its configuration, both named by the hash, so that neither ever changes.
pub(super) fn build_migration(cluster: &ValidatedCluster) -> Result<Migration, BuildError> {
    let name = cluster.names.migration(&hash(cluster)?);
    let json = gateway_config::render(cluster, Reader::Migration)?;
    Ok(Migration {
        config_map: gateway_config::build_config_map(cluster, ROLE, name.clone(), json),
        job: build_job(cluster, &name),
        name,
    })
}

fn build_job(cluster: &ValidatedCluster, name: &str) -> Job {
    let Mounts { volumes, mounts } = Mounts::config(name.to_owned()).shards(cluster);
    let container = Container {
        name: "migrate".to_owned(),
        image: Some(cluster.images.gateway.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        args: Some(vec![
            "migrate".to_owned(),
            "--config".to_owned(),
            format!("{}/{}", path::CONFIG_DIR, path::CONFIG_FILE),
        ]),
        env: Some(vec![pod::env_field("POD_NAME", "metadata.name"), pod::env("RUST_LOG", "info")]),
        resources: Some(pod::resources("50m", "32Mi", "256Mi")),
        security_context: Some(pod::restricted_container()),
        volume_mounts: Some(mounts),
        ..Container::default()
    };
    let spec = PodSpec {
        restart_policy: Some("Never".to_owned()),
        service_account_name: Some(cluster.names.gateway()),
        ..pod::restricted_pod(vec![container], volumes)
    };
    Job {
        metadata: meta::owned(cluster, ROLE, name.to_owned()),
        spec: Some(JobSpec {
            backoff_limit: Some(TRIES),
            // No time to live: the completed Job is the record that the migration was done.
            template: PodTemplateSpec { metadata: Some(meta::template(cluster, ROLE)), spec: Some(spec) },
            ..JobSpec::default()
        }),
        status: None,
    }
}
