//! S4 and S6b: keys of the change log, the rows that they name as they are now, and then the keys forgotten. No order of the log is relied
//! on, and no place in it is remembered: a key that a slow transaction brings late is found like any other.

use chat_shard_protocol::Claim;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::{
    begin::{arriving, leaving},
    error::MoveError,
    layout::Layout,
    lock::Commit,
    mover::Mover,
    observe::{Observer, Point, Step},
    shard::{Shard, failed},
    tables::{TABLES, literal},
};

/// Keys of one transaction: some hundred milliseconds of work.
const BATCH: u32 = 1_000;
/// Batches between two counts of the whole backlog.
const COUNT: u32 = 50;

/// Rows of one table that were written, by what the change log has of them.
pub(crate) struct Changed {
    /// The table, by its place.
    pub(crate) nth: usize,
    /// A JSON array of their keys.
    pub(crate) keys: String,
    /// A JSON array of the rows as they are now; what is not in it is gone.
    rows: String,
}

/// Entries of the change log, and the rows that they name as they were under the same snapshot: at least what the keys were written with.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) entries: Vec<i64>,
    pub(crate) changed: Vec<Changed>,
}

impl Batch {
    /// Whether there may be more.
    pub(crate) fn is_full(&self, limit: u32) -> bool {
        self.entries.len() >= limit as usize
    }

    /// Their size, about, as text.
    fn bytes(&self) -> u64 {
        self.changed.iter().map(|changed| changed.rows.len() as u64).sum()
    }
}

impl<O: Observer> Mover<O> {
    /// S4: until few enough keys are left for a fence.
    pub(crate) async fn drain(&mut self, claim: &Claim) -> Result<(), MoveError> {
        self.tell(Step::Drain);
        self.at(Point::Before(Step::Drain)).await?;
        self.drain_to_threshold(claim).await?;
        self.at(Point::After(Step::Drain)).await
    }

    pub(crate) async fn drain_to_threshold(&mut self, claim: &Claim) -> Result<(), MoveError> {
        let mut batches = 0;
        self.look_at_backlog().await?;
        // What waited at the count before the last one. Rows of a drain are paid for as those of the copy, but only as long as fewer keys
        // wait each time: a drain that is slower than the writers would never end.
        let (mut counted, mut is_behind) = (self.progress.backlog, false);
        loop {
            if batches % COUNT == COUNT - 1 || self.progress.backlog <= self.options.fence_backlog {
                self.look_at_backlog().await?;
                if self.progress.backlog <= self.options.fence_backlog {
                    return Ok(());
                }
                is_behind = self.progress.backlog >= counted;
                counted = self.progress.backlog;
            }
            let drained = self.drain_batch(claim, Step::Drain).await?;
            self.progress.backlog = self.progress.backlog.saturating_sub(drained.entries.len() as u64);
            self.tell(Step::Drain);
            batches += 1;
            if !is_behind {
                self.throttle.pay(drained.bytes()).await;
            }
        }
    }

    /// Counts the keys that wait, and gives the move up when there are too many.
    pub(crate) async fn look_at_backlog(&mut self) -> Result<(), MoveError> {
        self.progress.backlog = count(&mut self.source, self.plan.slot, self.options.max_backlog).await?;
        Ok(())
    }

    /// Brings one batch over: applied and committed at the destination first, and only then forgotten at the source.
    pub(crate) async fn drain_batch(&mut self, claim: &Claim, step: Step) -> Result<Batch, MoveError> {
        let Shard { name, connection } = &mut self.source;
        let batch = read(connection, name, &self.layouts, self.plan.slot, BATCH).await?;
        if !batch.entries.is_empty() {
            self.apply(claim, step, &batch).await?;
            self.forget(claim, step, &batch).await?;
        }
        Ok(batch)
    }

