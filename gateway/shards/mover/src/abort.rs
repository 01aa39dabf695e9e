//! Giving a move up, the source first, and the end of a fence that a promotion has kept from ending by itself.

use chat_shard_protocol::{Refusal, State, abort, discard, unfence};
use sqlx::AssertSqlSafe;

use crate::{
    begin::{BATCH, begin, delete_batch},
    error::MoveError,
    lock,
    mover::{Mover, refused},
    observe::{Observer, Point, Step},
    row::{self, Hold},
    shard::failed,
    tables::TABLES,
};

impl<O: Observer> Mover<O> {
    /// Gives the move up: the source accepts writes at once, the log is dropped, and what had arrived is deleted. Again, it goes on where it
    /// was interrupted.
    ///
    /// # Errors
    /// [`Refusal::Moved`] when the slot has been handed over: then only a move back undoes it. [`Refusal::OtherMove`]; the databases'.
    pub async fn abort(&mut self) -> Result<(), MoveError> {
        let given_up = self.give_up().await;
        self.let_go().await;
        given_up
    }

    async fn give_up(&mut self) -> Result<(), MoveError> {
        self.tell(Step::Abort);
        self.at(Point::Before(Step::Abort)).await?;
        let (slot, move_id) = (self.plan.slot, self.move_id());
        let mut locked = lock::exclusive(&mut self.source, slot, self.options.lock_patience).await?;
        let shard = locked.site.shard.clone();
        let row = abort(locked.row.as_ref(), move_id).map_err(|refusal| refused(slot, &shard, Step::Abort, refusal))?;
        if Some(&row) != locked.row.as_ref() {
            row::write(locked.transaction(), &shard, slot, &row).await?;
        }
        locked.commit().await?;
        self.drop_log().await?;
        self.discard().await?;
        self.at(Point::After(Step::Abort)).await
    }

    /// Deletes the keys of a slot that no mover waits for. Outside the slot's lock, which writers would wait for.
    async fn drop_log(&mut self) -> Result<(), MoveError> {
        let slot = self.plan.slot;
        let name = self.source.name.clone();
        loop {
            let mut transaction = begin(&mut self.source).await?;
            let (row, _) = row::read(&mut transaction, &name, slot, Hold::Row).await?;
            if !row.is_some_and(|row| row.state == State::Owned) {
                // Another move has begun, and with it another log.
                return Ok(());
            }
            if delete_batch(transaction, &name, "slot_changes", slot, "drop the change log").await? < BATCH {
                return Ok(());
            }
        }
    }

    /// Deletes what had arrived, and at last the destination's row.
    async fn discard(&mut self) -> Result<(), MoveError> {
        let (slot, move_id) = (self.plan.slot, self.move_id());
        let name = self.destination.name.clone();
        let source = row::look(&mut self.source, slot).await?;
        for table in TABLES {
            loop {
                let mut transaction = begin(&mut self.destination).await?;
                let (row, _) = row::read(&mut transaction, &name, slot, Hold::Row).await?;
                match discard(row.as_ref(), source.as_ref(), move_id) {
                    Ok(()) => {}
                    // It never heard of the move, or has left it behind already.
                    Err(Refusal::NotHere | Refusal::WrongState | Refusal::OtherMove) => return Ok(()),
                    Err(refusal) => return Err(refused(slot, &name, Step::Abort, refusal)),
                }
                if delete_batch(transaction, &name, table.name, slot, "delete what had arrived").await? < BATCH {
                    break;
                }
            }
        }
        let mut locked = lock::exclusive(&mut self.destination, slot, self.options.lock_patience).await?;
        if discard(locked.row.as_ref(), source.as_ref(), move_id).is_err() {
            return Ok(());
        }
        // A mover that has not heard may have copied a chunk since: it is refused once the row is gone.
        let tables = TABLES.iter().map(|table| format!("delete from chat.{} where slot = {slot};", table.name));
        let rest: String = tables.collect();
        let books = format!(
            "delete from chat.slot_ownership where slot = {slot}; delete from chat.move_chunks where move_id = '{}'",
            self.plan.move_id
        );
        sqlx::raw_sql(AssertSqlSafe(format!("{rest} {books}")))
            .execute(locked.transaction())
            .await
            .map_err(failed(&name, "delete the row of the aborted move"))?;
        locked.commit().await
    }

    /// Ends a fence that the source's promotion has kept from ending by itself, after a look at the destination (rule R4).
    ///
    /// # Errors
    /// [`Refusal::FenceHolds`] on the fence's own timeline, [`Refusal::Owned`] by the destination, [`Refusal::WrongState`]; the databases'.
    pub async fn unfence(&mut self) -> Result<(), MoveError> {
        let ended = self.end_fence().await;
        self.let_go().await;
        ended
    }

    async fn end_fence(&mut self) -> Result<(), MoveError> {
        let slot = self.plan.slot;
        let destination = row::look(&mut self.destination, slot).await?;
        let mut locked = lock::exclusive(&mut self.source, slot, self.options.lock_patience).await?;
        let shard = locked.site.shard.clone();
        let row = unfence(locked.row.as_ref(), &locked.site, destination.as_ref())
            .map_err(|refusal| refused(slot, &shard, Step::Fence, refusal))?;
        row::write(locked.transaction(), &shard, slot, &row).await?;
        locked.commit().await
    }
}
