//! R1 to R3: whether the standbys have flushed what the next step rests on.

use tokio::time::{Duration, Instant, sleep};

use crate::{
    error::MoveError,
    shard::{Shard, failed},
};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(2);

/// Waits until every standby has flushed what this shard has written up to now, or the deadline has passed; whether they have.
/// Fewer than `standbys` connected ones have not, since one that is away may be promoted as well. Without standbys it is so at once.
///
/// Synchronous standbys are asked like others: a commit whose wait was cut off is visible, and not flushed there.
pub(crate) async fn reached(shard: &mut Shard, standbys: u32, deadline: Instant) -> Result<bool, MoveError> {
    // The position and a first look are one question: where there are no standbys it is the only one, and writers may wait for the answer.
    let first = "with here as materialized (select pg_current_wal_insert_lsn() as lsn) \
        select here.lsn::text, count(r.pid), count(*) filter (where r.flush_lsn >= here.lsn) \
        from here left join pg_stat_replication r on r.state <> 'backup' group by here.lsn";
    let (position, mut connected, mut flushed): (String, i64, i64) = sqlx::query_as(first)
        .fetch_one(&mut shard.connection)
        .await
        .map_err(failed(&shard.name, "read the position of the write-ahead log"))?;
    loop {
        if flushed == connected && connected >= i64::from(standbys) {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sleep(PAUSE).await;
        (connected, flushed) = sqlx::query_as(
            "select count(*), count(*) filter (where flush_lsn >= $1::text::pg_lsn) \
             from pg_stat_replication where state <> 'backup'",
        )
        .bind(&position)
        .fetch_one(&mut shard.connection)
        .await
        .map_err(failed(&shard.name, "ask what the standbys have flushed"))?;
    }
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
