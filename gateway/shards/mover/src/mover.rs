//! One move from its claim to its activation.

use std::time::Duration;

use chat_shard_protocol::{Claim, Claimed, Epoch, MoveId, Refusal};
use serde::Serialize;
use sqlx::Connection as _;
use uuid::Uuid;

use crate::{
    book,
    error::MoveError,
    fence::Fenced,
    flush,
    layout::{self, Layout},
    observe::{self, Observer, Point, Progress, Step},
    options::Options,
    shard::Shard,
    throttle::Throttle,
};

/// What is to be moved (S0). Source and destination are the two shards of the [`Mover`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The slot.
    pub slot: i32,
    /// The move's id: the same one goes on with a move that was interrupted.
    pub move_id: Uuid,
    /// The source's epoch that the plan was made for; none: whatever it is.
    pub epoch: Option<u64>,
}

/// What a move came to. The destination owns the slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Rows that were copied, without those that were drained.
    pub rows: u64,
    /// Their bytes in the binary COPY format.
    pub bytes: u64,
    /// How long this call copied, in milliseconds.
    pub copy_ms: u64,
    /// How long writes waited at most, in milliseconds, from the request for the fence's lock to the activation; none when
    /// another mover had handed the slot over.
    pub pause_ms: Option<u64>,
    /// Fences that this call set.
    pub fences: u32,
}

/// Moves one slot from one shard to another. Sessions and claim are its own: a mover that failed is thrown away, and a new one
/// with the same plan goes on.
pub struct Mover<O> {
    pub(crate) plan: Plan,
    pub(crate) source: Shard,
    pub(crate) destination: Shard,
    pub(crate) options: Options,
    pub(crate) observer: O,
    pub(crate) throttle: Throttle,
    pub(crate) layouts: Vec<Layout>,
    pub(crate) progress: Progress,
    pub(crate) report: Report,
    /// The claim of the copy that S5 has found whole.
    pub(crate) compared: Option<Claim>,
}

impl<O: Observer> Mover<O> {
    /// Makes a mover, after a look at both schemas.
    ///
    /// # Errors
    /// [`MoveError::Schema`], or the databases'.
    pub async fn new(
        plan: Plan,
        mut source: Shard,
        mut destination: Shard,
        options: Options,
        observer: O,
    ) -> Result<Self, MoveError> {
        if source.name == destination.name {
            return Err(refused(plan.slot, &source.name, Step::Claim, Refusal::OntoItself));
        }
        let layouts = layout::check(&mut source, &mut destination).await?;
        let progress = Progress { slot: plan.slot, step: Step::Claim, rows: 0, bytes: 0, backlog: 0, pause_ms: None };
        let throttle = Throttle::new(options.bytes_per_second, options.gauge.clone());
        let report = Report::default();
        Ok(Self { plan, source, destination, options, observer, throttle, layouts, progress, report, compared: None })
    }

    /// Moves the slot (S1 to S8), or goes on with its move, until the destination owns it.
    ///
    /// # Errors
    /// See [`MoveError`]. After [`MoveError::Mismatch`] and [`MoveError::Backlog`] the move was given up, and the source has
    /// the slot; after any other, the same plan goes on.
    pub async fn run(&mut self) -> Result<Report, MoveError> {
        let moved = self.attempts().await;
        if let Err(MoveError::Mismatch { .. } | MoveError::Backlog { .. }) = moved {
            // Writes may be waiting for a fence. What is left at the destination is the next move's to empty, if this fails.
            self.abort().await?;
        }
        self.let_go().await;
        moved
    }

    /// Ends transactions that were left without a word. The driver rolls one back when its session is used again, and until then it would hold
    /// the slot's lock, for which every writer waits.
    pub(crate) async fn let_go(&mut self) {
        for shard in [&mut self.source, &mut self.destination] {
            // A session that is broken holds nothing.
            drop(shard.connection.ping().await);
        }
    }

    async fn attempts(&mut self) -> Result<Report, MoveError> {
        let mut changed = 0;
        loop {
            match self.attempt().await {
                Ok(true) => return Ok(self.report),
                Ok(false) => {}
                // Twice is an accident of two promotions; more is for people to look at.
                Err(MoveError::Refused { refusal: Refusal::TimelineChanged, .. }) if changed < 2 => changed += 1,
                Err(other) => return Err(other),
            }
            if self.report.fences >= self.options.fences {
                return Err(MoveError::Fences { slot: self.plan.slot, fences: self.report.fences });
            }
        }
    }

    /// From the claim on; false when the fence ended before the hand-over.
    async fn attempt(&mut self) -> Result<bool, MoveError> {
        let claim = match self.claim().await? {
            Claimed::Committed(_) => {
                self.activate().await?;
                return self.finish(None).await;
            }
            Claimed::Claimed { claim, .. } => claim,
        };
        self.prepare(&claim).await?;
        self.copy(&claim).await?;
        self.drain(&claim).await?;
        // A fence that ended leaves a copy that was compared, and a log of everything since.
        let same = |found: &Claim| found.generation.timeline == claim.generation.timeline && found.since == claim.since;
        if !self.compared.as_ref().is_some_and(same) {
            self.compare(&claim).await?;
            self.compared = Some(claim);
        }
        match self.fence(&claim).await? {
            Fenced::Ended => Ok(false),
            Fenced::Opened { after } => self.finish(Some(after)).await,
            Fenced::Committed { since } => {
                self.activate().await?;
                self.finish(Some(since.elapsed())).await
            }
        }
    }

    /// Says that the slot is the destination's, and how long writes have waited.
    async fn finish(&mut self, waited: Option<Duration>) -> Result<bool, MoveError> {
        // S8 has waited for no disk and no synchronous standby, so that nobody waits for them with it. Who is told of its end may rely on it.
        flush::on_disk(&mut self.destination).await?;
        self.report.pause_ms = waited.map(millis);
        self.progress.pause_ms = self.report.pause_ms;
        if let Some(pause) = self.report.pause_ms {
            book::paused(&mut self.destination, self.plan.move_id, self.plan.slot, pause).await;
        }
        self.tell(Step::Activate);
        self.at(Point::After(Step::Activate)).await?;
        Ok(true)
    }

    /// Lets the observer stop the move here.
    pub(crate) async fn at(&self, point: Point) -> Result<(), MoveError> {
        observe::at(&self.observer, self.plan.slot, point).await
    }

    /// Says what the mover does now.
    pub(crate) fn tell(&mut self, step: Step) {
        self.progress.step = step;
        self.observer.progress(&self.progress);
    }

    pub(crate) fn move_id(&self) -> MoveId {
        MoveId(self.plan.move_id.as_u128())
    }

    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.plan.epoch.map(Epoch)
    }

    /// The error of a refusal by the source.
    pub(crate) fn source_refused(&self, step: Step, refusal: Refusal) -> MoveError {
        refused(self.plan.slot, &self.source.name, step, refusal)
    }
}

pub(crate) fn refused(slot: i32, shard: &str, step: Step, refusal: Refusal) -> MoveError {
    MoveError::Refused { slot, shard: shard.to_owned(), step, refusal }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
