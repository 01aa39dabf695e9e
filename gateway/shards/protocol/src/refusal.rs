//! Why a transition did not happen.

/// The reason of a refusal. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// The shard has no row of the slot, or one that says that it is arriving.
    #[error("the slot is not here")]
    NotHere,
    /// Source and destination are the same shard.
    #[error("a slot cannot move to the shard that it is on")]
    OntoItself,
    /// The order was made for another epoch: the slot has moved since.
    #[error("the slot has another epoch than the move was planned for")]
    OtherEpoch,
    /// Another move of the slot is under way.
    #[error("another move of the slot is under way")]
    OtherMove,
    /// The slot has moved already.
    #[error("the slot has moved already")]
    Moved,
    /// The destination owns the slot already.
    #[error("the destination owns the slot")]
    Owned,
    /// A newer claim took the place of this one.
    #[error("another mover has claimed the move since")]
    OldGeneration,
    /// The row is in another state than this step starts from.
    #[error("the slot is in another state than this step starts from")]
    WrongState,
    /// The fence holds; try again when its deadline has passed.
    #[error("the slot is fenced by another mover, and its deadline has not passed")]
    FenceHolds,
    /// The fence has ended by itself, or is about to.
    #[error("the fence has ended, or there is too little time left to be sure that it has not")]
    FenceLapsed,
    /// A standby was promoted since S1, here or at the destination. The move starts again at S1.
    #[error("a standby was promoted since the move was claimed; claim it again")]
    TimelineChanged,
    /// Keys are left in the change log.
    #[error("the change log is not empty")]
    LogNotEmpty,
    /// A standby has not flushed what the step rests on (rules R1 to R3); try again.
    #[error("a standby has not flushed what this step rests on")]
    NotFlushed,
    /// The destination has not been compared with the source since its standby was promoted.
    #[error("the destination has to be compared with the source first")]
    Unverified,
}
