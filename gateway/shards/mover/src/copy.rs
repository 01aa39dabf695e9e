//! S3: rows in the order of their keys, a chunk a transaction. A copy that was interrupted goes on with the next chunk.

use chat_shard_protocol::Claim;
use futures::StreamExt as _;
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::time::Instant;
use xxhash_rust::xxh3::Xxh3;

use crate::{
    begin::arriving,
    error::MoveError,
    layout::Layout,
    mover::{Mover, millis},
    observe::{Observer, Point, Step},
    shard::{Shard, failed},
    tables::Range,
};

/// In place of a position: the table was copied to its end. Sorts after every position.
const END: &str = "~";
/// Bytes that are sent together: the server sends a row at a time, and a packet for each would be most of the work.
const BUFFER: usize = 64 << 10;
/// Chunks between two looks at the backlog.
const LOOK: u32 = 16;

/// What was copied of a table.
struct Chunk {
    rows: u64,
    bytes: u64,
    hash: [u8; 16],
}

impl<O: Observer> Mover<O> {
    /// S3.
    pub(crate) async fn copy(&mut self, claim: &Claim) -> Result<(), MoveError> {
        self.tell(Step::Copy);
        self.at(Point::Before(Step::Copy)).await?;
        let started = Instant::now();
        let (rows, bytes) = self.copied().await?;
        (self.progress.rows, self.progress.bytes) = (rows, bytes);
        let mut chunks = 0;
        for nth in 0..self.layouts.len() {
            let mut after = self.cursor(nth).await?;
            while after.as_deref() != Some(END) {
                let next = next_range(
                    &mut self.source,
                    &self.layouts[nth],
                    self.plan.slot,
                    after,
                    self.options.chunk_rows,
                    self.options.chunk_bytes,
                )
                .await?;
                let chunk = self.chunk(claim, nth, &next).await?;
                self.progress.rows += chunk.rows;
                self.progress.bytes += chunk.bytes;
                if chunks % LOOK == 0 {
                    self.look_at_backlog().await?;
                }
                chunks += 1;
                self.tell(Step::Copy);
                self.at(Point::Chunk).await?;
                self.throttle.pay(chunk.bytes).await;
                after = Some(next.range.upto.unwrap_or_else(|| END.to_owned()));
            }
        }
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

    /// Where the copy of a table goes on.
    async fn cursor(&mut self, nth: usize) -> Result<Option<String>, MoveError> {
        let sql = "select upto from chat.move_chunks where move_id = $1 and table_name = $2 order by upto collate \"C\" desc limit 1";
        sqlx::query_scalar(sql)
            .bind(self.plan.move_id)
            .bind(self.layouts[nth].table.name)
            .fetch_optional(&mut self.destination.connection)
            .await
            .map_err(failed(&self.destination.name, "read where the copy goes on"))
    }

    /// Makes a range at the destination what it is at the source.
    async fn chunk(&mut self, claim: &Claim, nth: usize, next: &Next) -> Result<Chunk, MoveError> {
        let Layout { table, columns, .. } = &self.layouts[nth];
        let slot = self.plan.slot;
        let (name, condition) = (table.name, next.range.condition(table, slot));
        let there = self.destination.name.clone();
        let mut transaction = arriving(&mut self.destination, slot, claim, Step::Copy).await?;
        // Rows of a chunk whose claimant died after this statement's twin, and rows that were deleted at the source since.
        // By their places in the order of the key, since a condition alone may be looked up in another index, over the whole slot.
        let stale = format!("select ctid from chat.{name} where {condition} order by {}", table.bounds());
        sqlx::raw_sql(AssertSqlSafe(format!("delete from chat.{name} where ctid = any (array({stale}))")))
            .execute(&mut *transaction)
            .await
            .map_err(failed(&there, "make room for a chunk"))?;
        let chunk = if next.is_empty {
            Chunk { rows: 0, bytes: 0, hash: Xxh3::new().digest128().to_be_bytes() }
        } else {
            let out = format!(
                "copy (select {columns} from chat.{name} where {condition} order by {}) to stdout (format binary)",
                table.bounds()
            );
            let into = format!("copy chat.{name} ({columns}) from stdin (format binary)");
            pipe(&mut self.source, &out, &mut transaction, &there, &into).await?
        };
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        sqlx::query(
            "insert into chat.move_chunks (move_id, table_name, upto, rows, bytes, hash) values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(self.plan.move_id)
        .bind(name)
        .bind(next.range.upto.as_deref().unwrap_or(END))
        .bind(whole(chunk.rows))
        .bind(whole(chunk.bytes))
        .bind(chunk.hash.as_slice())
        .execute(&mut *transaction)
        .await
        .map_err(failed(&there, "note a chunk"))?;
        transaction.commit().await.map_err(failed(&there, "commit a chunk"))?;
        Ok(chunk)
    }
}

/// Lets one COPY flow into another.
async fn pipe(
    source: &mut Shard,
    out: &str,
    destination: &mut PgConnection,
    there: &str,
    into: &str,
) -> Result<Chunk, MoveError> {
    let (mut hash, mut bytes) = (Xxh3::new(), 0);
    let mut reading = source.connection.copy_out_raw(out).await.map_err(failed(&source.name, "read a chunk"))?;
    let mut writing = destination.copy_in_raw(into).await.map_err(failed(there, "write a chunk"))?;
    let mut buffer = Vec::with_capacity(2 * BUFFER);
    loop {
        let is_last = match reading.next().await {
            Some(Ok(piece)) => {
                buffer.extend_from_slice(&piece);
                false
            }
            Some(Err(error)) => {
                // The transaction goes with the connection, whatever becomes of this.
                drop(writing.abort("the source failed").await);
                return Err(failed(&source.name, "read a chunk")(error));
            }
            None => true,
        };
        if is_last || buffer.len() >= BUFFER {
            hash.update(&buffer);
            bytes += buffer.len() as u64;
            writing.send(buffer.as_slice()).await.map_err(failed(there, "write a chunk"))?;
            buffer.clear();
        }
        if is_last {
            break;
        }
    }
    let rows = writing.finish().await.map_err(failed(there, "write a chunk"))?;
    Ok(Chunk { rows, bytes, hash: hash.digest128().to_be_bytes() })
}

/// Where a copy or a comparison goes on.
pub(crate) struct Next {
    pub(crate) range: Range,
    /// No row was in it. What has come since is in the change log.
    pub(crate) is_empty: bool,
}

/// The range of the next so many rows of a table, or bytes of them. It is open when it holds all the rows there are: what is
/// written behind it meanwhile is in the change log.
pub(crate) async fn next_range(
    shard: &mut Shard,
    layout: &Layout,
    slot: i32,
    after: Option<String>,
    rows: u32,
    bytes: u64,
) -> Result<Next, MoveError> {
    let table = layout.table;
    let rest = Range { after, upto: None };
    let (bounds, name) = (table.bounds(), table.name);
    let sql = format!(
        "select {position}, n = total and total < {rows} from ( \
             select {bounds}, row_number() over w as n, sum(size) over w as bytes, count(*) over () as total from ( \
                 select {bounds}, pg_column_size(t)::bigint as size from chat.{name} t where {condition} \
                 order by {bounds} limit {rows} \
             ) r window w as (order by {bounds}) \
         ) x where n = 1 or bytes <= {bytes} order by n desc limit 1",
        position = table.position(),
        condition = rest.condition(table, slot),
    );
    let found: Option<(String, bool)> = sqlx::query_as(AssertSqlSafe(sql))
        .persistent(false)
        .fetch_optional(&mut shard.connection)
        .await
        .map_err(failed(&shard.name, "find the end of a chunk"))?;
    let is_empty = found.is_none();
    let range = match found {
        Some((upto, false)) => Range { upto: Some(upto), ..rest },
        _ => rest,
    };
    Ok(Next { range, is_empty })
}
