//! S6 to S8: writes wait for a bounded time, the rest is brought over, and the slot is handed over or stays.

use chat_shard_protocol::{Claim, CommitProof, Millis, Refusal, commit, fence};
use futures::future::try_join;
use sqlx::{Row as _, postgres::PgRow};
use tokio::time::{Duration, Instant, sleep};

use crate::{
    activate::{Opened, Opening},
    begin::hold,
    drain::{Batch, read, replace_all},
    error::MoveError,
    flush::{self, LOOK, Look},
    lock::{Begun, Commit, oldest_holder},
    mover::{Mover, millis, refused},
    observe::{Observer, Point, Step, at},
    prints::Prints,
    row,
    shard::failed,
};

/// Between two drains while it is too early for a fence.
const LULL: Duration = Duration::from_millis(100);
/// Keys that may wait when writes do. More would take longer than a fence lasts.
const SETTLED: u32 = 10_000;

/// What became of a fence.
pub(crate) enum Fenced {
    /// It ended before the hand-over, or is about to; the slot is the source's.
    Ended,
    /// The slot is the destination's, for which writes wait since then.
    Committed { since: Instant },
    /// Writes go on at the destination, after they have waited for so long.
    Opened { after: Duration },
}

impl<O: Observer> Mover<O> {
    /// S6 to S8, if all goes well; S8 is left to whoever asks again where the source's standbys need time, or rows have to be looked at first.
    ///
    /// Writers wait from the first lock on, so what goes to a database goes in as few packets as there can be, and each transaction begins with
    /// the end of the one before.
    pub(crate) async fn fence(&mut self, claim: &Claim) -> Result<Fenced, MoveError> {
        self.tell(Step::Fence);
        self.at(Point::Before(Step::Fence)).await?;
        self.wait_for_quiet(claim).await?;
        let Self { plan, source, destination, options, observer, layouts, progress, report, .. } = self;
        let slot = plan.slot;
        let (from, to) = (source.name.clone(), destination.name.clone());

        // Writes that a crash lets pass after all are in the same log behind it, and S7 does not find its fence then.
        let locked = Begun::new(source).await?.lock(Commit::Ordered, slot, options.lock_patience, "").await?;
        let lasts = Millis(millis(options.fence));
        let fenced = fence(locked.row.as_ref(), claim, &locked.site, lasts)
            .map_err(|refusal| refused(slot, &from, Step::Fence, refusal))?;
        let since = locked.since;
        let setting = row::written(&from, slot, &fenced)?;
        let ((mut here, _), mut there) = try_join(locked.begun.finish(&setting, ""), Begun::new(destination)).await?;
        report.fences += 1;
        // By our clock and from before the database set it: never later than the database's own deadline less the margin.
        let deadline = since + options.fence - options.margin;
        at(observer, slot, Point::After(Step::Fence)).await?;

        progress.step = Step::Settle;
        observer.progress(progress);
        at(observer, slot, Point::Before(Step::Settle)).await?;
        if Instant::now() >= deadline {
            return Ok(Fenced::Ended);
        }
        // A source that lets the fence lapse, or another mover, shows in the claim that every transaction checks.
        let reading = read(&mut here.transaction, &from, layouts, slot, SETTLED);
        let holding = hold(&mut there.transaction, &to, slot, Step::Settle, |row, site| {
            chat_shard_protocol::apply(row, claim, site)
        });
        let (batch, ()) = try_join(reading, holding).await?;
        if batch.is_full(SETTLED) {
            return Ok(Fenced::Ended);
        }
        let prints = Prints::of(layouts, slot, &batch.changed);
        let statements = replace_all(layouts, slot, &batch.changed);
        let arriving = prints.behind(there, &statements);
        let (kept, (there, arrived, look)) = try_join(prints.at_source(&mut here), arriving).await?;
        if !batch.entries.is_empty() {
            at(observer, slot, Point::Applied).await?;
        }
        if let Err(mismatch) = prints.compare(slot, &kept, arrived) {
            // Behind the deadline writers may have changed these rows between the two looks.
            return if Instant::now() < deadline { Err(mismatch) } else { Ok(Fenced::Ended) };
        }
        progress.backlog = 0;
        let there = if look.is_flushed(options.destination_standbys) {
            there
        } else {
            drop(there);
            if !flush::waited(destination, look, options.destination_standbys, deadline).await? {
                return Ok(Fenced::Ended);
            }
            Begun::new(destination).await?
        };
        at(observer, slot, Point::After(Step::Settle)).await?;

        progress.step = Step::Commit;
        observer.progress(progress);
        at(observer, slot, Point::Before(Step::Commit)).await?;
        let patience = deadline.saturating_duration_since(Instant::now());
        let locked = match here.lock(Commit::Flushed, slot, patience, &forget(slot, &batch)).await {
            Err(MoveError::Busy { .. }) => return Ok(Fenced::Ended),
            other => other?,
        };
        let is_empty = |row: &PgRow| row.try_get(0).map_err(failed(&from, "look at the change log"));
        let log_is_empty = locked.answer.as_ref().map(is_empty).transpose()?.unwrap_or(false);
        let proof = CommitProof { log_is_empty, destination_is_flushed: true };
        let margin = Millis(millis(options.margin));
        let moved = match commit(locked.row.as_ref(), claim, &locked.site, margin, proof) {
            Ok(moved) => moved,
            Err(Refusal::FenceLapsed | Refusal::LogNotEmpty) => return Ok(Fenced::Ended),
            Err(refusal) => return Err(refused(slot, &from, Step::Commit, refusal)),
        };
        let row = row::written(&from, slot, &moved)?;
        // For who does S8 when this mover is dead.
        let rule = format!("update chat.slot_ownership set standbys = {} where slot = {slot}", options.source_standbys);
        let (_, looks) = locked.begun.finish(&format!("{row}; {rule}"), LOOK).await?;
        at(observer, slot, Point::After(Step::Commit)).await?;

        let look = looks.first().map(Look::of).transpose().map_err(failed(&from, "look at the standbys"))?;
        if !look.is_some_and(|look| look.is_flushed(options.source_standbys)) {
            return Ok(Fenced::Committed { since });
        }
        at(observer, slot, Point::Before(Step::Activate)).await?;
        let opening = Opening { plan: *plan, source: &moved, from: &from, patience: options.lock_patience };
        Ok(match opening.open(there, None).await? {
            Opened::Done => Fenced::Opened { after: since.elapsed() },
            Opened::Unverified(_) => Fenced::Committed { since },
        })
    }

    /// Until few keys wait, and no long transaction would make writers wait for it.
    async fn wait_for_quiet(&mut self, claim: &Claim) -> Result<(), MoveError> {
        let slot = self.plan.slot;
        while let Some(left) = self.options.fence_from.checked_duration_since(Instant::now()) {
            self.drain_batch(claim, Step::Fence).await?;
            sleep(left.min(LULL)).await;
        }
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
}

/// Takes keys out of the log that the destination has, with the transaction of S7, and tells whether there are no others.
fn forget(slot: i32, batch: &Batch) -> String {
    let entries: Vec<String> = batch.entries.iter().map(ToString::to_string).collect();
    format!(
        "with known as materialized (select n from unnest(array[{}]::bigint[]) n), \
         gone as (delete from chat.slot_changes c using known k where c.n = k.n) \
         select not exists (select from chat.slot_changes where slot = {slot} and n not in (select n from known))",
        entries.join(", ")
    )
}
