//! What the operator does, what whoever holds the source's word does, and what happens to databases and their clocks.

use chat_shard_protocol::{
    CleanProof, Epoch, Row, State as Ownership, Timeline, Token, abort, activate, clean, discard, token, unfence,
};

use crate::action::Action;
use crate::gateways;
use crate::safeguard::Safeguard;
use crate::state::{Content, Shard, State};
use crate::world::World;

pub(crate) fn actions(world: &World, state: &State, actions: &mut Vec<Action>) {
    let source = state.row(Shard::Source).map(|row| row.state);
    let destination = state.row(Shard::Destination).map(|row| row.state);
    if let Some(Ownership::Fenced(..)) = source {
        actions.push(Action::Tick);
        if !world.bounds.unattended {
            actions.push(Action::Unfence);
        }
        if state.steps_back > 0 {
            actions.push(Action::StepBack);
        }
    }
    if let Some(Ownership::Moved(_)) = source {
        actions.extend([Action::TakeToken, Action::ActivateVerified, Action::Publish]);
        if world.bounds.clean && !state.cleaned {
            actions.push(Action::Clean);
        }
    }
    if let (Some(Ownership::Importing(..)), Some(_)) = (destination, state.token) {
        actions.push(Action::Activate);
    }
    if state.aborts > 0 {
        actions.push(Action::Abort);
    }
    if world.bounds.aborts > 0 {
        actions.extend((1..=state.ordered).map(Action::Discard));
    }
    for shard in Shard::BOTH {
        let database = state.at(shard);
        if !database.is_flushed() {
            actions.push(Action::Flush(shard));
        }
        if database.promotions > 0 {
            actions.push(Action::Promote(shard, 0));
            // Its clock, too, may be behind the deadline, or past it.
            if let Some(Ownership::Fenced(..)) = database.standby.row.map(|row| row.state) {
                actions.push(Action::Promote(shard, 2));
            }
        }
    }
}

pub(crate) fn step(world: &World, state: &mut State, action: Action) -> Option<()> {
    match action {
        Action::TakeToken => state.token = Some(asks(world, state)?),
        Action::Activate => {
            let token = shown(world, state, state.token?);
            let verified = world.lacks(Safeguard::VerifyBeforeActivation).then_some(state.destination.timeline);
            activates(state, &token, verified)?;
        }
        Action::ActivateVerified => {
            let token = asks(world, state)?;
            if !has_all(&state.source.primary, &state.destination.primary) {
                return None;
            }
            activates(state, &token, Some(state.destination.timeline))?;
        }
        Action::Unfence => {
            let asked = (!world.lacks(Safeguard::UnfenceAsksDestination)).then(|| state.row(Shard::Destination));
            let row = unfence(state.row(Shard::Source), &state.site(Shard::Source), asked.flatten()).ok()?;
            World::write(state, Shard::Source, |content| content.row = Some(row));
        }
        Action::Abort => aborts(world, state)?,
        Action::Discard(number) => {
            let asked = (!world.lacks(Safeguard::DiscardAsksSource)).then(|| state.row(Shard::Source));
            discard(state.row(Shard::Destination), asked.flatten(), world.order(number).move_id).ok()?;
            World::write(state, Shard::Destination, |content| *content = Content::default());
        }
        Action::Publish => {
            let owned = Shard::BOTH.into_iter().filter_map(|shard| state.row(shard));
            let says_so = |row: &&Row<Shard>| row.state == Ownership::Owned || world.lacks(Safeguard::MapFromOwners);
            let newest = owned.filter(says_so).map(|row| row.epoch).max()?;
            state.map = newest.max(state.map);
        }
        Action::Clean => cleans(world, state)?,
        Action::Tick => state.source.clock = (state.source.clock + 1).min(2),
        Action::StepBack => {
            state.steps_back = state.steps_back.checked_sub(1)?;
            state.source.clock = 0;
        }
        Action::Flush(shard) => {
            let database = state.at_mut(shard);
            database.standby = database.primary;
        }
        Action::Promote(shard, clock) => promotes(state, shard, clock)?,
        _ => return None,
    }
    Some(())
}

