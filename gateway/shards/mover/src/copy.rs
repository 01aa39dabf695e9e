//! S3: rows in the order of their keys, a chunk a transaction, while the next chunks are read. A copy that was interrupted goes on behind the
//! last chunk that was committed. Nothing is drained meanwhile, so that no chunk can take back what a drain has brought.

use std::time::Duration;

use chat_shard_protocol::Claim;
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use crate::{
    begin::arriving,
    chunks::{Chunk, Reading, SENT},
    error::MoveError,
    flush,
    layout::Layout,
    lock::Commit,
    mover::{Mover, millis},
    observe::{Observer, Point, Step, at},
    shard::{Shard, failed},
};

/// In place of a position: the table was copied to its end. Sorts after every position.
const END: &str = "~";
/// Chunks that wait to be written. With the one that is written and the one that is read they are what a mover has in memory.
const WAITING: usize = 1;
/// Between two looks at the destination's standbys.
const LOOK: Duration = Duration::from_secs(2);
/// How long the source's session may take to end what it reads, once the destination has failed.
const ENDING: Duration = Duration::from_secs(10);

impl<O: Observer> Mover<O> {
    /// S3.
    pub(crate) async fn copy(&mut self, claim: &Claim) -> Result<(), MoveError> {
        self.tell(Step::Copy);
        self.at(Point::Before(Step::Copy)).await?;
        let started = Instant::now();
        let (rows, bytes) = self.copied().await?;
        (self.progress.rows, self.progress.bytes) = (rows, bytes);
        let cursors = self.cursors("").await?;
        self.pipe(claim, cursors).await?;
        // No chunk has waited for it. Nothing that is forgotten at the source from here on may rest on less.
        flush::on_disk(&mut self.destination).await?;
        (self.report.rows, self.report.bytes) = (self.progress.rows, self.progress.bytes);
        self.report.copy_ms += millis(started.elapsed());
        self.at(Point::After(Step::Copy)).await
    }

    /// Rows and bytes of the chunks so far.
    async fn copied(&mut self) -> Result<(u64, u64), MoveError> {
        let sql = "select coalesce(sum(rows), 0)::bigint, coalesce(sum(bytes), 0)::bigint from chat.move_chunks where move_id = $1";
        let (rows, bytes): (i64, i64) = sqlx::query_as(sql)
            .bind(self.plan.move_id)
            .fetch_one(&mut self.destination.connection)
            .await
            .map_err(failed(&self.destination.name, "read what was copied"))?;
        Ok((u64::try_from(rows).unwrap_or(0), u64::try_from(bytes).unwrap_or(0)))
    }

    /// The tables that have not been copied to their ends, and where their copies go on. With a `mark` before their names: where something else
    /// that goes through them goes on.
    pub(crate) async fn cursors(&mut self, mark: &str) -> Result<Vec<(usize, Option<String>)>, MoveError> {
        let sql =
            "select table_name, max(upto collate \"C\") from chat.move_chunks where move_id = $1 group by table_name";
        let found: Vec<(String, String)> = sqlx::query_as(sql)
            .bind(self.plan.move_id)
            .fetch_all(&mut self.destination.connection)
            .await
            .map_err(failed(&self.destination.name, "read where the copy goes on"))?;
        let cursor = |layout: &Layout| {
            let name = format!("{mark}{}", layout.table.name);
            found.iter().find(|(found, _)| *found == name).map(|(_, upto)| upto)
        };
        let cursors = self.layouts.iter().map(cursor).enumerate();
        let unfinished = cursors.filter(|(_, upto)| upto.is_none_or(|upto| upto != END));
        Ok(unfinished.map(|(nth, upto)| (nth, upto.cloned())).collect())
    }

