//! How large the model's world is: what there is, and how often each fault may happen.

/// The standby of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Standby {
    /// Commits are told of before the standby has them: a promotion loses what it had not flushed.
    Asynchronous,
    /// Commits wait for the standby. One whose wait is cut off is visible all the same.
    Synchronous,
}

/// Bounds of one check. Everything starts at zero, so that a check names all it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bounds {
    /// The source's standby, if any.
    pub(crate) source: Option<Standby>,
    /// The destination's.
    pub(crate) destination: Option<Standby>,
    /// Promotions at the source, and at the destination.
    pub(crate) promotions: [u8; 2],
    /// Claims (S1) in all.
    pub(crate) claims: u8,
    /// Movers, one or two.
    pub(crate) movers: u8,
    /// Messages, one for each gateway, one or two.
    pub(crate) messages: u8,
    /// Whether the last gateway's writes take time: they begin, and end some steps later.
    pub(crate) flight: bool,
    /// Commits at a synchronous source whose wait for the standby is cut off.
    pub(crate) cut_offs: u8,
    /// Times that the source's clock is set back behind the fence's beginning.
    pub(crate) steps_back: u8,
    /// Aborts.
    pub(crate) aborts: u8,
    /// Moves that are ordered one after another, each when the one before was aborted.
    pub(crate) moves: u8,
    /// Whether the source is cleaned in the end.
    pub(crate) clean: bool,
    /// Whether nobody ends a fence that was inherited.
    pub(crate) unattended: bool,
    /// Whether the slot has been to the destination and back before; a gateway still holds the token of that time, one
    /// mover its claim, and another one the rows that it wanted to restore then.
    pub(crate) returned: bool,
}

impl Bounds {
    /// One mover, one message, no fault.
    pub(crate) const LEAST: Self = Self {
        source: None,
        destination: None,
        promotions: [0, 0],
        claims: 1,
        movers: 1,
        messages: 1,
        flight: false,
        cut_offs: 0,
        steps_back: 0,
        aborts: 0,
        moves: 1,
        clean: false,
        unattended: false,
        returned: false,
    };
}
