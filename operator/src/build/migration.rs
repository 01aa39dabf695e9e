//! The migration: a Job that brings every shard to the schema of the gateway image before gateways of it start.

use k8s_openapi::api::{batch::v1::Job, core::v1::ConfigMap};

use super::{
    BuildError,
    gateway_config::{self, Reader},
    job::{Work, build_job},
    meta::Role,
};
use crate::{
    hash::Hasher,
    names::{Component, path},
    reconcile::{ShardBackend, ValidatedCluster},
};

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
                let hasher = hasher.text(&credentials.logins()).text(credentials.owner());
                // The Job reads another key then: an operator that knows of none has one of its own.
                if credentials.is_rotated() { hasher.text(&credentials.uri_key()) } else { hasher }
            }
            ShardBackend::External { contents: [uri, migration_uri], .. } => {
                hasher.text(uri.expose()).text(migration_uri.expose())
            }
            ShardBackend::Engine(engine) => {
                let [uri, migration_uri] = &engine.places;
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
    let config_file = format!("{}/{}", path::CONFIG_DIR, path::CONFIG_FILE);
    let work = Work {
        container: "migrate",
        arguments: vec!["migrate".to_owned(), "--config".to_owned(), config_file],
        config: name.clone(),
        memory: ("32Mi", "256Mi"),
        // No time to live: the completed Job is the record that the migration was done.
        kept_seconds: None,
        ..Work::default()
    };
    Ok(Migration {
        config_map: gateway_config::build_config_map(cluster, ROLE, name.clone(), json),
        job: build_job(cluster, ROLE, name.clone(), work),
        name,
    })
}
