//! S1 and S2: the mover takes charge at the source, and makes room at the destination.

use chat_shard_protocol::{Claim, Claimed, Order, Refusal, Row, Site, State, Transit, claim, prepare};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, Transaction};
use tokio::time::{Duration, Instant, sleep};
use uuid::Uuid;

use crate::{
    error::MoveError,
    flush,
    lock::{self, Commit},
    mover::{Mover, refused},
    observe::{Observer, Point, Step},
    row::{self, Hold},
    shard::{Shard, failed},
};

/// Rows that one transaction deletes.
pub(crate) const BATCH: u64 = 5_000;
/// In place of a table's name in `chat.move_chunks`: the destination was emptied before the first chunk.
const EMPTIED: &str = "";

/// The id of the move from one shard to the other that a slot is in, or that has taken it there; also of one that was given up at the source
/// and not yet at the destination.
///
/// # Errors
/// The databases'.
pub async fn pending(source: &mut Shard, destination: &mut Shard, slot: i32) -> Result<Option<Uuid>, MoveError> {
    let id = |transit: Transit<String>, peer: &str| (transit.peer == peer).then(|| Uuid::from_u128(transit.move_id.0));
    let leaving = match row::look(source, slot).await?.map(|row| row.state) {
        Some(State::Migrating(transit) | State::Fenced(transit, _) | State::Moved(transit)) => {
            id(transit, &destination.name)
        }
        _ => None,
    };
    if leaving.is_some() {
        return Ok(leaving);
    }
    Ok(match row::look(destination, slot).await?.map(|row| row.state) {
        Some(State::Importing(transit, _)) => id(transit, &source.name),
        _ => None,
    })
}

impl<O: Observer> Mover<O> {
    /// S1.
    pub(crate) async fn claim(&mut self) -> Result<Claimed<String>, MoveError> {
        self.tell(Step::Claim);
        self.at(Point::Before(Step::Claim)).await?;
        let slot = self.plan.slot;
        let moved = row::look(&mut self.source, slot).await?;
        let mut flushed = false;
        if moved.is_some_and(|row| matches!(row.state, State::Moved(_))) {
            let patience = Instant::now() + self.options.standby_patience;
            flushed = flush::reached(&mut self.source, self.options.source_standbys, patience).await?;
        }
        // A fence of a mover that died ends by itself, and only then is the move claimed.
        let deadline = Instant::now() + 4 * self.options.fence;
        let claimed = loop {
            match self.try_claim(flushed).await {
                Err(MoveError::Refused { refusal: Refusal::FenceHolds, .. }) if Instant::now() < deadline => {
                    self.let_go().await;
                    sleep(Duration::from_millis(20)).await;
                }
                other => break other?,
            }
        };
        if matches!(claimed, Claimed::Committed(_)) {
            self.let_go().await;
        }
        self.at(Point::After(Step::Claim)).await?;
        Ok(claimed)
    }

    async fn try_claim(&mut self, flushed: bool) -> Result<Claimed<String>, MoveError> {
        let slot = self.plan.slot;
        let (move_id, epoch) = (self.move_id(), self.epoch());
        let mut locked = lock::exclusive(&mut self.source, slot, self.options.lock_patience).await?;
        let present = locked.row.as_ref().map(|row| row.epoch);
        let Some(epoch) = epoch.or(present) else {
            return Err(refused(slot, &locked.site.shard, Step::Claim, Refusal::NotHere));
        };
        let order = Order { move_id, to: self.destination.name.clone(), epoch };
        let claimed = claim(locked.row.as_ref(), &order, &locked.site, flushed)
            .map_err(|refusal| refused(slot, &locked.site.shard, Step::Claim, refusal))?;
        if let Claimed::Claimed { row, afresh, .. } = &claimed {
            let shard = locked.site.shard.clone();
            row::write(locked.transaction(), &shard, slot, row).await?;
            if *afresh {
                sqlx::query("delete from chat.slot_changes where slot = $1")
                    .bind(slot)
                    .execute(locked.transaction())
                    .await
                    .map_err(failed(&shard, "empty the change log"))?;
            }
            locked.commit().await?;
        }
        Ok(claimed)
    }

    /// S2.
    pub(crate) async fn prepare(&mut self, claim: &Claim) -> Result<(), MoveError> {
        self.tell(Step::Prepare);
        self.at(Point::Before(Step::Prepare)).await?;
        let slot = self.plan.slot;
        let move_id = self.plan.move_id;
        let mut locked = lock::exclusive(&mut self.destination, slot, self.options.lock_patience).await?;
        let prepared = prepare(locked.row.as_ref(), claim, &self.source.name, &locked.site)
            .map_err(|refusal| refused(slot, &locked.site.shard, Step::Prepare, refusal))?;
        let shard = locked.site.shard.clone();
        if prepared.afresh {
            sqlx::query("delete from chat.move_chunks where move_id = $1")
                .bind(move_id)
                .execute(locked.transaction())
                .await
                .map_err(failed(&shard, "forget the chunks of an earlier copy"))?;
        }
        row::write(locked.transaction(), &shard, slot, &prepared.row).await?;
        locked.commit().await?;
        // The emptying has a mark of its own: a claimant that resumes this copy finishes it before it goes on.
        let emptied: bool =
            sqlx::query_scalar("select exists (select from chat.move_chunks where move_id = $1 and table_name = $2)")
                .bind(move_id)
                .bind(EMPTIED)
                .fetch_one(&mut self.destination.connection)
                .await
                .map_err(failed(&shard, "look whether the slot was emptied"))?;
        if !emptied {
            self.empty(claim).await?;
        }
        self.at(Point::After(Step::Prepare)).await
    }

