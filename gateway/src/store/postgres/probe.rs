//! Looks after one shard in the background: connects, asks what it owns, notices that it is away and that it is back.

use std::{sync::Arc, time::Duration};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::Instant;

use super::{
    connect,
    directory::Directory,
    failure::{self, Cause},
    pooled,
    shard::Shard,
    ways::Ways,
};

/// Bound of one look. Shorter than the 2 s that `health` promises.
const PROBE_TIMEOUT: Duration = Duration::from_millis(1_800);
/// Bound of one try to connect by a changed URI, within a look: a shard that is well must not seem away.
const ROTATE_TIMEOUT: Duration = Duration::from_secs(1);
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
    let (mut held, mut ways) = (Held::default(), Ways::default());
    let mut replaced: Option<Instant> = None;
    // Whether the connections of the pool may be dead, or there are none yet.
    let mut renew = true;
    loop {
        if shard.take_suspect() && replaced.is_none_or(|at| at.elapsed() > LEAST_REPLACE) {
            (held.connection, renew) = (None, true);
        }
        let looking = look(&shard, &directory, &expected, (&mut held, &mut renew));
        let outcome = match tokio::time::timeout(PROBE_TIMEOUT, looking).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failed { cause: Cause::new("Timeout", "no answer within 1.8 s"), may_be_busy: true }),
        };
        if outcome.as_ref().is_err_and(|failed| failed.may_be_busy) && shard.answers() {
            // To call it away would turn everybody away who is still served, and their return would be more work.
            held.connection = None;
            shard.probed_in_vain();
            tokio::time::sleep(WHEN_BUSY).await;
            continue;
        }
        if outcome.is_err() {
            (held.connection, renew) = (None, true);
        } else if std::mem::take(&mut renew) {
            replaced = Some(Instant::now());
        }
        let answers = outcome.is_ok();
        let pause = if answers { WHEN_UP } else { WHEN_AWAY };
        shard.probed(outcome.map_err(|failed| failed.cause));
        if answers {
            ways.look(&shard, &held.uri).await;
        }
        tokio::time::sleep(LEAST).await;
        let _ = tokio::time::timeout(pause, shard.asked_to_look()).await;
    }
}

/// The connection by which the shard is asked, and what it was made from.
#[derive(Default)]
struct Held {
    connection: Option<PgConnection>,
    /// What stood in the file with the URI.
    uri: String,
    /// What stands there now, and is no use.
    refused: String,
}

impl Held {
    /// Connects by what the file says now.
    async fn connect(&mut self, shard: &Shard) -> Result<PgConnectOptions, Failed> {
        let no_uri = |error: connect::UriError| Cause::new("ProtocolError", error.to_string());
        let uri = connect::read(&shard.uri_file).await.map_err(no_uri)?;
        let options = connect::parse(&shard.uri_file, &uri).map_err(no_uri)?;
        let mut connection = PgConnection::connect_with(&options).await.map_err(|e| why(&e))?;
        pooled::check(&mut connection, &options).await.map_err(|unfit| match unfit {
            pooled::Failed::Unfit(cause) => Failed::from(cause),
            pooled::Failed::Sql(error) => why(&error),
        })?;
        self.connection = Some(connection);
        self.uri = uri;
        Ok(options)
    }

    /// Where the file says something else than before, a way by which the same shard answers: then connections are made anew while the credentials of
    /// those before still hold. Until there is one, these go on.
    async fn rotated(&mut self, shard: &Shard, expected: &Expected) -> Option<PgConnectOptions> {
        let uri = connect::read(&shard.uri_file).await.ok()?;
        if uri == self.uri {
            return None;
        }
        let trying = async {
            let options = connect::parse(&shard.uri_file, &uri).map_err(|error| error.to_string())?;
            let mut connection = PgConnection::connect_with(&options).await.map_err(|e| why(&e).cause.message)?;
            pooled::check(&mut connection, &options).await.map_err(pooled::Failed::message)?;
            let overview = overview(&mut connection).await.map_err(|failed| failed.cause.message)?;
            expected.check(shard, &overview).map_err(|failed| failed.cause.message)?;
            Ok((connection, options))
        };
        let tried = tokio::time::timeout(ROTATE_TIMEOUT, trying).await.unwrap_or_else(|_| Err("no answer".to_owned()));
        match tried {
            Ok((connection, options)) => {
                tracing::info!(shard = %shard.name, "connections are made anew, by a changed URI");
                *self = Self { connection: Some(connection), uri, refused: String::new() };
                Some(options)
            }
            Err(cause) => {
                if self.refused != uri {
                    tracing::warn!(shard = %shard.name, %cause, "a changed URI is no use yet; the connections before go on");
                    self.refused = uri;
                }
                None
            }
        }
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
    (held, renew): (&mut Held, &mut bool),
) -> Result<u32, Failed> {
    let fresh = match held.connection {
        None => {
            let before = held.uri.clone();
            let options = held.connect(shard).await?;
            // The pool is still of what stood there before.
            *renew |= before != held.uri;
            Some(options)
        }
        Some(_) => {
            let rotated = held.rotated(shard, expected).await;
            *renew |= rotated.is_some();
            rotated
        }
    };
    let Some(open) = &mut held.connection else {
        return Err(Cause::new("ProtocolError", "no connection").into());
    };
    let overview = overview(open).await?;
    expected.check(shard, &overview)?;
    // Only now: a pool to a wrong or outdated database must never be there.
    if let Some(options) = fresh.filter(|_| *renew) {
        shard.replace_pool(options);
    }
    let (.., owned, epochs) = overview;
    let count = u32::try_from(owned.len()).unwrap_or(u32::MAX);
    directory.learn(shard.index, owned.into_iter().zip(epochs));
    Ok(count)
}

async fn overview(connection: &mut PgConnection) -> Result<Overview, Failed> {
    let asked = sqlx::query_as("select * from chat.overview()").fetch_optional(connection).await;
    let told: Option<Overview> = asked.map_err(|e| why(&e))?;
    told.ok_or_else(|| Cause::new("SchemaOutdated", "the database has not been migrated to the end").into())
}

impl Expected {
    /// Whether it is the database that the shard is to be, with the schema that this gateway needs.
    fn check(&self, shard: &Shard, (version, cluster, name, slots, ..): &Overview) -> Result<(), Failed> {
        let version = version.unwrap_or(0);
        if version < chat_shards::SCHEMA_VERSION {
            let needed = chat_shards::SCHEMA_VERSION;
            let message = format!("schema version {version}, this gateway needs {needed}");
            return Err(Cause::new("SchemaOutdated", message).into());
        }
        if *cluster != self.cluster || *name != shard.name || i64::from(*slots) != i64::from(self.slots) {
            let message =
                format!("the database is shard {name} of cluster {cluster} with {slots} slots, not the configured one");
            return Err(Cause::new("ProtocolError", message).into());
        }
        Ok(())
    }
}

fn why(error: &sqlx::Error) -> Failed {
    let cause = failure::cause(error).unwrap_or_else(|| Cause::new("ProtocolError", error.to_string()));
    Failed { cause, may_be_busy: failure::is_overload(error) || failure::is_on_the_way(error) }
}
