//! What can happen next.

use crate::state::Shard;

/// A step of somebody, or a fault. A mover is named by its place in the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// S1, for the move of this number.
    Claim(usize, u8),
    /// S2.
    Prepare(usize),
    /// S3, first half.
    ReadChunk(usize),
    /// S3, second half.
    WriteChunk(usize),
    /// S4 or S6b: read a logged key's row and write it; room rows, too, once there is a fence.
    Apply(usize),
    /// S4 or S6b: forget that key.
    Forget(usize),
    /// S6.
    Fence(usize),
    /// R2 is looked at.
    AskFlushed(usize),
    /// S7.
    Commit(usize),
    /// S7 at a synchronous standby's primary, whose wait is cut off: it is visible, and was not flushed.
    CommitCutOff(usize),
    /// Behind S7 and a promotion at the destination: the rows that the source retains are read.
    ReadRetained(usize),
    /// And written there: messages first, room rows then.
    Restore(usize),
    /// A mover dies and starts again, knowing nothing.
    Crash(usize),
    /// A gateway's whole write, whose answer it hears or not.
    Send { gateway: usize, heard: bool },
    /// The last gateway's write passes the guard.
    Begin,
    /// It commits.
    Finish { heard: bool },
    /// It is rolled back: its gateway died, its connection was cut, or the database restarted.
    Sever,
    /// Somebody gets the source's word that it has committed.
    TakeToken,
    /// S8, by whoever has the word.
    Activate,
    /// S8 by the operator or a mover, after a comparison.
    ActivateVerified,
    /// The operator ends an inherited fence.
    Unfence,
    /// The operator, or a mover that is told to, gives the move up at the source.
    Abort,
    /// Then at the destination.
    Discard(u8),
    /// S9.
    Publish,
    /// S10.
    Clean,
    /// Time passes at the source.
    Tick,
    /// The source's clock is set back.
    StepBack,
    /// A standby flushes all that its primary has committed.
    Flush(Shard),
    /// The standby is promoted, and its clock shows this much of a fence.
    Promote(Shard, u8),
}

impl Action {
    /// Whether it is a fault, or a decision from outside: nothing that the protocol may count on, or has to fear for ever.
    pub(crate) fn is_fault(self) -> bool {
        match self {
            Self::CommitCutOff(_) | Self::Crash(_) | Self::Sever | Self::Abort | Self::StepBack | Self::Promote(..) => {
                true
            }
            Self::Send { heard, .. } | Self::Finish { heard } => !heard,
            _ => false,
        }
    }

    /// Whether it happens with movers and operator dead.
    pub(crate) fn needs_gateways_only(self) -> bool {
        match self {
            Self::Send { heard, .. } | Self::Finish { heard } => heard,
            Self::Begin | Self::TakeToken | Self::Activate | Self::Tick | Self::Flush(_) => true,
            _ => false,
        }
    }

    /// Its name, without who and where.
    pub(crate) fn name(self) -> String {
        let whole = format!("{self:?}");
        whole.split(['(', ' ']).next().unwrap_or_default().to_owned()
    }
}
