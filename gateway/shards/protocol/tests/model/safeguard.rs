//! What keeps the protocol safe, by name, and a set of what is left out.
//!
//! The crate's functions have no switches. A safeguard is left out by telling a function what it wants to hear: a mover whose
//! generation is not checked shows the row's own, a clock that is not looked at stands at zero.

/// A safeguard of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Safeguard {
    /// S4, S6, S7: transactions at the source compare the claim.
    GenerationAtSource,
    /// S3, S4, S6b: transactions at the destination compare the claim.
    GenerationAtDestination,
    /// S2 refuses an older claim than the one that it knows.
    NewestClaimPrepares,
    /// The source's timeline is a part of the generation, and not the counter alone.
    TimelineInGeneration,
    /// S2 refuses where the slot is owned.
    OwnerIsNotPrepared,
    /// R1: S8 waits until the source's standby has flushed S7.
    FlushBeforeActivation,
    /// R1 is looked at with a synchronous standby, too.
    FlushIsAskedOfSynchronous,
    /// R2: S7 waits until the destination's standby has flushed the last drain.
    FlushBeforeCommit,
    /// R2 is looked at on the timeline that the last drain was committed on.
    FlushOnSameTimeline,
    /// R3: S10 waits until the destination's standby has flushed S8.
    FlushBeforeCleaning,
    /// R3: S10 compares what it deletes.
    CompareBeforeCleaning,
    /// R4: a fence does not lapse by itself on another timeline.
    LapseEndsWithTimeline,
    /// R4: S4, S6 and S7 refuse on another timeline of the source than the claim's.
    TimelineAtSource,
    /// R4: after a promotion at the source the log is emptied, and the copy begins anew.
    CopyAfreshAfterSource,
    /// A copy that the slot was owned after is not gone on with.
    CopyAfreshAfterAbort,
    /// R4: transactions of the copy refuse on another timeline of the destination than that of S2.
    TimelineAtDestination,
    /// R4: after a promotion at the destination the copy begins anew.
    CopyAfreshAfterDestination,
    /// R4: after a promotion at the destination S8 compares first.
    VerifyBeforeActivation,
    /// What a promotion at the destination has lost is written again.
    LostRowsAreRestored,
    /// Transactions that write it compare the claim.
    ClaimAtRestoring,
    /// They refuse where the slot is not arriving.
    RestoringEndsAtActivation,
    /// They leave the row as it is, so that S8 compares first.
    RestoringIsVerified,
    /// S1 takes the slot's lock exclusively.
    LockAtClaim,
    /// S6 does.
    LockAtFence,
    /// S7 does.
    LockAtCommit,
    /// An abort does.
    LockAtAbort,
    /// S7 finds the change log empty.
    EmptyLog,
    /// S7 finds time left until the fence's deadline.
    Deadline,
    /// S8 compares the move's id.
    MoveInToken,
    /// S8 compares the generation.
    GenerationInToken,
    /// S8 compares the epoch.
    EpochInToken,
    /// A retry has the same message id.
    SameMessageId,
    /// Writes through a lapsed fence are logged.
    LogAfterLapse,
    /// Nothing is drained while a chunk lies between its read and its write.
    CopyBeforeDrain,
    /// A key is forgotten at the source after its row is committed at the destination.
    ForgetAfterApply,
    /// An abort is refused after S7.
    AbortEndsAtCommit,
    /// The destination is not discarded while the source is in that move.
    DiscardAsksSource,
    /// An inherited fence is not ended by the operator while the destination owns the slot.
    UnfenceAsksDestination,
    /// S9 takes the epochs of rows that say owned.
    MapFromOwners,
    /// Reads ask the row whether the slot is here.
    ReadsAskRow,
}

/// The safeguards that are left out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Off(u64);

impl Off {
    /// Leaves out all of these.
    pub(crate) fn these(safeguards: &[Safeguard]) -> Self {
        Self(safeguards.iter().fold(0, |set, &safeguard| set | 1 << safeguard as u8))
    }

    /// Whether this one is left out.
    pub(crate) fn has(self, safeguard: Safeguard) -> bool {
        self.0 & 1 << safeguard as u8 != 0
    }
}
