//! S4 and S6b: keys of the change log, the rows that they name as they are now, and then the keys forgotten. No order of the log is relied
//! on, and no place in it is remembered: a key that a slow transaction brings late is found like any other. The bound of the copy's rate does
//! not hold here: a drain that is slower than the writers never ends.

use std::collections::{BTreeMap, BTreeSet};

use chat_shard_protocol::Claim;
use sqlx::AssertSqlSafe;

use crate::{
    begin::{arriving, leaving},
    error::MoveError,
    layout::Layout,
    mover::Mover,
    observe::{Observer, Point, Step},
    shard::{Shard, failed},
    tables::TABLES,
};

/// Keys of one transaction: some hundred milliseconds of work.
const BATCH: u32 = 1_000;
/// Batches between two counts of the whole backlog.
const COUNT: u32 = 50;

/// Keys by table (its place in [`TABLES`]), each as the change log writes it.
pub(crate) type Keys = BTreeMap<usize, BTreeSet<String>>;

/// Entries of the change log.
#[derive(Default)]
pub(crate) struct Batch {
    entries: Vec<i64>,
    pub(crate) keys: Keys,
}

impl Batch {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// Keys as one JSON array.
pub(crate) fn array(keys: &BTreeSet<String>) -> String {
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    format!("[{}]", keys.join(","))
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
        loop {
            if batches % COUNT == COUNT - 1 || self.progress.backlog <= self.options.fence_backlog {
                self.look_at_backlog().await?;
                if self.progress.backlog <= self.options.fence_backlog {
                    return Ok(());
                }
            }
            let drained = self.drain_batch(claim, Step::Drain).await?.len();
            self.progress.backlog = self.progress.backlog.saturating_sub(drained as u64);
            self.tell(Step::Drain);
            batches += 1;
        }
    }

    /// Counts the keys that wait, and gives the move up when there are too many.
    pub(crate) async fn look_at_backlog(&mut self) -> Result<(), MoveError> {
        let limit = self.options.max_backlog;
        let counted: i64 = sqlx::query_scalar(
            "select count(*) from (select from chat.slot_changes where slot = $1 limit $2) as waiting",
        )
        .bind(self.plan.slot)
        .bind(i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX))
        .fetch_one(&mut self.source.connection)
        .await
        .map_err(failed(&self.source.name, "count the change log"))?;
        self.progress.backlog = u64::try_from(counted).unwrap_or(0);
        if self.progress.backlog > limit {
            return Err(MoveError::Backlog { slot: self.plan.slot, keys: self.progress.backlog, limit });
        }
        Ok(())
    }

    /// Brings one batch over: applied and committed at the destination first, and only then forgotten at the source.
    pub(crate) async fn drain_batch(&mut self, claim: &Claim, step: Step) -> Result<Batch, MoveError> {
        let slot = self.plan.slot;
        let batch = read(&mut self.source, slot).await?;
        if batch.entries.is_empty() {
            return Ok(batch);
        }
        // After the keys: rows as they are now hold at least what those keys were written with.
        let mut rows = Vec::with_capacity(batch.keys.len());
        for (nth, keys) in &batch.keys {
            let keys = array(keys);
            let found = current(&mut self.source, &self.layouts[*nth], slot, &keys).await?;
            rows.push((*nth, keys, found));
        }
        let there = self.destination.name.clone();
        let mut transaction = arriving(&mut self.destination, slot, claim, step).await?;
        for (nth, keys, found) in &rows {
            let Layout { table, columns, .. } = &self.layouts[*nth];
            let (name, relation, same) = (table.name, table.keys(), table.is_key());
            sqlx::query(AssertSqlSafe(format!("with {relation} delete from chat.{name} t using k where {same}")))
                .bind(slot)
                .bind(keys)
                .execute(&mut *transaction)
                .await
                .map_err(failed(&there, "replace rows that changed"))?;
            sqlx::query(AssertSqlSafe(format!(
                "insert into chat.{name} ({columns}) \
                 select {columns} from jsonb_populate_recordset(null::chat.{name}, $1::jsonb)"
            )))
            .bind(found)
            .execute(&mut *transaction)
            .await
            .map_err(failed(&there, "write rows that changed"))?;
        }
        transaction.commit().await.map_err(failed(&there, "commit rows that changed"))?;
        self.at(Point::Applied).await?;
        let here = self.source.name.clone();
        let mut transaction = leaving(&mut self.source, slot, claim, step).await?;
        sqlx::query("delete from chat.slot_changes where n = any ($1)")
            .bind(&batch.entries)
            .execute(&mut *transaction)
            .await
            .map_err(failed(&here, "forget keys of the change log"))?;
        transaction.commit().await.map_err(failed(&here, "forget keys of the change log"))?;
        Ok(batch)
    }
}

/// The oldest keys that can be seen.
async fn read(source: &mut Shard, slot: i32) -> Result<Batch, MoveError> {
    let rows: Vec<(i64, String, String)> =
        sqlx::query_as("select n, kind, key::text from chat.slot_changes where slot = $1 order by n limit $2")
            .bind(slot)
            .bind(i64::from(BATCH))
            .fetch_all(&mut source.connection)
            .await
            .map_err(failed(&source.name, "read the change log"))?;
    let mut batch = Batch::default();
    for (n, kind, key) in rows {
        let Some(nth) = TABLES.iter().position(|table| table.kind == kind) else {
            let problem =
                format!("the change log has keys of the unknown kind {kind}; use the mover of the newest gateway");
            return Err(MoveError::Schema { shard: source.name.clone(), problem });
        };
        batch.entries.push(n);
        batch.keys.entry(nth).or_default().insert(key);
    }
    Ok(batch)
}

/// The rows that keys name, as a JSON array; what is not in it is gone.
async fn current(source: &mut Shard, layout: &Layout, slot: i32, keys: &str) -> Result<String, MoveError> {
    let table = layout.table;
    let sql = format!(
        "with {} select coalesce(jsonb_agg(to_jsonb(t)), '[]')::text from k join chat.{} t on {}",
        table.keys(),
        table.name,
        table.is_key()
    );
    sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(slot)
        .bind(keys)
        .fetch_one(&mut source.connection)
        .await
        .map_err(failed(&source.name, "read rows that changed"))
}
