//! The slot's lock, exclusive, as the transitions of its row need it.

use std::time::Duration;

use chat_shard_protocol::{Row, Site};
use chat_shards::SLOT_LOCK_CLASS;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, Transaction};
use tokio::time::{Instant, sleep};

use crate::{
    error::MoveError,
    row::{self, Hold},
    shard::{Shard, failed},
};

/// A transaction that holds the slot's lock and row, and what it found.
pub(crate) struct Locked<'c> {
    pub(crate) transaction: Transaction<'c, Postgres>,
    pub(crate) row: Option<Row<String>>,
    pub(crate) site: Site<String>,
    /// When the request was made that got the lock: writers have waited since.
    pub(crate) since: Instant,
}

/// Between tries. Writers that queue behind a try go on meanwhile.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(80),
    Duration::from_millis(160),
    Duration::from_millis(320),
];

/// Begins a transaction, takes the lock, and reads row, timeline and clock after it. A try that is not granted within 100 ms
/// makes room for writers, who would queue behind it; `patience` bounds all tries.
pub(crate) async fn exclusive(shard: &mut Shard, slot: i32, patience: Duration) -> Result<Locked<'_>, MoveError> {
    let name = &shard.name;
    let started = Instant::now();
    // A row that another mover holds counts as the lock: it is tried again. A mover that freezes here, or is no longer heard, keeps all writers
    // of the slot waiting, and not only until a fence ends. In one packet: some of these transactions keep writers waiting.
    let begin = "begin; set local lock_timeout = '100ms'; set local idle_in_transaction_session_timeout = '1s'; savepoint before_lock";
    let mut transaction = shard.connection.begin_with(begin).await.map_err(failed(name, "begin a transaction"))?;
    let mut tries = 0;
    let (since, (row, site)) = loop {
        let since = Instant::now();
        match acquire(&mut transaction, name, slot).await {
            Ok(found) => break (since, found),
            Err(MoveError::Sql { source, .. }) if is_lock_timeout(&source) => {}
            Err(other) => return Err(other),
        }
        if started.elapsed() > patience {
            return Err(MoveError::Busy { slot, shard: name.clone(), waited_ms: started.elapsed().as_millis() });
        }
        sqlx::raw_sql("rollback to savepoint before_lock")
            .execute(&mut *transaction)
            .await
            .map_err(failed(name, "try again for the slot's lock"))?;
        let pause = PAUSES[tries.min(PAUSES.len() - 1)];
        sleep(pause.mul_f64(rand::random_range(0.75..1.25))).await;
        tries += 1;
    };
    Ok(Locked { transaction, row, site, since })
}

/// Lock and row in two statements: one that did both would read the row as it was before the wait.
async fn acquire(
    connection: &mut PgConnection,
    shard: &str,
    slot: i32,
) -> Result<(Option<Row<String>>, Site<String>), MoveError> {
    let lock = format!("select pg_advisory_xact_lock({SLOT_LOCK_CLASS}, {slot})");
    sqlx::raw_sql(AssertSqlSafe(lock))
        .execute(&mut *connection)
        .await
        .map_err(failed(shard, "take the slot's lock"))?;
    row::read(connection, shard, slot, Hold::Row).await
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("55P03"))
}

impl Locked<'_> {
    /// Commits; the lock is free from here on.
    pub(crate) async fn commit(self) -> Result<(), MoveError> {
        let shard = self.site.shard;
        self.transaction.commit().await.map_err(failed(&shard, "commit the slot's row"))
    }
}

/// Age in milliseconds of the oldest transaction that holds the slot's lock, or waits for it; 0 without one. Transactions of
/// roles whose activity this role may not see are not counted.
pub(crate) async fn oldest_holder(shard: &mut Shard, slot: i32) -> Result<u64, MoveError> {
    let age: i64 = sqlx::query_scalar(
        "select coalesce(max(extract(epoch from clock_timestamp() - a.xact_start) * 1000), 0)::bigint \
         from pg_locks l join pg_stat_activity a on a.pid = l.pid \
         where l.locktype = 'advisory' and l.objsubid = 2 and l.classid = $1::bigint::oid and l.objid = $2::bigint::oid \
         and l.database = (select oid from pg_database where datname = current_database()) and l.pid <> pg_backend_pid()",
    )
    .bind(i64::from(SLOT_LOCK_CLASS))
    .bind(i64::from(slot))
    .fetch_one(&mut shard.connection)
    .await
    .map_err(failed(&shard.name, "look at who holds the slot's lock"))?;
    Ok(u64::try_from(age).unwrap_or(0))
}
