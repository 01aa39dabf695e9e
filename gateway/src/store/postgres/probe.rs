//! Looks after one shard in the background: connects, asks what it owns, notices that it is away and that it is back.

use std::{sync::Arc, time::Duration};

use sqlx::{Connection, PgConnection};
use tokio::time::Instant;

use super::{
    connect,
    directory::Directory,
    failure::{self, Cause},
    shard::Shard,
};

/// Bound of one look. Shorter than the 2 s that `health` promises.
const PROBE_TIMEOUT: Duration = Duration::from_millis(1_800);
/// Between looks at a shard that answers: how old the directory gets when nobody is refused.
const WHEN_UP: Duration = Duration::from_secs(5);
/// Between looks at a shard that answers statements and not probes.
const WHEN_BUSY: Duration = Duration::from_secs(1);
/// Between looks at a shard that is away: how soon people chat again once it is back.
const WHEN_AWAY: Duration = Duration::from_millis(250);
/// Least time between looks, and between replacements of a pool, however many requests ask for one.
const LEAST: Duration = Duration::from_millis(50);
const LEAST_REPLACE: Duration = Duration::from_secs(3);

/// Who the shard must say it is.
pub(super) struct Expected {
    pub(super) cluster: String,
    pub(super) slots: u32,
}

/// Runs until it is aborted.
pub(super) async fn run(shard: Arc<Shard>, directory: Arc<Directory>, expected: Arc<Expected>) {
    let mut connection = None;
    let mut replaced: Option<Instant> = None;
    // Whether the connections of the pool may be dead, or there are none yet.
    let mut renew = true;
    loop {
        if shard.take_suspect() && replaced.is_none_or(|at| at.elapsed() > LEAST_REPLACE) {
            (connection, renew) = (None, true);
        }
        let looking = look(&shard, &directory, &expected, (&mut connection, renew));
        let outcome = match tokio::time::timeout(PROBE_TIMEOUT, looking).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failed { cause: Cause::new("Timeout", "no answer within 1.8 s"), may_be_busy: true }),
        };
        if outcome.as_ref().is_err_and(|failed| failed.may_be_busy) && shard.answers() {
            // To call it away would turn everybody away who is still served, and their return would be more work.
            connection = None;
            shard.probed_in_vain();
            tokio::time::sleep(WHEN_BUSY).await;
            continue;
        }
        if outcome.is_err() {
            (connection, renew) = (None, true);
        } else if std::mem::take(&mut renew) {
            replaced = Some(Instant::now());
        }
        let pause = if outcome.is_ok() { WHEN_UP } else { WHEN_AWAY };
        shard.probed(outcome.map_err(|failed| failed.cause));
        tokio::time::sleep(LEAST).await;
        let _ = tokio::time::timeout(pause, shard.asked_to_look()).await;
    }
}

/// A probe that failed.
struct Failed {
    cause: Cause,
    /// Whether it fails like this also where the shard has too much to do for one more connection or question.
    may_be_busy: bool,
}

impl From<Cause> for Failed {
    fn from(cause: Cause) -> Self {
        Self { cause, may_be_busy: false }
    }
}

type Overview = (Option<i32>, String, String, i32, Vec<i32>, Vec<i64>);

async fn look(
    shard: &Shard,
    directory: &Directory,
    expected: &Expected,
    (connection, renew): (&mut Option<PgConnection>, bool),
) -> Result<u32, Failed> {
    let mut fresh = None;
    if connection.is_none() {
        let options =
            connect::options(&shard.uri_file).await.map_err(|e| Cause::new("ProtocolError", e.to_string()))?;
        *connection = Some(PgConnection::connect_with(&options).await.map_err(|e| why(&e))?);
        fresh = Some(options);
    }
    let Some(open) = connection else {
        return Err(Cause::new("ProtocolError", "no connection").into());
    };
    let overview: Option<Overview> =
        sqlx::query_as("select * from chat.overview()").fetch_optional(open).await.map_err(|e| why(&e))?;
    let Some((version, cluster, name, slots, owned, epochs)) = overview else {
        return Err(Cause::new("SchemaOutdated", "the database has not been migrated to the end").into());
    };
    let version = version.unwrap_or(0);
    if version < chat_shards::SCHEMA_VERSION {
        let needed = chat_shards::SCHEMA_VERSION;
        let message = format!("schema version {version}, this gateway needs {needed}");
        return Err(Cause::new("SchemaOutdated", message).into());
    }
    if cluster != expected.cluster || name != shard.name || i64::from(slots) != i64::from(expected.slots) {
        let message =
            format!("the database is shard {name} of cluster {cluster} with {slots} slots, not the configured one");
        return Err(Cause::new("ProtocolError", message).into());
    }
    // Only now: a pool to a wrong or outdated database must never be there.
    if let Some(options) = fresh.filter(|_| renew) {
        shard.replace_pool(options);
    }
    let count = u32::try_from(owned.len()).unwrap_or(u32::MAX);
    directory.learn(shard.index, owned.into_iter().zip(epochs));
    Ok(count)
}

fn why(error: &sqlx::Error) -> Failed {
    let cause = failure::cause(error).unwrap_or_else(|| Cause::new("ProtocolError", error.to_string()));
    Failed { cause, may_be_busy: failure::is_overload(error) || failure::is_on_the_way(error) }
}