    /// Brings a batch over and leaves its keys in the log.
    pub(crate) async fn apply(&mut self, claim: &Claim, step: Step, batch: &Batch) -> Result<(), MoveError> {
        let slot = self.plan.slot;
        let there = self.destination.name.clone();
        let sql = replace_all(&self.layouts, slot, &batch.changed);
        let mut transaction = arriving(Commit::Flushed, &mut self.destination, slot, claim, step).await?;
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut *transaction)
            .await
            .map_err(failed(&there, "write rows that changed"))?;
        transaction.commit().await.map_err(failed(&there, "commit rows that changed"))?;
        self.at(Point::Applied).await
    }

    pub(crate) async fn forget(&mut self, claim: &Claim, step: Step, batch: &Batch) -> Result<(), MoveError> {
        let slot = self.plan.slot;
        let here = self.source.name.clone();
        let mut transaction = leaving(&mut self.source, slot, claim, step).await?;
        sqlx::query("delete from chat.slot_changes where n = any ($1)")
            .bind(&batch.entries)
            .execute(&mut *transaction)
            .await
            .map_err(failed(&here, "forget keys of the change log"))?;
        transaction.commit().await.map_err(failed(&here, "forget keys of the change log"))
    }
}

/// Statements that make the rows of a batch at the destination what they are at the source; each ends with a semicolon.
pub(crate) fn replace_all(layouts: &[Layout], slot: i32, changed: &[Changed]) -> String {
    changed.iter().map(|changed| replace(&layouts[changed.nth], slot, changed)).collect()
}

/// Statements that make rows at the destination what they are at the source. Literals instead of parameters, since all tables' go in one packet.
fn replace(layout: &Layout, slot: i32, changed: &Changed) -> String {
    let Layout { table, columns, .. } = layout;
    let name = table.name;
    let relation = table.keys(&format!("{}::jsonb", literal(&changed.keys)));
    let same = table.is_key(&slot.to_string());
    let rows = literal(&changed.rows);
    format!(
        "with {relation} delete from chat.{name} t using k where {same}; \
         insert into chat.{name} ({columns}) select {columns} from jsonb_populate_recordset(null::chat.{name}, {rows}::jsonb); "
    )
}

/// How many keys wait; an error when there are more than the limit.
pub(crate) async fn count(source: &mut Shard, slot: i32, limit: u64) -> Result<u64, MoveError> {
    let counted: i64 =
        sqlx::query_scalar("select count(*) from (select from chat.slot_changes where slot = $1 limit $2) as waiting")
            .bind(slot)
            .bind(i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX))
            .fetch_one(&mut source.connection)
            .await
            .map_err(failed(&source.name, "count the change log"))?;
    let keys = u64::try_from(counted).unwrap_or(0);
    if keys > limit { Err(MoveError::Backlog { slot, keys, limit }) } else { Ok(keys) }
}

/// So many of the oldest keys that can be seen, and their rows.
pub(crate) async fn read(
    source: &mut PgConnection,
    shard: &str,
    layouts: &[Layout],
    slot: i32,
    limit: u32,
) -> Result<Batch, MoveError> {
    let keys = layouts.iter().map(|Layout { table, .. }| {
        format!("(select coalesce(jsonb_agg(distinct key), '[]')::text from batch where kind = '{}')", table.kind)
    });
    let rows = layouts.iter().map(|Layout { table, .. }| {
        format!(
            "(select coalesce(jsonb_agg(to_jsonb(t)), '[]')::text from (select distinct {} from batch where kind = '{}') k \
             join chat.{} t on {})",
            table.columns_of("key"),
            table.kind,
            table.name,
            table.is_key("$1")
        )
    });
    let (keys, rows) = (keys.collect::<Vec<_>>().join(", "), rows.collect::<Vec<_>>().join(", "));
    let sql = format!(
        "with batch as materialized (select n, kind, key from chat.slot_changes where slot = $1 order by n limit {limit}) \
         select (select coalesce(array_agg(n), '{{}}') from batch), \
         (select coalesce(array_agg(distinct kind), '{{}}') from batch), array[{keys}], array[{rows}]"
    );
    let (entries, kinds, keys, rows): (Vec<i64>, Vec<String>, Vec<String>, Vec<String>) =
        sqlx::query_as(AssertSqlSafe(sql))
            .bind(slot)
            .fetch_one(source)
            .await
            .map_err(failed(shard, "read the change log"))?;
    if let Some(kind) = kinds.iter().find(|kind| !TABLES.iter().any(|table| table.kind == **kind)) {
        let problem =
            format!("the change log has keys of the unknown kind {kind}; use the mover of the newest gateway");
        return Err(MoveError::Schema { shard: shard.to_owned(), problem });
    }
    let changed = keys.into_iter().zip(rows).enumerate().filter(|(_, (keys, _))| keys != "[]");
    let changed = changed.map(|(nth, (keys, rows))| Changed { nth, keys, rows }).collect();
    Ok(Batch { entries, changed })
}
