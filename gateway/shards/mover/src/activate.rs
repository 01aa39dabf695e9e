//! S8: the destination begins to accept writes. Any mover of the plan may do it, any number of times.

use chat_shard_protocol::{Refusal, activate, token};
use tokio::time::Instant;

use crate::{
    book,
    error::MoveError,
    flush, lock,
    mover::{Mover, refused},
    observe::{Observer, Point, Step},
    row,
    shard::failed,
};

impl<O: Observer> Mover<O> {
    /// S8, once the source's standbys have flushed S7 (R1).
    pub(crate) async fn activate(&mut self) -> Result<(), MoveError> {
        self.at(Point::Before(Step::Activate)).await?;
        let slot = self.plan.slot;
        let asked = Instant::now();
        let deadline = asked + self.options.standby_patience;
        let flushed = flush::reached(&mut self.source, self.options.source_standbys, deadline).await?;
        let source = row::look(&mut self.source, slot).await?;
        let source = source.ok_or_else(|| self.source_refused(Step::Activate, Refusal::NotHere))?;
        let token = match token(&source, flushed) {
            Ok(token) => token,
            Err(Refusal::NotFlushed) => {
                let waited_ms = asked.elapsed().as_millis();
                return Err(MoveError::Standby { shard: self.source.name.clone(), waited_ms });
            }
            Err(refusal) => return Err(self.source_refused(Step::Activate, refusal)),
        };
        let mut verified = None;
        loop {
            let mut locked = lock::exclusive(&mut self.destination, slot, self.options.lock_patience).await?;
            let shard = locked.site.shard.clone();
            match activate(locked.row.as_ref(), &token, &locked.site, verified) {
                Ok(row) if Some(&row) == locked.row.as_ref() => return Ok(()),
                Ok(row) => {
                    row::write(&mut locked.transaction, &shard, slot, &row).await?;
                    let move_id = self.plan.move_id;
                    book::arrived(&mut locked.transaction, &shard, move_id, slot, &self.source.name).await?;
                    sqlx::query("delete from chat.move_chunks where move_id = $1")
                        .bind(self.plan.move_id)
                        .execute(&mut *locked.transaction)
                        .await
                        .map_err(failed(&shard, "forget the chunks of the copy"))?;
                    return locked.commit().await;
                }
                Err(Refusal::Unverified) if verified.is_none() => {
                    // Its standby was promoted: rows may be missing that the source still has. Neither side changes now.
                    verified = Some(locked.site.timeline);
                    drop(locked);
                    if self.options.restore {
                        let claim =
                            source.claim().ok_or_else(|| self.source_refused(Step::Activate, Refusal::WrongState))?;
                        self.restore(&claim).await?;
                    }
                    self.compare_all().await.map_err(|error| match error {
                        MoveError::Mismatch { slot, table, key } => MoveError::Lost { slot, shard, table, key },
                        other => other,
                    })?;
                }
                Err(refusal) => return Err(refused(slot, &shard, Step::Activate, refusal)),
            }
        }
    }
}
