//! Secrets that the operator keeps. Their values come with the validated cluster: those that existed, or new ones.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::api::ObjectMeta;

use super::meta::{self, Role};
use crate::{
    names::{Component, key},
    reconcile::{Broker, DeletionPolicy, KafkaServers, Redis, ShardBackend, SigningKey, ValidatedCluster},
    sensitive::Sensitive,
};

pub(super) fn build_secrets(cluster: &ValidatedCluster) -> Vec<Secret> {
    let names = &cluster.names;
    let owned = |component, name| meta::owned(cluster, Role::of(component), name);
    let mut secrets = vec![admin_tokens(cluster)];
    if let SigningKey::Generated(pem) = &cluster.signing_key {
        secrets.push(build_secret(owned(Component::Gateway, names.signing_key()), &[(key::SIGNING_KEY, pem)]));
    }
    if let Broker::Managed { credentials, .. } = &cluster.broker {
        let values = [
            (key::USERNAME, &credentials.username),
            (key::PASSWORD, &credentials.password),
            (key::URI, &credentials.uri),
        ];
        let metadata = noted(owned(Component::Broker, names.rabbitmq()), &credentials.annotations);
        secrets.push(build_secret(metadata, &values));
    }
    if let Broker::Engine(engine) = &cluster.broker {
        let values = std::iter::once((key::URI, &engine.uri)).chain(engine.ca.iter().map(|ca| (key::CA, ca)));
        let values: Vec<(&str, &Sensitive)> = values.collect();
        secrets.push(build_secret(owned(Component::Broker, names.broker()), &values));
    }
    if let Broker::Kafka(kafka) = &cluster.broker
        && let KafkaServers::Engine(engine) = &kafka.servers
    {
        let values: Vec<(&str, &Sensitive)> = engine.values.iter().map(|(key, value)| (*key, value)).collect();
        secrets.push(build_secret(owned(Component::Broker, names.kafka()), &values));
    }
    if let Some(Redis::Managed { credentials, .. }) = &cluster.redis {
        let values = [(key::PASSWORD, &credentials.password), (key::URL, &credentials.url)];
        let metadata = noted(owned(Component::Cache, names.redis()), &credentials.annotations);
        secrets.push(build_secret(metadata, &values));
    }
    if cluster.embedded().is_none() {
        secrets.push(gateway_shards(cluster));
    }
    for shard in cluster.shards() {
        match &shard.backend {
            ShardBackend::Managed(managed) => {
                let credentials = &managed.credentials;
                let uri_key = credentials.uri_key();
                let mut values = vec![
                    (key::PASSWORD, &credentials.password),
                    (key::GATEWAY_PASSWORD, &credentials.gateway_password),
                    (key::URI, &credentials.uri),
                    (key::MIGRATION_URI, &credentials.migration_uri),
                ];
                if credentials.is_rotated() {
                    values.push((&uri_key, &credentials.uri));
                }
                let metadata = noted(shard_metadata(cluster, &shard.name), &credentials.annotations);
                secrets.push(build_secret(metadata, &values));
            }
            // It opens nothing that its engine's own Secrets would not open, so nothing is lost with it.
            ShardBackend::Engine(engine) => {
                let values = [(key::URI, &engine.uri), (key::MIGRATION_URI, &engine.migration_uri)];
                let metadata = meta::owned(cluster, Role::shard(&shard.name), names.shard(&shard.name));
                secrets.push(build_secret(metadata, &values));
            }
            ShardBackend::External { .. } => {}
        }
    }
    secrets
}

/// The tokens of the admin port, and how far their rotation is: one write brings both.
fn admin_tokens(cluster: &ValidatedCluster) -> Secret {
    let kept = &cluster.admin_tokens;
    let metadata = meta::owned(cluster, Role::of(Component::Gateway), cluster.names.admin_token());
    build_secret(noted(metadata, &kept.annotations), &[(key::TOKEN, &kept.content)])
}

/// With what is noted of a rotation.
fn noted(mut metadata: ObjectMeta, annotations: &BTreeMap<String, String>) -> ObjectMeta {
    if !annotations.is_empty() {
        metadata.annotations.get_or_insert_default().extend(annotations.clone());
    }
    metadata
}

/// The URIs that gateways use, in one Secret: a pod follows what is in a volume, but cannot be given another one.
fn gateway_shards(cluster: &ValidatedCluster) -> Secret {
    let served = cluster.shards().iter().filter(|shard| cluster.fleet.served.contains(&shard.name));
    let values: Vec<(&str, &Sensitive)> =
        served.map(|shard| (shard.name.as_str(), shard.backend.gateway_uri())).collect();
    build_secret(meta::owned(cluster, Role::of(Component::Gateway), cluster.names.gateway_shards()), &values)
}

/// A retained volume is worth nothing without its password, so the two stay or go together.
fn shard_metadata(cluster: &ValidatedCluster, shard: &str) -> ObjectMeta {
    let (role, name) = (Role::shard(shard), cluster.names.shard(shard));
    match cluster.deletion_policy {
        DeletionPolicy::Retain => meta::unowned(cluster, role, name),
        DeletionPolicy::Delete => meta::owned(cluster, role, name),
    }
}

fn build_secret(metadata: ObjectMeta, values: &[(&str, &Sensitive)]) -> Secret {
    let data: BTreeMap<String, ByteString> =
        values.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.expose().as_bytes().to_vec()))).collect();
    Secret { metadata, type_: Some("Opaque".to_owned()), data: Some(data), ..Secret::default() }
}
