//! R1 to R3: whether the standbys have flushed what the next step rests on.

use sqlx::{Row as _, postgres::PgRow};
use tokio::time::{Duration, Instant, sleep};

use crate::{
    error::MoveError,
    shard::{Shard, failed},
};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(2);

/// The position and a first look at the standbys are one question: where there are none it is the only one, and writers may wait for the answer.
pub(crate) const LOOK: &str = "with here as materialized (select pg_current_wal_insert_lsn() as lsn) \
    select here.lsn::text, count(r.pid), count(*) filter (where r.flush_lsn >= here.lsn) \
    from here left join pg_stat_replication r on r.state <> 'backup' group by here.lsn";

/// Its answer.
pub(crate) struct Look {
    position: String,
    connected: i64,
    flushed: i64,
}

impl Look {
    pub(crate) fn of(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self { position: row.try_get(0)?, connected: row.try_get(1)?, flushed: row.try_get(2)? })
    }

    /// Whether they had flushed it by then. Fewer than `standbys` connected ones have not, since one that is away may be promoted as well.
    pub(crate) fn is_flushed(&self, standbys: u32) -> bool {
        self.flushed == self.connected && self.connected >= i64::from(standbys)
    }
}

/// Waits until every standby has flushed what this shard has written up to now, or the deadline has passed; whether they have. Without standbys
/// it is so at once.
///
/// Synchronous standbys are asked like others: a commit whose wait was cut off is visible, and not flushed there.
pub(crate) async fn reached(shard: &mut Shard, standbys: u32, deadline: Instant) -> Result<bool, MoveError> {
    let first = sqlx::raw_sql(LOOK).fetch_one(&mut shard.connection).await;
    let look = first
        .and_then(|row| Look::of(&row))
        .map_err(failed(&shard.name, "read the position of the write-ahead log"))?;
    waited(shard, look, standbys, deadline).await
}

/// As [`reached`], from a look on that was asked together with something else.
pub(crate) async fn waited(
    shard: &mut Shard,
    mut look: Look,
    standbys: u32,
    deadline: Instant,
) -> Result<bool, MoveError> {
    loop {
        if look.is_flushed(standbys) {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sleep(PAUSE).await;
        (look.connected, look.flushed) = sqlx::query_as(
            "select count(*), count(*) filter (where flush_lsn >= $1::text::pg_lsn) \
             from pg_stat_replication where state <> 'backup'",
        )
        .bind(&look.position)
        .fetch_one(&mut shard.connection)
        .await
        .map_err(failed(&shard.name, "ask what the standbys have flushed"))?;
    }
}

/// Waits until the shard's own disk has what it has written up to now: what was committed without a wait for it included.
pub(crate) async fn on_disk(shard: &mut Shard) -> Result<(), MoveError> {
    // A commit that waits for the disk takes all of the log before it along.
    sqlx::raw_sql("select pg_logical_emit_message(true, 'chat-gateway move', '')")
        .execute(&mut shard.connection)
        .await
        .map_err(failed(&shard.name, "wait for the disk"))?;
    Ok(())
}

/// How far the slowest standby is behind with flushing; none without standbys, or when they have nothing to do.
pub(crate) async fn lag(shard: &mut Shard) -> Result<Option<Duration>, MoveError> {
    let seconds: Option<f64> = sqlx::query_scalar(
        "select max(extract(epoch from flush_lag))::float8 from pg_stat_replication where state <> 'backup'",
    )
    .fetch_one(&mut shard.connection)
    .await
    .map_err(failed(&shard.name, "ask how far the standbys are behind"))?;
    Ok(seconds.map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
}
