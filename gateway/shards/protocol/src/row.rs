//! What a shard knows of one slot: its row of `chat.slot_ownership`, as types in which no row that the table's checks refuse
//! can be written down.

/// How often ownership of the slot has changed hands. It rises by one at S7 and never otherwise, so it names one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after the next hand-over.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The timeline of a database's write-ahead log. It rises when a standby is promoted, and never otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timeline(pub u32);

/// A reading of a database's own clock, in milliseconds. Readings of two databases are never compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

/// The id of one planned move; a UUID in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MoveId(pub u128);

/// Which claim of a move this is, newest last.
///
/// The number alone does not do: a promotion at the source can lose a claim that the destination has heard of, and then the
/// same number is given out a second time. The timeline makes the two different, and orders them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation {
    /// The source's timeline at S1.
    pub timeline: Timeline,
    /// The row's `gen`: rises by one at S1.
    pub number: u64,
}

/// What a mover got at S1 and shows in every transaction since. Two claims are never equal.
///
/// The order is that of time, for one slot: an epoch names one source, and there timeline and number rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    /// The source's epoch, before the hand-over.
    pub epoch: Epoch,
    /// Which claim of that epoch.
    pub generation: Generation,
    /// The move.
    pub move_id: MoveId,
    /// The number of the claim that the copy began with, of the same timeline. What was copied since is good for this claim,
    /// too, because the change log has been written without a break.
    pub since: u64,
}

/// What a row in transit knows of its move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transit<S> {
    /// The other shard: the destination in a source's row, the source in a destination's.
    pub peer: S,
    /// The move.
    pub move_id: MoveId,
    /// The *source's* timeline at S1, on both sides (rule R4).
    pub timeline: Timeline,
    /// The number of the claim that the copy began with; on both sides.
    ///
    /// Move and timeline do not name a copy: a mover that has not heard of an abort claims the move again, and finds the
    /// destination as it was before the slot was owned, and written to without a log.
    pub since: u64,
}

/// Who may write the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State<S> {
    /// This shard accepts writes.
    Owned,
    /// This shard accepts writes, and logs their keys for a mover.
    Migrating(Transit<S>),
    /// Nobody accepts writes, until the deadline by this database's clock; then as migrating, on the same timeline.
    Fenced(Transit<S>, Millis),
    /// The peer has the slot. The row stays, as a tombstone that tells so.
    Moved(Transit<S>),
    /// The slot is arriving from the peer. The timeline is this database's own, at S2: on another one, rows that had arrived
    /// may have been lost (rule R4).
    Importing(Transit<S>, Timeline),
}

/// One row. A shard that has none knows nothing of the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row<S> {
    /// The epoch of this shard's ownership; of the peer's, if the slot has moved or is arriving, where it is the one to come.
    pub epoch: Epoch,
    /// The number of the newest claim; it stays when a move ends, so that it never repeats.
    pub number: u64,
    /// Who may write.
    pub state: State<S>,
}

/// The database that a transition happens in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Site<S> {
    /// The shard's name.
    pub shard: S,
    /// Its timeline now.
    pub timeline: Timeline,
    /// Its clock now: read after the slot's lock was got, and not when the transaction began.
    pub now: Millis,
}

impl<S> Row<S> {
    /// The claim that the row obeys, if it is in transit: the one that its CAS conditions compare.
    #[must_use]
    pub fn claim(&self) -> Option<Claim> {
        let (transit, epoch) = match &self.state {
            State::Owned => return None,
            State::Migrating(transit) | State::Fenced(transit, _) => (transit, self.epoch),
            State::Moved(transit) | State::Importing(transit, _) => (transit, Epoch(self.epoch.0.saturating_sub(1))),
        };
        let generation = Generation { timeline: transit.timeline, number: self.number };
        Some(Claim { epoch, generation, move_id: transit.move_id, since: transit.since })
    }

    /// Whether the row obeys this very claim.
    ///
    /// # Errors
    /// [`Refusal::OldGeneration`](crate::Refusal::OldGeneration).
    pub(crate) fn obeys(&self, claim: &Claim) -> Result<(), crate::Refusal> {
        if self.claim() == Some(*claim) { Ok(()) } else { Err(crate::Refusal::OldGeneration) }
    }
}