/// The source's word, if it gives it.
pub(crate) fn asks(world: &World, state: &State) -> Option<Token> {
    let flushed = world.row_is_flushed(state, Shard::Source) || world.lacks(Safeguard::FlushBeforeActivation);
    token(state.row(Shard::Source)?, flushed).ok()
}

/// A token as S8 is told of it: with the row's own move, generation or epoch where that is not compared.
fn shown(world: &World, state: &State, token: Token) -> Token {
    let mut claim = token.claim;
    if let Some(newest) = state.row(Shard::Destination).and_then(Row::claim) {
        if world.lacks(Safeguard::MoveInToken) {
            claim.move_id = newest.move_id;
        }
        if world.lacks(Safeguard::GenerationInToken)
            || world.lacks(Safeguard::TimelineInGeneration) && claim.generation.number == newest.generation.number
        {
            claim.generation = newest.generation;
            claim.since = newest.since;
        }
        if world.lacks(Safeguard::EpochInToken) {
            claim.epoch = newest.epoch;
        }
    }
    Token { claim }
}

fn activates(state: &mut State, token: &Token, verified: Option<Timeline>) -> Option<()> {
    let row = activate(state.row(Shard::Destination), token, &state.site(Shard::Destination), verified).ok()?;
    World::write(state, Shard::Destination, |content| content.row = Some(row));
    Some(())
}

fn aborts(world: &World, state: &mut State) -> Option<()> {
    if !world.locks(state, Shard::Source, Safeguard::LockAtAbort) {
        return None;
    }
    let row = *state.row(Shard::Source)?;
    row.claim()?;
    let owned = match row.state {
        Ownership::Moved(_) if world.lacks(Safeguard::AbortEndsAtCommit) => {
            Row { epoch: Epoch(row.epoch.0 - 1), number: row.number, state: Ownership::Owned }
        }
        _ => abort(Some(&row), world.order(state.ordered).move_id).ok()?,
    };
    World::write(state, Shard::Source, |content| {
        content.row = Some(owned);
        content.log = 0;
    });
    state.aborts -= 1;
    state.ordered = (state.ordered + 1).min(world.bounds.moves);
    Some(())
}

fn cleans(world: &World, state: &mut State) -> Option<()> {
    let epoch = state.row(Shard::Destination)?.epoch;
    let proof = CleanProof {
        activation_is_flushed: world.row_is_flushed(state, Shard::Destination)
            || world.lacks(Safeguard::FlushBeforeCleaning),
        compared: has_all(&state.source.primary, &state.destination.primary)
            || world.lacks(Safeguard::CompareBeforeCleaning),
        published: state.map >= epoch,
    };
    clean(state.row(Shard::Source), state.row(Shard::Destination), proof).ok()?;
    World::write(state, Shard::Source, |content| {
        content.messages = Default::default();
        content.last_seq = 0;
        content.log = 0;
    });
    state.cleaned = true;
    Some(())
}

/// Whether every row that the source retains is at the destination.
fn has_all(source: &Content, destination: &Content) -> bool {
    let same = |(ours, theirs): (&u8, &u8)| *ours == 0 || ours == theirs;
    source.messages.iter().zip(&destination.messages).all(same) && source.last_seq <= destination.last_seq
}

fn promotes(state: &mut State, shard: Shard, clock: u8) -> Option<()> {
    let database = state.at_mut(shard);
    database.promotions = database.promotions.checked_sub(1)?;
    database.primary = database.standby;
    database.timeline = Timeline(database.timeline.0 + 1);
    database.clock = clock;
    if state.flight.is_some_and(|flight| flight.shard == shard) {
        state.flight = None;
    }
    gateways::forgive(state, shard);
    Some(())
}
