//! Movers: Jobs that bring slots from one shard to another, give such moves up, or delete what is left of them.

use k8s_openapi::api::batch::v1::Job;

use super::{
    job::{Work, build_job},
    meta::Role,
};
use crate::{
    hash::Hasher,
    names::{Component, label, path},
    rebalance::{Task, Wanted},
    reconcile::ValidatedCluster,
};

/// A Job that cleaned up is made again for the same slots after so many seconds, should that be needed.
const CLEANED_FOR: i32 = 3_600;
/// Seconds for the transaction under way when a mover is stopped.
const GRACE_SECONDS: i64 = 10;
/// Hexadecimal digits of the hash in the Job's name.
const HASH_DIGITS: usize = 10;

const ROLE: Role<'_> = Role::of(Component::Mover);

/// The Job's name: a hash of what it does, with what configuration.
pub(super) fn name(cluster: &ValidatedCluster, wanted: &Wanted, migration: &str) -> String {
    let rate = cluster.fleet.bytes_per_second.map(|rate| rate.to_string());
    let Wanted { rebalance, uid, task, from, to, slots } = wanted;
    let standbys = format!("{} {}", standbys_of(cluster, from), standbys_of(cluster, to));
    let rate = rate.as_deref().unwrap_or_default();
    let mut hash = [rebalance, uid, word(*task), from, to, slots, migration, rate, &standbys]
        .into_iter()
        .fold(Hasher::new(), Hasher::text)
        .finish();
    hash.truncate(HASH_DIGITS);
    cluster.names.mover(&hash)
}

const fn word(task: Task) -> &'static str {
    match task {
        Task::Move => "move",
        Task::Abort => "abort",
        Task::Clean => "clean",
    }
}

/// The Job. Its configuration is that of the migration, which has brought both shards to this image's schema.
pub(super) fn build_mover(cluster: &ValidatedCluster, wanted: &Wanted, migration: &str) -> Job {
    let moves = !wanted.rebalance.is_empty() && wanted.task == Task::Move;
    let work = Work {
        container: "move",
        arguments: arguments(cluster, wanted),
        config: migration.to_owned(),
        memory: ("64Mi", "512Mi"),
        grace_seconds: Some(GRACE_SECONDS),
        kept_seconds: (wanted.task == Task::Clean).then_some(CLEANED_FOR),
        labels: moves.then(|| (label::REBALANCE.to_owned(), wanted.rebalance.clone())).into_iter().collect(),
    };
    build_job(cluster, ROLE, name(cluster, wanted, migration), work)
}

fn standbys_of(cluster: &ValidatedCluster, shard: &str) -> u32 {
    cluster.shards().iter().find(|known| known.name == shard).map_or(0, |known| known.standbys)
}

fn arguments(cluster: &ValidatedCluster, wanted: &Wanted) -> Vec<String> {
    let config = format!("{}/{}", path::CONFIG_DIR, path::CONFIG_FILE);
    let rate = cluster.fleet.bytes_per_second.filter(|_| wanted.task == Task::Move);
    let mut arguments = vec!["move", "--json", "--config", &config, "--from", &wanted.from, "--to", &wanted.to];
    arguments.extend(["--slots", &wanted.slots]);
    match wanted.task {
        Task::Move => {}
        Task::Abort => arguments.push("--abort"),
        Task::Clean => arguments.push("--clean"),
    }
    let rate = rate.into_iter().flat_map(|rate| ["--bytes-per-second".to_owned(), rate.to_string()]);
    let standbys = [("--source-standbys", &wanted.from), ("--destination-standbys", &wanted.to)];
    let standbys = standbys.into_iter().filter_map(|(argument, shard)| {
        let number = standbys_of(cluster, shard);
        (number > 0).then(|| [argument.to_owned(), number.to_string()])
    });
    arguments.into_iter().map(str::to_owned).chain(rate).chain(standbys.flatten()).collect()
}
