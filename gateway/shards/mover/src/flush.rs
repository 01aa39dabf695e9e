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
    let position: String = sqlx::query_scalar("select pg_current_wal_insert_lsn()::text")
        .fetch_one(&mut shard.connection)
        .await
        .map_err(failed(&shard.name, "read the position of the write-ahead log"))?;
    loop {
        let (connected, flushed): (i64, i64) = sqlx::query_as(
            "select count(*), count(*) filter (where flush_lsn >= $1::text::pg_lsn) \
             from pg_stat_replication where state <> 'backup'",
        )
        .bind(&position)
        .fetch_one(&mut shard.connection)
        .await
        .map_err(failed(&shard.name, "ask what the standbys have flushed"))?;
        if flushed == connected && connected >= i64::from(standbys) {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sleep(PAUSE).await;
    }
}
