//! S8: the destination begins to accept writes. Any mover of the plan may do it, any number of times.

use std::time::Duration;

use chat_shard_protocol::{Refusal, Row, Timeline, activate, token};
use tokio::time::Instant;

use crate::{
    book,
    error::MoveError,
    flush,
    lock::{Begun, Commit, Locked},
    mover::{Mover, Plan, refused},
    observe::{Observer, Point, Step},
    row,
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
        if !flushed {
            // What is not there to be activated is refused first.
            token(&source, true).map_err(|refusal| self.source_refused(Step::Activate, refusal))?;
            let waited_ms = asked.elapsed().as_millis();
            return Err(MoveError::Standby { shard: self.source.name.clone(), waited_ms });
        }
        let from = self.source.name.clone();
        let opening = Opening { plan: self.plan, source: &source, from: &from, patience: self.options.lock_patience };
        let opened = opening.open(Begun::new(&mut self.destination).await?, None).await?;
        let Opened::Unverified(timeline) = opened else { return Ok(()) };
        // Its standby was promoted: rows may be missing that the source still has. Neither side changes now.
        if self.options.restore {
            let claim = source.claim().ok_or_else(|| self.source_refused(Step::Activate, Refusal::WrongState))?;
            self.restore(&claim).await?;
        }
        let shard = self.destination.name.clone();
        self.compare_all().await.map_err(|error| match error {
            MoveError::Mismatch { slot, table, key } => MoveError::Lost { slot, shard, table, key },
            other => other,
        })?;
        let opened = opening.open(Begun::new(&mut self.destination).await?, Some(timeline)).await?;
        match opened {
            Opened::Done => Ok(()),
            Opened::Unverified(_) => Err(refused(slot, &self.destination.name, Step::Activate, Refusal::Unverified)),
        }
    }
}

/// What opens the destination, once the source's standbys have flushed S7 (R1).
pub(crate) struct Opening<'a> {
    pub(crate) plan: Plan,
    /// The source's row.
    pub(crate) source: &'a Row<String>,
    /// Its shard.
    pub(crate) from: &'a str,
    pub(crate) patience: Duration,
}

/// What became of it.
pub(crate) enum Opened {
    Done,
    /// Only after a look at its rows, which are those of this timeline.
    Unverified(Timeline),
}

impl Opening<'_> {
    /// The transition in the destination. What is acknowledged there afterwards is behind it in the same log, so it need not wait for the disk.
    pub(crate) async fn open(&self, begun: Begun<'_>, verified: Option<Timeline>) -> Result<Opened, MoveError> {
        let Plan { slot, move_id, .. } = self.plan;
        let token = token(self.source, true).map_err(|refusal| refused(slot, self.from, Step::Activate, refusal))?;
        let Locked { begun, row, site, .. } = begun.lock(Commit::Ordered, slot, self.patience, "").await?;
        match activate(row.as_ref(), &token, &site, verified) {
            Ok(opened) if Some(&opened) == row.as_ref() => Ok(Opened::Done),
            Ok(opened) => {
                let (row, note) = (row::written(&site.shard, slot, &opened)?, book::arrived(move_id, slot, self.from));
                begun.finish(&format!("{row}; {note}"), "").await?;
                Ok(Opened::Done)
            }
            Err(Refusal::Unverified) if verified.is_none() => Ok(Opened::Unverified(site.timeline)),
            Err(refusal) => Err(refused(slot, &site.shard, Step::Activate, refusal)),
        }
    }
}
