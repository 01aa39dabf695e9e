//! S5 and the look inside the fence: whether the destination has the source's rows, and no others.

use std::collections::{BTreeMap, BTreeSet};

use chat_shard_protocol::Claim;
use futures::future::try_join;
use sqlx::{AssertSqlSafe, Connection as _};

use crate::{
    begin::arriving,
    copy::next_range,
    drain::{Keys, array},
    error::MoveError,
    layout::Layout,
    mover::Mover,
    observe::{Observer, Point, Step},
    shard::{Shard, failed},
    tables::Range,
};

/// Rows and their fingerprint.
type Print = (i64, String);

/// Rows of a range, as fast as one aggregate allows.
const ROWS: u32 = 10_000;
const BYTES: u64 = 64 << 20;

impl<O: Observer> Mover<O> {
    /// S5: everything, while writes go on.
    pub(crate) async fn compare(&mut self, claim: &Claim) -> Result<(), MoveError> {
        self.tell(Step::Compare);
        self.at(Point::Before(Step::Compare)).await?;
        let compared = self.compare_all().await;
        if let Err(MoveError::Mismatch { .. }) = &compared {
            // Another mover may have taken the move over and drained in between: then it is not ours to judge.
            let transaction = arriving(&mut self.destination, self.plan.slot, claim, Step::Compare).await?;
            transaction.rollback().await.map_err(failed(&self.destination.name, "end a look"))?;
        }
        compared?;
        self.at(Point::After(Step::Compare)).await
    }

    /// Every range of every table, those that no longer exist at the source included.
    pub(crate) async fn compare_all(&mut self) -> Result<(), MoveError> {
        let slot = self.plan.slot;
        for nth in 0..self.layouts.len() {
            let mut after = None;
            loop {
                let layout = &self.layouts[nth];
                let range = next_range(&mut self.source, layout, slot, after, ROWS, BYTES).await?.range;
                let here = print_range(&mut self.source, layout, slot, &range);
                let there = print_range(&mut self.destination, layout, slot, &range);
                let (here, there) = try_join(here, there).await?;
                if here != there {
                    self.explain(nth, &range).await?;
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

    /// In the fence: rows that were drained in it, and that rooms end where their entries do.
    pub(crate) async fn compare_drained(&mut self, keys: &Keys) -> Result<(), MoveError> {
        let slot = self.plan.slot;
        for (nth, keys) in keys {
            let layout = &self.layouts[*nth];
            let table = layout.table.name;
            let keys = array(keys);
            let here = print_keys(&mut self.source, layout, slot, &keys);
            let there = print_keys(&mut self.destination, layout, slot, &keys);
            let (here, there) = try_join(here, there).await?;
            if here != there {
                return Err(MoveError::Mismatch { slot, table, key: keys });
            }
            if table == "rooms" {
                let torn: Option<String> = sqlx::query_scalar(AssertSqlSafe(format!(
                    "with {} select t.room_id::text from k join chat.rooms t on {} where t.last_seq <> coalesce( \
                     (select m.seq from chat.messages m where m.slot = t.slot and m.room_id = t.room_id \
                      order by m.seq desc limit 1), 0) limit 1",
                    layout.table.keys(),
                    layout.table.is_key()
                )))
                .bind(slot)
                .bind(&keys)
                .fetch_optional(&mut self.destination.connection)
                .await
                .map_err(failed(&self.destination.name, "compare rooms with their entries"))?;
                if let Some(key) = torn {
                    return Err(MoveError::Mismatch { slot, table, key });
                }
            }
        }
        Ok(())
    }
}

const PRINT: &str =
    "select count(*), encode(sha256(coalesce(string_agg(print, ''::bytea order by place), ''::bytea)), 'hex')";

/// Expressions `print` and `place` of the row `t`; the place is bytes, which every database sorts alike.
fn printed(layout: &Layout) -> String {
    format!("{} as print, convert_to({}, 'UTF8') as place", layout.fingerprint(), layout.table.logged())
}

async fn print_range(shard: &mut Shard, layout: &Layout, slot: i32, range: &Range) -> Result<Print, MoveError> {
    let (name, condition) = (layout.table.name, range.condition(layout.table, slot));
    let bounds = layout.table.bounds();
    let sql =
        format!("{PRINT} from (select {} from chat.{name} t where {condition} order by {bounds}) x", printed(layout));
    sqlx::query_as(AssertSqlSafe(sql))
        .persistent(false)
        .fetch_one(&mut shard.connection)
        .await
        .map_err(failed(&shard.name, "compare rows"))
}

async fn print_keys(shard: &mut Shard, layout: &Layout, slot: i32, keys: &str) -> Result<Print, MoveError> {
    let table = layout.table;
    let sql = format!(
        "with {} {PRINT} from (select {} from k join chat.{} t on {}) x",
        table.keys(),
        printed(layout),
        table.name,
        table.is_key()
    );
    sqlx::query_as(AssertSqlSafe(sql))
        .bind(slot)
        .bind(keys)
        .fetch_one(&mut shard.connection)
        .await
        .map_err(failed(&shard.name, "compare rows that were drained"))
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