    /// Lets what is read flow into what is written, until one of them ends.
    async fn pipe(&mut self, claim: &Claim, cursors: Vec<(usize, Option<String>)>) -> Result<(), MoveError> {
        let Self { plan, source, destination, options, observer, throttle, layouts, progress, .. } = self;
        let reading = Reading {
            layouts: layouts.as_slice(),
            slot: plan.slot,
            chunk_rows: options.chunk_rows,
            chunk_bytes: throttle.piece(options.chunk_bytes),
            max_backlog: options.max_backlog,
        };
        let (sender, mut chunks) = mpsc::channel(WAITING);
        let reading = reading.run(source, cursors, sender);
        let mut looked = Instant::now();
        let writing = async {
            while let Some(chunk) = chunks.recv().await {
                write(destination, plan.move_id, plan.slot, claim, &layouts[chunk.nth], &chunk).await?;
                let bytes = chunk.bytes.len() as u64;
                progress.rows += chunk.rows;
                progress.bytes += bytes;
                progress.backlog = chunk.backlog.unwrap_or(progress.backlog);
                observer.progress(progress);
                at(&*observer, plan.slot, Point::Chunk).await?;
                throttle.pay(bytes).await;
                if looked.elapsed() > LOOK {
                    looked = Instant::now();
                    let is_behind = flush::lag(destination).await?.is_some_and(|lag| lag > options.standby_lag);
                    throttle.hear(is_behind);
                }
            }
            Ok(())
        };
        let mut reading = Box::pin(reading);
        let mut writing = Box::pin(writing);
        tokio::select! {
            written = &mut writing => {
                drop(writing);
                // It takes no more chunks, so this ends with the statement under way; both sessions are of use after that.
                chunks.close();
                let read = timeout(ENDING, reading).await;
                written?;
                read.unwrap_or(Ok(()))
            }
            read = &mut reading => {
                // What was read is written in any case: a chunk that is broken off would break the session.
                let written = writing.await;
                read.and(written)
            }
        }
    }
}

/// Makes a range at the destination what it was at the source.
async fn write(
    destination: &mut Shard,
    move_id: Uuid,
    slot: i32,
    claim: &Claim,
    layout: &Layout,
    chunk: &Chunk,
) -> Result<(), MoveError> {
    let Layout { table, columns, .. } = layout;
    let (name, condition) = (table.name, chunk.range.condition(table, slot));
    let there = destination.name.clone();
    let mut transaction = arriving(Commit::Ordered, destination, slot, claim, Step::Copy).await?;
    // Rows of a chunk whose claimant died after this statement's twin, and rows that were deleted at the source since.
    // By their places in the order of the key, since a condition alone may be looked up in another index, over the whole slot.
    let stale = format!("select ctid from chat.{name} where {condition} order by {}", table.bounds());
    sqlx::raw_sql(AssertSqlSafe(format!("delete from chat.{name} where ctid = any (array({stale}))")))
        .execute(&mut *transaction)
        .await
        .map_err(failed(&there, "make room for a chunk"))?;
    if chunk.rows > 0 {
        let into = format!("copy chat.{name} ({columns}) from stdin (format binary)");
        let mut writing = transaction.copy_in_raw(&into).await.map_err(failed(&there, "write a chunk"))?;
        for piece in chunk.bytes.chunks(SENT) {
            writing.send(piece).await.map_err(failed(&there, "write a chunk"))?;
        }
        writing.finish().await.map_err(failed(&there, "write a chunk"))?;
    }
    let what = Noted { rows: chunk.rows, bytes: chunk.bytes.len() as u64, hash: &xxh3_128(&chunk.bytes).to_be_bytes() };
    note(&mut transaction, &there, move_id, name, chunk.range.upto.as_deref(), &what).await?;
    transaction.commit().await.map_err(failed(&there, "commit a chunk"))
}

/// What `chat.move_chunks` says of a chunk.
pub(crate) struct Noted<'a> {
    rows: u64,
    bytes: u64,
    hash: &'a [u8],
}

/// Of a range that was gone through without anything being copied.
pub(crate) const NOTHING: Noted<'static> = Noted { rows: 0, bytes: 0, hash: &[] };

/// Notes that a table was gone through up to a position, or to its end.
pub(crate) async fn note(
    connection: &mut PgConnection,
    shard: &str,
    move_id: Uuid,
    table: &str,
    upto: Option<&str>,
    what: &Noted<'_>,
) -> Result<(), MoveError> {
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    sqlx::query(
        "insert into chat.move_chunks (move_id, table_name, upto, rows, bytes, hash) values ($1, $2, $3, $4, $5, $6) \
         on conflict do nothing",
    )
    .bind(move_id)
    .bind(table)
    .bind(upto.unwrap_or(END))
    .bind(whole(what.rows))
    .bind(whole(what.bytes))
    .bind(what.hash)
    .execute(connection)
    .await
    .map_err(failed(shard, "note a chunk"))?;
    Ok(())
}
