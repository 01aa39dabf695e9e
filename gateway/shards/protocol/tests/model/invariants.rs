//! The invariants I1 to I8 and I10 as properties, and what has to be possible.
//!
//! I9 is about what can still happen and is checked by `reachability`. I11 is the planner's.

use chat_shard_protocol::{Row, State as Ownership, readable};
use stateright::Property;

use crate::action::Action;
use crate::safeguard::Safeguard;
use crate::state::{Content, Mover, Shard, State};
use crate::world::World;

/// An invariant of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Invariant {
    I1 = 1,
    I2,
    I3,
    I4,
    I5,
    I6,
    I7,
    I8,
    I10 = 10,
}

impl Invariant {
    /// The property's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::I1 => "I1: at most one shard accepts writes",
            Self::I2 => "I2: the owner has every acknowledged write at its seq",
            Self::I3 => "I3: the owner's seqs are contiguous up to last_seq, which never falls",
            Self::I4 => "I4: the owner has one row for a message",
            Self::I5 => "I5: every reader sees the order of seq",
            Self::I6 => "I6: the epoch rises at S7 only, the generation at S1 only",
            Self::I7 => "I7: an old generation changes nothing",
            Self::I8 => "I8: the source is cleaned only if R3 holds",
            Self::I10 => "I10: the map is not ahead of the databases",
        }
    }
}

/// What happens sometimes, or the model would show nothing.
pub(crate) const HANDED_OVER: &str = "the slot is handed over, and every message was acknowledged";

/// Marks an invariant as violated by a step.
pub(crate) fn break_one(broken: &mut u16, invariant: Invariant) {
    *broken |= 1 << invariant as u8;
}

fn kept(state: &State, invariant: Invariant) -> bool {
    state.broken & 1 << invariant as u8 == 0
}

/// What has to hold always, and what has to happen sometimes.
pub(crate) fn properties() -> Vec<Property<World>> {
    vec![
        Property::always(Invariant::I1.name(), one_accepts),
        Property::always(Invariant::I2.name(), |world, state| {
            kept(state, Invariant::I2) && owners(world, state).all(|content| has_acknowledged(state, content))
        }),
        Property::always(Invariant::I3.name(), |world, state| owners(world, state).all(|c| contiguous(state, c))),
        Property::always(Invariant::I4.name(), |world, state| owners(world, state).all(one_row_each)),
        Property::always(Invariant::I5.name(), readers_see_order),
        Property::always(Invariant::I6.name(), |_, state: &State| kept(state, Invariant::I6)),
        Property::always(Invariant::I7.name(), |_, state: &State| kept(state, Invariant::I7)),
        Property::always(Invariant::I8.name(), |_, state: &State| !state.cleaned || activation_is_flushed(state)),
        Property::always(Invariant::I10.name(), |_, state: &State| {
            // A row that is importing has the epoch to come, which is no database's yet.
            let rows = Shard::BOTH.iter().filter_map(|&shard| state.row(shard));
            rows.filter(|row| !matches!(row.state, Ownership::Importing(..))).any(|row| row.epoch >= state.map)
        }),
        Property::sometimes(HANDED_OVER, |world: &World, state: &State| {
            world.accepts(state, Shard::Destination) && state.gateways.iter().all(|gateway| gateway.done)
        }),
    ]
}

/// I1. A write that has passed the guard counts as one that may still be accepted.
fn one_accepts(world: &World, state: &State) -> bool {
    let accepts = |shard| world.accepts(state, shard) || state.flight.is_some_and(|flight| flight.shard == shard);
    !Shard::BOTH.into_iter().all(accepts)
}

/// What the shards have that accept writes.
fn owners<'a>(world: &'a World, state: &'a State) -> impl Iterator<Item = &'a Content> {
    Shard::BOTH.into_iter().filter(|&shard| world.accepts(state, shard)).map(|shard| &state.at(shard).primary)
}

