//! S5 and the look inside the fence: whether the destination has the source's rows, and no others.

use std::collections::{BTreeMap, BTreeSet};

use chat_shard_protocol::Claim;
use futures::future::try_join;
use sqlx::{AssertSqlSafe, Connection as _};

use crate::{
    begin::{arriving, restoring},
    copy::{NOTHING, note},
    error::MoveError,
    layout::Layout,
    lock::Commit,
    mover::Mover,
    observe::{Observer, Point, Step},
    ranges::next_range,
    shard::{Shard, failed},
    tables::{Range, literal},
};

/// Rows and their fingerprint.
type Print = (i64, String);

/// Before a table's name in `chat.move_chunks`: it was compared up to there.
const MARK: &str = "=";
/// Rows of a range, as fast as one aggregate allows.
const ROWS: u32 = 10_000;
const BYTES: u64 = 64 << 20;

impl<O: Observer> Mover<O> {
    /// S5: everything, while writes go on. It goes on behind the ranges that an earlier claimant of the same copy has found whole: what was
    /// written there since is in the change log.
    pub(crate) async fn compare(&mut self, claim: &Claim) -> Result<(), MoveError> {
        self.tell(Step::Compare);
        self.at(Point::Before(Step::Compare)).await?;
        let cursors = self.cursors(MARK).await?;
        let compared = self.compare_from(cursors, Some(claim)).await;
        if let Err(MoveError::Mismatch { .. }) = &compared {
            // Another mover may have taken the move over and drained in between: then it is not ours to judge.
            let transaction =
                arriving(Commit::Ordered, &mut self.destination, self.plan.slot, claim, Step::Compare).await?;
            transaction.rollback().await.map_err(failed(&self.destination.name, "end a look"))?;
        }
        compared?;
        self.at(Point::After(Step::Compare)).await
    }

    /// Everything, in one go and as fast as it can be: writes wait for it.
    pub(crate) async fn compare_all(&mut self) -> Result<(), MoveError> {
        self.compare_from((0..self.layouts.len()).map(|nth| (nth, None)).collect(), None).await
    }

    /// Every range from these on, those that no longer exist at the source included. With a claim: at the rate of the copy, and each range is
    /// noted under it.
    async fn compare_from(
        &mut self,
        cursors: Vec<(usize, Option<String>)>,
        claim: Option<&Claim>,
    ) -> Result<(), MoveError> {
        let slot = self.plan.slot;
        let size = self.progress.bytes / self.progress.rows.max(1);
        for (nth, mut after) in cursors {
            loop {
                let layout = &self.layouts[nth];
                let bytes = if claim.is_some() { self.throttle.piece(BYTES) } else { BYTES };
                let range = next_range(&mut self.source, layout, slot, after, ROWS, bytes).await?;
                let here = print_range(&mut self.source, layout, slot, &range);
                let there = print_range(&mut self.destination, layout, slot, &range);
                let (here, there) = try_join(here, there).await?;
                if here != there {
                    self.explain(nth, &range).await?;
                }
                if let Some(claim) = claim {
                    // A table that one look holds is looked at again.
                    if range.after.is_some() || range.upto.is_some() {
                        self.note_compared(claim, nth, &range).await?;
                    }
                    self.throttle.pay(u64::try_from(here.0).unwrap_or(0) * size).await;
                }
                match range.upto {
                    Some(upto) => after = Some(upto),
                    None => break,
                }
            }
            self.tell(self.progress.step);
        }
        Ok(())
    }

    async fn note_compared(&mut self, claim: &Claim, nth: usize, range: &Range) -> Result<(), MoveError> {
        let there = self.destination.name.clone();
        let table = format!("{MARK}{}", self.layouts[nth].table.name);
        let mut transaction =
            arriving(Commit::Ordered, &mut self.destination, self.plan.slot, claim, Step::Compare).await?;
        note(&mut transaction, &there, self.plan.move_id, &table, range.upto.as_deref(), &NOTHING).await?;
        transaction.commit().await.map_err(failed(&there, "note what was compared"))
    }

