//! What a mover tells while it works, and where its caller can stop it.

use std::{fmt, future::Future};

use serde::Serialize;

use crate::error::MoveError;

/// A step of the protocol; the numbers are those of the crate `chat-shard-protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// S1.
    Claim,
    /// S2.
    Prepare,
    /// S3.
    Copy,
    /// S4.
    Drain,
    /// S5.
    Compare,
    /// S6.
    Fence,
    /// S6b.
    Settle,
    /// S7.
    Commit,
    /// S8.
    Activate,
    /// S10.
    Clean,
    /// Giving the move up.
    Abort,
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Claim => "claim",
            Self::Prepare => "prepare",
            Self::Copy => "copy",
            Self::Drain => "drain",
            Self::Compare => "compare",
            Self::Fence => "fence",
            Self::Settle => "settle",
            Self::Commit => "commit",
            Self::Activate => "activate",
            Self::Clean => "clean",
            Self::Abort => "abort",
        })
    }
}

/// A moment between two transactions of the mover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// Before a step's first transaction.
    Before(Step),
    /// After a step's last transaction.
    After(Step),
    /// A chunk was copied, and there may be more.
    Chunk,
    /// The destination has drained keys that the source has not forgotten yet.
    Applied,
}

/// How far a move has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The slot.
    pub slot: i32,
    /// What the mover does now.
    pub step: Step,
    /// Rows copied so far, by all claimants of the move.
    pub rows: u64,
    /// Bytes of them, in the binary COPY format.
    pub bytes: u64,
    /// Changed keys that wait to be copied, as last counted.
    pub backlog: u64,
    /// How long writes waited for the hand-over, in milliseconds; none before it.
    pub pause_ms: Option<u64>,
}

/// The observer wants the move to stop here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop;

/// Hears how a move goes, and may stop it between two transactions.
pub trait Observer: Send + Sync {
    /// The move has come further. Must not block.
    fn progress(&self, progress: &Progress) {
        let _ = progress;
    }

    /// The mover is at a point; it goes on when this is `Ok`. A stop leaves everything as it is at that point.
    fn at(&self, point: Point) -> impl Future<Output = Result<(), Stop>> + Send {
        let _ = point;
        async { Ok(()) }
    }
}

/// Lets the observer stop the move of a slot here.
pub(crate) async fn at(observer: &impl Observer, slot: i32, point: Point) -> Result<(), MoveError> {
    observer.at(point).await.map_err(|_| MoveError::Stopped { slot })
}

/// Hears nothing and stops nothing.
impl Observer for () {}
