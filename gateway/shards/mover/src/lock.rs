//! The slot's lock, exclusive, as the transitions of its row need it.

use std::time::Duration;

use chat_shard_protocol::{Row, Site};
use chat_shards::SLOT_LOCK_CLASS;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, Transaction, postgres::PgRow};
use tokio::time::{Instant, sleep};

use crate::{
    error::MoveError,
    row,
    shard::{Shard, failed},
    silent::Silent,
};

/// A transaction that holds the slot's lock and row, and what it found.
pub(crate) struct Locked<'c> {
    pub(crate) begun: Begun<'c>,
    pub(crate) row: Option<Row<String>>,
    pub(crate) site: Site<String>,
    /// What was asked behind the lock.
    pub(crate) answer: Option<PgRow>,
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

/// How a transaction that changes a slot's row ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commit {
    /// With the disk.
    Flushed,
    /// Without a wait for the disk: for changes that whatever rests on them is behind in the same write-ahead log. A crash that takes them takes
    /// that, too.
    Ordered,
}

/// Begins a transaction, takes the lock, and reads row, timeline and clock after it. A try that is not granted within 100 ms
/// makes room for writers, who would queue behind it; `patience` bounds all tries. Movers that have fallen silent with what is needed are ended.
pub(crate) async fn exclusive(shard: &mut Shard, slot: i32, patience: Duration) -> Result<Locked<'_>, MoveError> {
    Begun::new(shard).await?.lock(Commit::Flushed, slot, patience, "").await
}

/// A transaction that holds nothing yet.
pub(crate) struct Begun<'c> {
    pub(crate) shard: &'c str,
    pub(crate) transaction: Transaction<'c, Postgres>,
}

impl<'c> Begun<'c> {
    /// Begins one.
    pub(crate) async fn new(shard: &'c mut Shard) -> Result<Self, MoveError> {
        let Shard { name, connection } = shard;
        let transaction = connection.begin().await.map_err(failed(name, "begin a transaction"))?;
        Ok(Self { shard: name, transaction })
    }

    /// As [`exclusive`], and asks something behind the lock. A mover that freezes with the lock, or is no longer heard, keeps all writers of the
    /// slot waiting, and not only until a fence ends.
    pub(crate) async fn lock(
        mut self,
        end: Commit,
        slot: i32,
        patience: Duration,
        query: &str,
    ) -> Result<Locked<'c>, MoveError> {
        let name = self.shard;
        let ends = match end {
            Commit::Flushed => "",
            Commit::Ordered => "set local synchronous_commit = off; ",
        };
        let before = format!(
            "set local lock_timeout = '100ms'; set local idle_in_transaction_session_timeout = '1s'; {ends}savepoint before_lock"
        );
        let started = Instant::now();
        let mut tries = 0;
        let mut silent = Silent::default();
        loop {
            let since = Instant::now();
            match row::lock_and_read(&mut self.transaction, name, slot, &before, query).await {
                Ok((row, site, answer)) => return Ok(Locked { begun: self, row, site, answer, since }),
                // A row that another mover holds counts as the lock.
                Err(MoveError::Sql { source, .. }) if is_lock_timeout(&source) => {}
                Err(other) => return Err(other),
            }
            if started.elapsed() > patience {
                return Err(MoveError::Busy { slot, shard: name.to_owned(), waited_ms: started.elapsed().as_millis() });
            }
            sqlx::raw_sql("rollback to savepoint before_lock")
                .execute(&mut *self.transaction)
                .await
                .map_err(failed(name, "try again for the slot's lock"))?;
            silent.end(&mut self.transaction, name).await?;
            let pause = PAUSES[tries.min(PAUSES.len() - 1)];
            sleep(pause.mul_f64(rand::random_range(0.75..1.25))).await;
            tries += 1;
        }
    }

    /// Carries statements out, commits, begins the next transaction, and asks something in it, all in one packet: writers wait for it. The rows
    /// are those of the statements and the query.
    ///
    /// The driver knows of no commit but its own: to it, this is one transaction. What it ends when the value goes is the empty one.
    pub(crate) async fn finish(mut self, statements: &str, query: &str) -> Result<(Self, Vec<PgRow>), MoveError> {
        let sql = format!("{statements}; commit and chain; {query}");
        let rows = sqlx::raw_sql(AssertSqlSafe(sql))
            .fetch_all(&mut *self.transaction)
            .await
            .map_err(failed(self.shard, "commit what writers wait for"))?;
        Ok((self, rows))
    }
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("55P03"))
}

impl Locked<'_> {
    /// The transaction.
    pub(crate) fn transaction(&mut self) -> &mut PgConnection {
        &mut self.begun.transaction
    }

    /// Commits; the lock is free from here on.
    pub(crate) async fn commit(self) -> Result<(), MoveError> {
        let Begun { shard, transaction } = self.begun;
        transaction.commit().await.map_err(failed(shard, "commit the slot's row"))
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