    /// Behind a promotion that has lost rows: each range that is not the source's becomes it. The source is frozen, and the destination closed.
    pub(crate) async fn restore(&mut self, claim: &Claim) -> Result<(), MoveError> {
        let slot = self.plan.slot;
        for nth in 0..self.layouts.len() {
            let mut after = None;
            loop {
                let layout = &self.layouts[nth];
                let range = next_range(&mut self.source, layout, slot, after, ROWS, BYTES).await?;
                let here = print_range(&mut self.source, layout, slot, &range);
                let there = print_range(&mut self.destination, layout, slot, &range);
                if let (here, there) = try_join(here, there).await?
                    && here != there
                {
                    mend(&mut self.source, &mut self.destination, layout, slot, claim, &range).await?;
                }
                match range.upto {
                    Some(upto) => after = Some(upto),
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// Looks at a range key by key. Only keys that the change log still has may differ, and whether it has them is asked under the snapshot
    /// that the source's rows are read with; so no second try is needed, and none could hide a mismatch.
    async fn explain(&mut self, nth: usize, range: &Range) -> Result<(), MoveError> {
        let slot = self.plan.slot;
        let layout = &self.layouts[nth];
        // First the destination, which nobody writes meanwhile: what has reached the source since is in the log.
        let there = prints(&mut self.destination, layout, slot, range).await?;
        let name = self.source.name.clone();
        let mut snapshot = self.source.connection.begin().await.map_err(failed(&name, "begin a snapshot"))?;
        sqlx::raw_sql("set transaction isolation level repeatable read, read only")
            .execute(&mut *snapshot)
            .await
            .map_err(failed(&name, "begin a snapshot"))?;
        let here = prints_on(&mut snapshot, &name, layout, slot, range).await?;
        let waiting: Vec<String> =
            sqlx::query_scalar("select distinct key::text from chat.slot_changes where slot = $1 and kind = $2")
                .bind(slot)
                .bind(layout.table.kind)
                .fetch_all(&mut *snapshot)
                .await
                .map_err(failed(&name, "read the change log"))?;
        snapshot.commit().await.map_err(failed(&name, "end a snapshot"))?;
        let waiting: BTreeSet<String> = waiting.into_iter().collect();
        let differs = |key: &&String| here.get(*key) != there.get(*key) && !waiting.contains(*key);
        match here.keys().chain(there.keys()).find(differs) {
            None => Ok(()),
            Some(key) => Err(MoveError::Mismatch { slot, table: layout.table.name, key: key.clone() }),
        }
    }
}

/// Makes a range at the destination what the source retains, in one transaction.
async fn mend(
    source: &mut Shard,
    destination: &mut Shard,
    layout: &Layout,
    slot: i32,
    claim: &Claim,
    range: &Range,
) -> Result<(), MoveError> {
    let Layout { table, columns, .. } = layout;
    let (name, condition) = (table.name, range.condition(table, slot));
    let read = format!("select coalesce(jsonb_agg(to_jsonb(t)), '[]')::text from chat.{name} t where {condition}");
    let rows: String = sqlx::query_scalar(AssertSqlSafe(read))
        .persistent(false)
        .fetch_one(&mut source.connection)
        .await
        .map_err(failed(&source.name, "read what is retained"))?;
    let there = destination.name.clone();
    let mut transaction = restoring(destination, slot, claim).await?;
    let rows = literal(&rows);
    let replace = format!(
        "delete from chat.{name} where {condition}; \
         insert into chat.{name} ({columns}) select {columns} from jsonb_populate_recordset(null::chat.{name}, {rows}::jsonb)"
    );
    sqlx::raw_sql(AssertSqlSafe(replace))
        .execute(&mut *transaction)
        .await
        .map_err(failed(&there, "write what is retained"))?;
    transaction.commit().await.map_err(failed(&there, "write what is retained"))
}

/// Expressions `print` and `place` of the row `t`; the place is bytes, which every database sorts alike.
pub(crate) fn printed(layout: &Layout) -> String {
    format!("{} as print, convert_to({}, 'UTF8') as place", layout.fingerprint(), layout.table.logged())
}

async fn print_range(shard: &mut Shard, layout: &Layout, slot: i32, range: &Range) -> Result<Print, MoveError> {
    let (table, condition, bounds) = (layout.table, range.condition(layout.table, slot), layout.table.bounds());
    // Most tables' rows come in an order that has no ties, and writing down and sorting their places is most of the work.
    let (rows, order) = if table.is_fully_ordered() {
        (format!("{} as print", layout.fingerprint()), "")
    } else {
        (printed(layout), " order by place")
    };
    let sql = format!(
        "select count(*), encode(sha256(coalesce(string_agg(print, ''::bytea{order}), ''::bytea)), 'hex') \
         from (select {rows} from chat.{} t where {condition} order by {bounds}) x",
        table.name
    );
    sqlx::query_as(AssertSqlSafe(sql))
        .persistent(false)
        .fetch_one(&mut shard.connection)
        .await
        .map_err(failed(&shard.name, "compare rows"))
}

async fn prints(
    shard: &mut Shard,
    layout: &Layout,
    slot: i32,
    range: &Range,
) -> Result<BTreeMap<String, String>, MoveError> {
    prints_on(&mut shard.connection, &shard.name, layout, slot, range).await
}

async fn prints_on(
    connection: &mut sqlx::PgConnection,
    shard: &str,
    layout: &Layout,
    slot: i32,
    range: &Range,
) -> Result<BTreeMap<String, String>, MoveError> {
    let (table, condition) = (layout.table, range.condition(layout.table, slot));
    let sql = format!(
        "select {}, encode({}, 'hex') from chat.{} t where {condition} order by {}",
        table.logged(),
        layout.fingerprint(),
        table.name,
        table.bounds()
    );
    let rows: Vec<(String, String)> = sqlx::query_as(AssertSqlSafe(sql))
        .persistent(false)
        .fetch_all(connection)
        .await
        .map_err(failed(shard, "compare rows one by one"))?;
    Ok(rows.into_iter().collect())
}
