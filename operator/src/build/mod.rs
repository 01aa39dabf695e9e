//! The pure middle: a [`ValidatedCluster`] becomes the objects that should exist. No client, no clock, no chance.

mod adopting;
mod backup;
mod gateway;
mod gateway_config;
mod haproxy;
mod haproxy_config;
mod http_route;
mod ingress;
mod job;
mod meta;
mod migration;
mod mover;
mod network_policy;
mod persistent_volume_claim;
mod pod;
mod pod_disruption_budget;
mod postgresql;
mod rabbitmq;
mod redis;
mod resources;
mod secret;
mod secret_mounts;
mod service;
mod service_account;
mod stateful_set;

pub use self::{
    adopting::{Keepsake, Workload, keep, workloads},
    meta::gateway_selector,
    resources::{Child, ChildId, Kind, Prepared, Resources},
};
pub(crate) use self::{rabbitmq::RABBITMQ_FOLLOW, redis::REDIS_FOLLOW};
use crate::{rebalance::Wanted, reconcile::ValidatedCluster};

/// The gateway's configuration could not be written as JSON.
#[derive(Debug, thiserror::Error)]
#[error("failed to write the gateway's configuration")]
pub struct BuildError(#[from] serde_json::Error);

/// Everything that should exist for `cluster`.
///
/// The ConfigMap and the Deployment of the gateways' revision are built only after the migration that they need has completed; until then
/// they are [held](Resources::held): what runs keeps running, untouched. An embedded database needs none: its gateway
/// brings it up to date itself.
///
/// # Errors
/// When the configuration cannot be serialised, which no valid cluster leads to.
pub fn build(cluster: &ValidatedCluster) -> Result<Resources<Prepared>, BuildError> {
    let migration = cluster.embedded().is_none().then(|| migration::build_migration(cluster)).transpose()?;
    let needed = migration.as_ref().map(|migration| migration.name.clone());
    let migrated = needed.as_ref().is_none_or(|name| cluster.completed_migrations.contains(name));
    let (gateway_config, deployment) = gateway_config::build_gateway_config(cluster)?;
    let live_config = gateway_config::build_live_config(cluster)?;
    let mut resources = Resources {
        service_accounts: service_account::build_service_accounts(cluster),
        secrets: secret::build_secrets(cluster),
        config_maps: Vec::new(),
        persistent_volume_claims: persistent_volume_claim::build_data_claim(cluster).into_iter().collect(),
        services: service::build_services(cluster),
        network_policies: network_policy::build_network_policies(cluster),
        pod_disruption_budgets: pod_disruption_budget::build_pod_disruption_budgets(cluster),
        stateful_sets: build_stateful_sets(cluster),
        jobs: Vec::new(),
        cron_jobs: backup::build_backup(cluster).into_iter().collect(),
        deployments: Vec::new(),
        ingresses: ingress::build_ingress(cluster).into_iter().collect(),
        http_routes: http_route::build_http_route(cluster).into_iter().collect(),
        held: std::collections::BTreeSet::new(),
        stage: Prepared,
    };
    if let Some(migration) = migration {
        resources.config_maps.push(migration.config_map);
        resources.jobs.push(migration.job);
    }
    if let Some((config, deployment)) = haproxy::build_haproxy(cluster) {
        resources.config_maps.push(config);
        resources.deployments.push(deployment);
    }
    if migrated {
        match &cluster.gateways.pin {
            None => resources.config_maps.push(gateway_config),
            Some(pin) => {
                resources.held.insert(ChildId::new(Kind::ConfigMap, &pin.name));
            }
        }
        resources.deployments.push(deployment);
    } else {
        // The way back must stay open: when the spec returns to what ran before, its migration is known to be done.
        for name in &cluster.completed_migrations {
            resources.held.insert(ChildId::new(Kind::Job, name));
            resources.held.insert(ChildId::new(Kind::ConfigMap, name));
        }
    }
    // A mover wants both shards at the schema of its image.
    if let Some(migration) = needed.as_ref().filter(|_| migrated) {
        resources.jobs.extend(cluster.fleet.movers.iter().map(|wanted| mover::build_mover(cluster, wanted, migration)));
    }
    resources.held.extend(cluster.fleet.tidiers.iter().map(|name| ChildId::new(Kind::Job, name)));
    hold_left_shards(cluster, &mut resources.held);
    // Gateways of whatever revision take it while they run, also while those of the next one wait.
    resources.config_maps.push(live_config);
    for name in &cluster.gateways.kept {
        resources.held.extend([Kind::ConfigMap, Kind::Deployment].map(|kind| ChildId::new(kind, name)));
    }
    Ok(resources)
}

/// What the spec tells no more of shards that are being left stays as it is, and all of it until gateways have let go.
fn hold_left_shards(cluster: &ValidatedCluster, held: &mut std::collections::BTreeSet<ChildId>) {
    let leaving = cluster.shards().iter().filter(|shard| shard.is_leaving);
    held.extend(leaving.map(|shard| ChildId::new(Kind::StatefulSet, &cluster.names.shard(&shard.name))));
    let released = cluster.fleet.released.iter().map(|name| cluster.names.shard(name));
    held.extend(released.flat_map(|name| Kind::ALL.map(|kind| ChildId::new(kind, &name))));
}

/// Name of the Job of a mover of `cluster`, whose migration is the Job `migration`.
#[must_use]
pub fn mover_name(cluster: &ValidatedCluster, wanted: &Wanted, migration: &str) -> String {
    mover::name(cluster, wanted, migration)
}

/// Name of the Deployment that the gateways of `cluster` lead to.
///
/// # Errors
/// When the configuration cannot be serialised, which no valid cluster leads to.
pub fn deployment_name(cluster: &ValidatedCluster) -> Result<String, BuildError> {
    let (_, deployment) = gateway_config::build_gateway_config(cluster)?;
    Ok(deployment.metadata.name.unwrap_or_default())
}

/// Names the configuration of the gateways of `cluster` without what they follow while they run.
///
/// # Errors
/// When the configuration cannot be serialised, which no valid cluster leads to.
pub fn lasting_hash(cluster: &ValidatedCluster) -> Result<String, BuildError> {
    gateway_config::lasting_hash(cluster)
}

/// Names the broker that gateways of `cluster` reach each other by: equal hashes are the same broker.
///
/// # Errors
/// When the configuration cannot be serialised, which no valid cluster leads to.
pub fn broker_hash(cluster: &ValidatedCluster) -> Result<String, BuildError> {
    gateway_config::broker_hash(cluster)
}

/// What gateways of `cluster` are to take while they run, as the file has it.
///
/// # Errors
/// When the configuration cannot be serialised, which no valid cluster leads to.
pub fn live_config(cluster: &ValidatedCluster) -> Result<String, BuildError> {
    gateway_config::render_live(cluster)
}

/// Whether the migration that the gateways of `cluster` need has completed.
///
/// # Errors
/// When the configuration cannot be serialised, which no valid cluster leads to.
pub fn is_migrated(cluster: &ValidatedCluster) -> Result<bool, BuildError> {
    let needed = migration_name(cluster)?;
    Ok(needed.is_none_or(|name| cluster.completed_migrations.contains(&name)))
}

/// Name of the migration Job that the gateways of `cluster` wait for; `None` with an embedded database.
///
/// # Errors
/// When the configuration cannot be serialised, which no valid cluster leads to.
pub fn migration_name(cluster: &ValidatedCluster) -> Result<Option<String>, BuildError> {
    if cluster.embedded().is_some() {
        return Ok(None);
    }
    Ok(Some(cluster.names.migration(&migration::hash(cluster)?)))
}

fn build_stateful_sets(cluster: &ValidatedCluster) -> Vec<k8s_openapi::api::apps::v1::StatefulSet> {
    let mut sets = Vec::new();
    sets.extend(rabbitmq::build_rabbitmq(cluster));
    sets.extend(redis::build_redis(cluster));
    sets.extend(cluster.shards().iter().filter_map(|shard| postgresql::build_postgresql(cluster, shard)));
    sets
}