fn has_acknowledged(state: &State, content: &Content) -> bool {
    state.gateways.iter().zip(1..).all(|(gateway, message)| {
        gateway.told.is_none_or(|seq| content.messages.get(usize::from(seq) - 1) == Some(&message))
    })
}

fn contiguous(state: &State, content: &Content) -> bool {
    let (before, after) = content.messages.split_at(usize::from(content.last_seq));
    let told = state.gateways.iter().filter_map(|gateway| gateway.told).max().unwrap_or_default();
    before.iter().all(|&message| message != 0) && after.iter().all(|&message| message == 0) && content.last_seq >= told
}

fn one_row_each(content: &Content) -> bool {
    let mut seen = 0u32;
    content.messages.iter().filter(|&&message| message != 0).all(|&message| {
        let again = seen & 1 << message != 0;
        seen |= 1 << message;
        !again
    })
}

/// I5: whoever may read sees what was acknowledged, without a gap, a repeat, or another order.
fn readers_see_order(world: &World, state: &State) -> bool {
    Shard::BOTH.iter().map(|&shard| &state.at(shard).primary).all(|content| {
        let moved = content.row.is_some_and(|row| matches!(row.state, Ownership::Moved(_)));
        let may_read = readable(content.row.as_ref()) || moved && world.lacks(Safeguard::ReadsAskRow);
        !may_read || contiguous(state, content) && one_row_each(content) && has_acknowledged(state, content)
    })
}

fn activation_is_flushed(state: &State) -> bool {
    let there = &state.destination;
    [there.primary.row, there.standby.row].iter().all(|row| row.is_some_and(|row| row.state == Ownership::Owned))
}

/// I6 and I7: what a step has changed, and whether it might have.
pub(crate) fn judge(before: &State, action: Action, after: &mut State) {
    if matches!(action, Action::Promote(..)) {
        // What a promotion takes back was never told to anybody who relied on it: the other invariants show whether that is so.
        return;
    }
    if !rises(before, action, after) {
        break_one(&mut after.broken, Invariant::I6);
    }
    if !obeyed(before, action, after) {
        break_one(&mut after.broken, Invariant::I7);
    }
}

fn rises(before: &State, action: Action, after: &State) -> bool {
    let (Some(was), Some(is)) = (before.row(Shard::Source), after.row(Shard::Source)) else { return false };
    let epoch = match action {
        Action::Commit(_) | Action::CommitCutOff(_) if was != is => is.epoch.0 == was.epoch.0 + 1,
        _ => is.epoch == was.epoch,
    };
    let number = match action {
        Action::Claim(..) => is.number == was.number + 1,
        _ => is.number == was.number,
    };
    // At the destination both are those of the source, as the newest claim brought them.
    let there = match (before.row(Shard::Destination), after.row(Shard::Destination)) {
        (Some(was), Some(is)) => is.epoch >= was.epoch && (is.epoch > was.epoch || newest(is, was)),
        _ => true,
    };
    epoch && number && there
}

/// Whether a row obeys the same claim as another, or a newer one.
fn newest(is: &Row<Shard>, was: &Row<Shard>) -> bool {
    match (is.claim(), was.claim()) {
        (Some(is), Some(was)) => is >= was,
        _ => is.number == was.number,
    }
}

/// I7. Taking a claim, at S1 and S2, is not acting on one.
fn obeyed(before: &State, action: Action, after: &State) -> bool {
    let m = match action {
        Action::WriteChunk(m) | Action::Apply(m) | Action::Forget(m) | Action::Fence(m) => m,
        Action::Commit(m) | Action::CommitCutOff(m) | Action::Restore(m) => m,
        _ => return true,
    };
    let claim = before.movers.get(m).and_then(Mover::claim);
    Shard::BOTH.iter().all(|&shard| {
        let changed = before.at(shard).primary != after.at(shard).primary;
        !changed || before.row(shard).and_then(Row::claim) == claim
    })
}