    /// Deletes what an earlier move has left at the destination, and marks that it did.
    async fn empty(&mut self, claim: &Claim) -> Result<(), MoveError> {
        let slot = self.plan.slot;
        let shard = self.destination.name.clone();
        let tables = self.layouts.iter().map(|layout| layout.table.name);
        let has_rows = tables.map(|name| format!("exists (select from chat.{name} where slot = {slot})"));
        let has_rows: Vec<bool> =
            sqlx::query_scalar(AssertSqlSafe(format!("select array[{}]", has_rows.collect::<Vec<_>>().join(", "))))
                .fetch_one(&mut self.destination.connection)
                .await
                .map_err(failed(&shard, "look for leftovers"))?;
        for (layout, _) in self.layouts.iter().zip(has_rows).filter(|(_, has_rows)| *has_rows) {
            loop {
                let transaction = arriving(Commit::Ordered, &mut self.destination, slot, claim, Step::Prepare).await?;
                let gone = delete_batch(transaction, &shard, layout.table.name, slot, "delete leftovers").await?;
                if gone < BATCH {
                    break;
                }
            }
        }
        let mut transaction = arriving(Commit::Ordered, &mut self.destination, slot, claim, Step::Prepare).await?;
        sqlx::query(
            "insert into chat.move_chunks (move_id, table_name, upto, rows, bytes, hash) values ($1, $2, '', 0, 0, '')",
        )
        .bind(self.plan.move_id)
        .bind(EMPTIED)
        .execute(&mut *transaction)
        .await
        .map_err(failed(&shard, "mark the slot as emptied"))?;
        transaction.commit().await.map_err(failed(&shard, "mark the slot as emptied"))
    }
}

/// Deletes at most [`BATCH`] rows of a slot and commits; how many.
pub(crate) async fn delete_batch(
    mut transaction: Transaction<'_, Postgres>,
    shard: &str,
    table: &str,
    slot: i32,
    doing: &'static str,
) -> Result<u64, MoveError> {
    let sql = format!(
        "delete from chat.{table} where ctid = any (array(select ctid from chat.{table} where slot = {slot} limit {BATCH}))"
    );
    let deleted = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await.map_err(failed(shard, doing))?;
    transaction.commit().await.map_err(failed(shard, doing))?;
    Ok(deleted.rows_affected())
}

/// Begins a transaction at the destination that may write rows of the slot (S3, S4, S6b): it holds the slot's row, which obeys
/// the claim, until it ends. [`Commit::Ordered`] is for what is found missing by its own mark after a crash, and done again.
pub(crate) async fn arriving<'c>(
    end: Commit,
    destination: &'c mut Shard,
    slot: i32,
    claim: &Claim,
    step: Step,
) -> Result<Transaction<'c, Postgres>, MoveError> {
    holding(end, destination, slot, step, |row, site| chat_shard_protocol::apply(row, claim, site)).await
}

/// As [`arriving`], behind S7 and a promotion that has lost rows.
pub(crate) async fn restoring<'c>(
    destination: &'c mut Shard,
    slot: i32,
    claim: &Claim,
) -> Result<Transaction<'c, Postgres>, MoveError> {
    holding(Commit::Flushed, destination, slot, Step::Activate, |row, _| chat_shard_protocol::restore(row, claim)).await
}

/// As [`arriving`], at the source, for keys of the change log to be forgotten. It does not wait for the disk: keys that a crash brings back are
/// drained again.
pub(crate) async fn leaving<'c>(
    source: &'c mut Shard,
    slot: i32,
    claim: &Claim,
    step: Step,
) -> Result<Transaction<'c, Postgres>, MoveError> {
    holding(Commit::Ordered, source, slot, step, |row, site| chat_shard_protocol::forget(row, claim, site)).await
}

async fn holding<'c>(
    end: Commit,
    shard: &'c mut Shard,
    slot: i32,
    step: Step,
    obeys: impl FnOnce(Option<&Row<String>>, &Site<String>) -> Result<(), Refusal>,
) -> Result<Transaction<'c, Postgres>, MoveError> {
    let name = shard.name.clone();
    let begin = match end {
        Commit::Flushed => "begin",
        // A mover that freezes in a chunk must not hold the slot's row until it wakes.
        Commit::Ordered => "begin; set local synchronous_commit = off; set local statement_timeout = '60s'",
    };
    let mut transaction = shard.connection.begin_with(begin).await.map_err(failed(&name, "begin a transaction"))?;
    hold(&mut transaction, &name, slot, step, obeys).await?;
    Ok(transaction)
}

/// Holds the slot's row, which must obey, until the transaction ends.
pub(crate) async fn hold(
    transaction: &mut PgConnection,
    shard: &str,
    slot: i32,
    step: Step,
    obeys: impl FnOnce(Option<&Row<String>>, &Site<String>) -> Result<(), Refusal>,
) -> Result<(), MoveError> {
    let (row, site) = row::read(transaction, shard, slot, Hold::Row).await?;
    obeys(row.as_ref(), &site).map_err(|refusal| refused(slot, shard, step, refusal))
}

/// Begins a transaction.
pub(crate) async fn begin(shard: &mut Shard) -> Result<Transaction<'_, Postgres>, MoveError> {
    shard.connection.begin().await.map_err(failed(&shard.name, "begin a transaction"))
}
