//! What every write and every read asks first.

use crate::{Epoch, Row, Site, State};

/// What the guard says to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict<S> {
    /// Go on; with `logged`, the keys that are written go into the change log in the same transaction.
    Accepted {
        /// Whether a mover waits for the keys.
        logged: bool,
    },
    /// The slot is the peer's: retry there, with the same message id.
    Moved {
        /// The new owner.
        peer: S,
        /// Its epoch.
        epoch: Epoch,
    },
    /// The slot is about to leave: retry here in 5 to 20 ms.
    Fenced,
    /// The slot is about to arrive: retry here in 5 to 20 ms.
    Importing,
    /// The shard knows nothing of the slot: look in the map, or ask the others.
    Unknown,
}

/// Whether a write to the slot may go on. The writer holds the slot's lock, shared, until its transaction ends.
///
/// A fence whose deadline has passed reads as migrating, so no writer is needed to end it: unless a standby was promoted
/// since, because S7 may have been committed and lost (rule R4).
#[must_use]
pub fn guard<S: Clone + Eq>(row: Option<&Row<S>>, site: &Site<S>) -> Verdict<S> {
    let Some(row) = row else { return Verdict::Unknown };
    match &row.state {
        State::Owned => Verdict::Accepted { logged: false },
        State::Migrating(_) => Verdict::Accepted { logged: true },
        State::Fenced(transit, until) if *until <= site.now && transit.timeline == site.timeline => {
            Verdict::Accepted { logged: true }
        }
        State::Fenced(..) => Verdict::Fenced,
        State::Moved(transit) => Verdict::Moved { peer: transit.peer.clone(), epoch: row.epoch },
        State::Importing(..) => Verdict::Importing,
    }
}

/// Whether history of the slot may be read here: at the source until it has moved, fence or not.
#[must_use]
pub fn readable<S>(row: Option<&Row<S>>) -> bool {
    row.is_some_and(|row| matches!(row.state, State::Owned | State::Migrating(_) | State::Fenced(..)))
}
