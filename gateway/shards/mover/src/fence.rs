//! S6, S6b and S7: writes wait for a bounded time, the rest is brought over, and the slot is handed over or stays.

use chat_shard_protocol::{Claim, CommitProof, Millis, Refusal, commit, fence};
use tokio::time::{Duration, Instant, sleep};

use crate::{
    drain::Batch,
    error::MoveError,
    flush,
    lock::{self, oldest_holder},
    mover::{Mover, millis, refused},
    observe::{Observer, Point, Step},
    row,
    shard::failed,
};

/// What became of a fence.
pub(crate) enum Fenced {
    /// It ended before the hand-over, or is about to; the slot is the source's.
    Ended,
    /// The slot is the destination's. `since`: writes have waited from then on.
    Committed { since: Instant },
}

impl<O: Observer> Mover<O> {
    /// S6 to S7.
    pub(crate) async fn fence(&mut self, claim: &Claim) -> Result<Fenced, MoveError> {
        self.tell(Step::Fence);
        self.at(Point::Before(Step::Fence)).await?;
        self.wait_for_quiet(claim).await?;
        let since = self.set(claim).await?;
        self.report.fences += 1;
        // By our clock and from before the database set it: never later than the database's own deadline less the margin.
        let deadline = since + self.options.fence - self.options.margin;
        self.at(Point::After(Step::Fence)).await?;
        self.tell(Step::Settle);
        self.at(Point::Before(Step::Settle)).await?;
        let Some(last) = self.settle(claim, deadline).await? else { return Ok(Fenced::Ended) };
        self.at(Point::After(Step::Settle)).await?;
        self.tell(Step::Commit);
        self.at(Point::Before(Step::Commit)).await?;
        if !self.commit(claim, deadline, &last).await? {
            return Ok(Fenced::Ended);
        }
        self.at(Point::After(Step::Commit)).await?;
        Ok(Fenced::Committed { since })
    }

    /// Until few keys wait, and no long transaction would make writers wait for it.
    async fn wait_for_quiet(&mut self, claim: &Claim) -> Result<(), MoveError> {
        let slot = self.plan.slot;
        let started = Instant::now();
        loop {
            self.drain_to_threshold(claim).await?;
            // What is brought over now need not be while writes wait.
            self.drain_batch(claim, Step::Fence).await?;
            // Where every transaction is that long, none of them is what to wait for: the longer the wait, the older they may be. How long
            // writers queue behind them is bounded by the lock's timeout all the same.
            let patience = 1 + u32::try_from(started.elapsed().as_secs() / 2).unwrap_or(u32::MAX - 1);
            if oldest_holder(&mut self.source, slot).await?
                <= millis(self.options.long_transaction.saturating_mul(patience))
            {
                return Ok(());
            }
            if started.elapsed() > self.options.lock_patience {
                let waited_ms = started.elapsed().as_millis();
                return Err(MoveError::Busy { slot, shard: self.source.name.clone(), waited_ms });
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// S6; since when writers have waited.
    async fn set(&mut self, claim: &Claim) -> Result<Instant, MoveError> {
        let slot = self.plan.slot;
        let lasts = Millis(millis(self.options.fence));
        let mut locked = lock::exclusive(&mut self.source, slot, self.options.lock_patience).await?;
        let shard = locked.site.shard.clone();
        let row = fence(locked.row.as_ref(), claim, &locked.site, lasts)
            .map_err(|refusal| refused(slot, &shard, Step::Fence, refusal))?;
        row::write(&mut locked.transaction, &shard, slot, &row).await?;
        let since = locked.since;
        locked.commit().await?;
        Ok(since)
    }

    /// S6b: the log to its end, a look at what it brought, and the destination's standbys (R2). The last keys stay in the log until S7, which
    /// takes them out. None: the time is over.
    async fn settle(&mut self, claim: &Claim, deadline: Instant) -> Result<Option<Batch>, MoveError> {
        let mut settled = Vec::new();
        let last = loop {
            if Instant::now() >= deadline {
                return Ok(None);
            }
            // A source that lets the fence lapse, or another mover, shows in the claim that every transaction checks.
            let mut batch = self.bring(claim, Step::Settle).await?;
            settled.append(&mut batch.changed);
            // Nobody writes to the log behind the fence: what one look can hold is all.
            if !batch.is_full() {
                break batch;
            }
            self.forget(claim, Step::Settle, &batch).await?;
        };
        // All of them together: a room may have come with an earlier batch than the last of its entries.
        if let Err(mismatch) = self.compare_drained(&settled).await {
            // Behind the deadline writers may have changed these rows between the two looks.
            return if Instant::now() < deadline { Err(mismatch) } else { Ok(None) };
        }
        self.progress.backlog = 0;
        let flushed = flush::reached(&mut self.destination, self.options.destination_standbys, deadline).await?;
        Ok(flushed.then_some(last))
    }

    /// S7. False: the fence has ended, or was not empty-handed.
    async fn commit(&mut self, claim: &Claim, deadline: Instant, last: &Batch) -> Result<bool, MoveError> {
        let slot = self.plan.slot;
        let margin = Millis(millis(self.options.margin));
        let patience = deadline.saturating_duration_since(Instant::now());
        let mut locked = match lock::exclusive(&mut self.source, slot, patience).await {
            Err(MoveError::Busy { .. }) => return Ok(false),
            other => other?,
        };
        let shard = locked.site.shard.clone();
        // The keys that the destination has go with this transaction, or stay with it.
        let forget = "with gone as (delete from chat.slot_changes where n = any ($2)) \
            select not exists (select from chat.slot_changes where slot = $1 and n <> all ($2))";
        let log_is_empty: bool = sqlx::query_scalar(forget)
            .bind(slot)
            .bind(&last.entries)
            .fetch_one(&mut *locked.transaction)
            .await
            .map_err(failed(&shard, "look at the change log"))?;
        let proof = CommitProof { log_is_empty, destination_is_flushed: true };
        match commit(locked.row.as_ref(), claim, &locked.site, margin, proof) {
            Ok(row) => {
                row::write(&mut locked.transaction, &shard, slot, &row).await?;
                locked.commit().await?;
                Ok(true)
            }
            Err(Refusal::FenceLapsed | Refusal::LogNotEmpty) => Ok(false),
            Err(refusal) => Err(refused(slot, &shard, Step::Commit, refusal)),
        }
    }
}
