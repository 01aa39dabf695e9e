//! Movers, two at most. Each does its steps in the order of the protocol; between any two of them anything can happen, so a
//! mover that sleeps and wakes as a zombie is among what is checked.
//!
//! A mover is as careless as the checks of the transactions allow: it hands over without looking whether the log is empty,
//! and never looks whether it was replaced.

use chat_shard_protocol::{
    Claim, Claimed, CommitProof, Millis, Refusal, Row, State as Ownership, activate, apply, claim, commit, fence,
    forget, prepare, restore,
};

use crate::action::Action;
use crate::operator;
use crate::safeguard::Safeguard;
use crate::state::{Mover, Shard, State};
use crate::world::World;

/// How long a fence lasts on the model's clock, and how much of it has to be left at S7.
const FENCE: Millis = Millis(2);
const MARGIN: Millis = Millis(1);

pub(crate) fn actions(world: &World, state: &State, actions: &mut Vec<Action>) {
    for m in 0..usize::from(world.bounds.movers) {
        // Of those that are at the same place with the same claim, one is enough: that is at most the idle ones.
        let m = m + state.movers.len() - usize::from(world.bounds.movers);
        let mover = state.movers[m];
        if mover != Mover::Idle {
            actions.push(Action::Crash(m));
        }
        match mover {
            Mover::Idle => {
                if m == 0 || state.movers[m - 1] != mover || world.bounds.movers == 1 {
                    if state.claims > 0 {
                        actions.extend((1..=state.ordered).map(|number| Action::Claim(m, number)));
                    }
                    if !world.lacks(Safeguard::LostRowsAreRestored) {
                        actions.push(Action::ReadRetained(m));
                    }
                }
            }
            Mover::Claimed(_) => actions.push(Action::Prepare(m)),
            Mover::Prepared(_) => actions.push(Action::ReadChunk(m)),
            Mover::Holding(..) => {
                actions.push(Action::WriteChunk(m));
                if world.lacks(Safeguard::CopyBeforeDrain) {
                    actions.push(Action::Apply(m));
                }
            }
            Mover::Copied(_) => actions.extend([Action::Apply(m), Action::Fence(m)]),
            Mover::Draining { .. } => actions.push(Action::Forget(m)),
            Mover::Carrying { .. } | Mover::Fenced(_) => actions.push(Action::Apply(m)),
            Mover::Drained(_) => {
                actions.extend([Action::Apply(m), Action::AskFlushed(m)]);
                if world.lacks(Safeguard::FlushBeforeCommit) {
                    actions.extend([Action::Commit(m), Action::CommitCutOff(m)]);
                }
            }
            Mover::Retaining(..) | Mover::RetainingRooms(..) => actions.push(Action::Restore(m)),
            Mover::Flushed(_) => actions.extend([Action::Apply(m), Action::Commit(m), Action::CommitCutOff(m)]),
        }
    }
}

/// One step of one mover. A refusal sends it back to S1, unless the protocol has a better answer.
pub(crate) fn step(world: &World, state: &mut State, action: Action) -> Option<()> {
    match action {
        Action::Claim(m, number) => state.movers[m] = claims(world, state, number)?,
        Action::Prepare(m) => {
            let Mover::Claimed(claim) = state.movers[m] else { return None };
            state.movers[m] = prepares(world, state, &claim);
        }
        Action::ReadChunk(m) => {
            let Mover::Prepared(claim) = state.movers[m] else { return None };
            state.movers[m] = Mover::Holding(claim, state.source.primary.messages);
        }
        Action::WriteChunk(m) => {
            let Mover::Holding(claim, chunk) = state.movers[m] else { return None };
            if may_apply(world, state, &claim).is_err() {
                state.movers[m] = Mover::Idle;
                return Some(());
            }
            World::write(state, Shard::Destination, |content| {
                content.messages = chunk;
                content.copied = true;
            });
            state.movers[m] = Mover::Copied(claim);
        }
        Action::Apply(m) => {
            let mover = state.movers[m];
            state.movers[m] = applies(world, state, mover)?;
        }
        Action::Forget(m) => {
            let Mover::Draining { claim, key, fenced } = state.movers[m] else { return None };
            let done = forgets(world, state, &claim, key);
            state.movers[m] = if done { drained(world, claim, fenced) } else { Mover::Idle };
        }
        Action::Fence(m) => {
            let Mover::Copied(claim) = state.movers[m] else { return None };
            if !world.locks(state, Shard::Source, Safeguard::LockAtFence) {
                return None;
            }
            let (claim_shown, site) = shown_at_source(world, state, &claim);
            state.movers[m] = match fence(state.row(Shard::Source), &claim_shown, &site, FENCE) {
                Ok(row) => {
                    World::write(state, Shard::Source, |content| content.row = Some(row));
                    Mover::Fenced(claim)
                }
                Err(_) => Mover::Idle,
            };
        }
        Action::AskFlushed(m) => {
            let Mover::Drained(claim) = state.movers[m] else { return None };
            let same_timeline = match may_apply(world, state, &claim) {
                _ if world.lacks(Safeguard::FlushOnSameTimeline) => Ok(()),
                answer => answer,
            };
            state.movers[m] = match same_timeline {
                Ok(()) if state.destination.is_flushed() => Mover::Flushed(claim),
                Ok(()) => return None,
                Err(_) => Mover::Idle,
            };
        }
        Action::Commit(m) => commits(world, state, m)?,
        Action::CommitCutOff(m) => {
            state.cut_offs = state.cut_offs.checked_sub(1)?;
            commits(world, state, m)?;
        }
        Action::ReadRetained(m) => {
            let token = operator::asks(world, state)?;
            // Only whoever is told that something may be missing.
            let opened = activate(state.row(Shard::Destination), &token, &state.site(Shard::Destination), None);
            if opened != Err(Refusal::Unverified) {
                return None;
            }
            let source = &state.source.primary;
            state.movers[m] = Mover::Retaining(source.row?.claim()?, source.messages, source.last_seq);
        }
        Action::Restore(m) => state.movers[m] = restores(world, state, state.movers[m])?,
        Action::Crash(m) => state.movers[m] = Mover::Idle,
        _ => return None,
    }
    Some(())
}

fn claims(world: &World, state: &mut State, number: u8) -> Option<Mover> {
    if !world.locks(state, Shard::Source, Safeguard::LockAtClaim) {
        return None;
    }
    state.claims = state.claims.checked_sub(1)?;
    let order = world.order(number);
    let claimed = claim(state.row(Shard::Source), &order, &state.site(Shard::Source), true);
    // A refusal, and a move that has committed, leave the mover where it is: S8 is done by whoever has the token.
    let Ok(Claimed::Claimed { row, claim, afresh }) = claimed else { return None };
    let keep = world.lacks(Safeguard::CopyAfreshAfterSource) && state.row(Shard::Source)?.claim().is_some();
    World::write(state, Shard::Source, |content| {
        content.row = Some(row);
        if afresh && !keep {
            content.log = 0;
        }
    });
    Some(Mover::Claimed(claim))
}

fn prepares(world: &World, state: &mut State, claim: &Claim) -> Mover {
    let site = state.site(Shard::Destination);
    let row = state.row(Shard::Destination).copied();
    let mut prepared = prepare(row.as_ref(), claim, &Shard::Source, &site);
    let newest_only_by_number =
        world.lacks(Safeguard::TimelineInGeneration) && row.is_some_and(|row| row.number <= claim.generation.number);
    let forgiven = match prepared {
        Err(Refusal::OldGeneration) => world.lacks(Safeguard::NewestClaimPrepares) || newest_only_by_number,
        Err(Refusal::Owned) => world.lacks(Safeguard::OwnerIsNotPrepared),
        _ => false,
    };
    if forgiven {
        prepared = prepare(None, claim, &Shard::Source, &site);
    }
    let Ok(prepared) = prepared else { return Mover::Idle };
    let resumes = match row.map(|row| row.state) {
        Some(Ownership::Importing(transit, own)) => {
            let same_timeline = transit.timeline == claim.generation.timeline;
            transit.move_id == claim.move_id
                && (if same_timeline {
                    transit.since == claim.since || world.lacks(Safeguard::CopyAfreshAfterAbort)
                } else {
                    world.lacks(Safeguard::CopyAfreshAfterSource)
                })
                && (own == site.timeline || world.lacks(Safeguard::CopyAfreshAfterDestination))
        }
        _ => false,
    };
    World::write(state, Shard::Destination, |content| {
        content.row = Some(prepared.row);
        if prepared.afresh && !resumes {
            content.messages = Default::default();
            content.last_seq = 0;
            content.copied = false;
        }
    });
    if state.destination.primary.copied { Mover::Copied(*claim) } else { Mover::Prepared(*claim) }
}

/// Reads one logged key's current row at the source and writes it at the destination; under the fence room rows, too.
fn applies(world: &World, state: &mut State, mover: Mover) -> Option<Mover> {
    let (claim, fenced) = match mover {
        Mover::Copied(claim) => (claim, false),
        Mover::Fenced(claim) | Mover::Drained(claim) | Mover::Flushed(claim) => (claim, true),
        Mover::Carrying { claim, key, message, fenced } => {
            if may_apply(world, state, &claim).is_err() {
                return Some(Mover::Idle);
            }
            write_key(state, key, message, fenced);
            return Some(drained(world, claim, fenced));
        }
        Mover::Holding(claim, _) => {
            // Drains while it holds a chunk, and goes on holding it.
            let key = lowest(state.source.primary.log)?;
            may_apply(world, state, &claim).ok()?;
            let message = state.source.primary.messages[usize::from(key)];
            write_key(state, key, message, false);
            return forgets(world, state, &claim, key).then_some(mover);
        }
        _ => return None,
    };
    let source = state.source.primary;
    let Some(key) = lowest(source.log) else {
        // Nothing to drain; the room rows are copied once.
        if !matches!(mover, Mover::Fenced(_)) {
            return None;
        }
        if may_apply(world, state, &claim).is_err() {
            return Some(Mover::Idle);
        }
        World::write(state, Shard::Destination, |content| content.last_seq = source.last_seq);
        return Some(drained(world, claim, true));
    };
    let message = source.messages[usize::from(key)];
    if world.lacks(Safeguard::ForgetAfterApply) {
        let forgotten = forgets(world, state, &claim, key);
        return Some(if forgotten { Mover::Carrying { claim, key, message, fenced } } else { Mover::Idle });
    }
    if may_apply(world, state, &claim).is_err() {
        return Some(Mover::Idle);
    }
    write_key(state, key, message, fenced);
    Some(Mover::Draining { claim, key, fenced })
}

fn write_key(state: &mut State, key: u8, message: u8, fenced: bool) {
    let last_seq = state.source.primary.last_seq;
    World::write(state, Shard::Destination, |content| {
        content.messages[usize::from(key)] = message;
        if fenced {
            content.last_seq = last_seq;
        }
    });
}

/// Deletes a key from the source's log; false if it may not.
fn forgets(world: &World, state: &mut State, claim: &Claim, key: u8) -> bool {
    let (claim, site) = shown_at_source(world, state, claim);
    let may = forget(state.row(Shard::Source), &claim, &site).is_ok();
    if may {
        World::write(state, Shard::Source, |content| content.log &= !(1 << key));
    }
    may
}

/// Where a drain leads to. A standby that is never promoted is not waited for: it makes no difference.
fn drained(world: &World, claim: Claim, fenced: bool) -> Mover {
    match (fenced, world.bounds.promotions[1]) {
        (false, _) => Mover::Copied(claim),
        (true, 0) => Mover::Flushed(claim),
        (true, _) => Mover::Drained(claim),
    }
}

fn commits(world: &World, state: &mut State, m: usize) -> Option<()> {
    let claim = state.movers[m].claim()?;
    if !world.locks(state, Shard::Source, Safeguard::LockAtCommit) {
        return None;
    }
    let (claim_shown, mut site) = shown_at_source(world, state, &claim);
    if world.lacks(Safeguard::Deadline) {
        site.now = Millis(0);
    }
    let proof = CommitProof {
        log_is_empty: state.source.primary.log == 0 || world.lacks(Safeguard::EmptyLog),
        destination_is_flushed: matches!(state.movers[m], Mover::Flushed(_))
            || world.lacks(Safeguard::FlushBeforeCommit),
    };
    state.movers[m] = match commit(state.row(Shard::Source), &claim_shown, &site, MARGIN, proof) {
        Ok(row) => {
            World::write(state, Shard::Source, |content| content.row = Some(row));
            Mover::Idle
        }
        Err(Refusal::LogNotEmpty) => drained(world, claim, true),
        Err(_) => Mover::Idle,
    };
    Some(())
}

/// Writes again what the source retains: messages first, and room rows then.
fn restores(world: &World, state: &mut State, mover: Mover) -> Option<Mover> {
    let claim = mover.claim()?;
    let row = state.row(Shard::Destination).copied();
    let newest = row.as_ref().and_then(Row::claim);
    let shown = newest.filter(|_| world.lacks(Safeguard::ClaimAtRestoring)).unwrap_or(claim);
    match restore(row.as_ref(), &shown) {
        Err(Refusal::WrongState) if world.lacks(Safeguard::RestoringEndsAtActivation) => {}
        Err(_) => return Some(Mover::Idle),
        Ok(()) => {}
    }
    let own = state.destination.timeline;
    let verified = world.lacks(Safeguard::RestoringIsVerified);
    World::write(state, Shard::Destination, |content| {
        match mover {
            Mover::Retaining(_, messages, _) => content.messages = messages,
            Mover::RetainingRooms(_, last_seq) => content.last_seq = last_seq,
            _ => {}
        }
        if let Some(Row { state: Ownership::Importing(_, timeline), .. }) = &mut content.row
            && verified
        {
            *timeline = own;
        }
    });
    match mover {
        Mover::Retaining(_, _, last_seq) => Some(Mover::RetainingRooms(claim, last_seq)),
        Mover::RetainingRooms(..) => Some(Mover::Idle),
        _ => None,
    }
}

/// The check of every transaction of the copy, with what it is told.
fn may_apply(world: &World, state: &State, claim: &Claim) -> Result<(), Refusal> {
    let row = state.row(Shard::Destination);
    let mut site = state.site(Shard::Destination);
    if let Some(Ownership::Importing(_, own)) = row.map(|row| row.state)
        && world.lacks(Safeguard::TimelineAtDestination)
    {
        site.timeline = own;
    }
    let claim = shown(world, claim, row, Safeguard::GenerationAtDestination);
    apply(row, &claim, &site)
}

/// What a transaction at the source is told of the mover's claim and of its own timeline.
fn shown_at_source(world: &World, state: &State, claim: &Claim) -> (Claim, chat_shard_protocol::Site<Shard>) {
    let row = state.row(Shard::Source);
    let mut site = state.site(Shard::Source);
    if world.lacks(Safeguard::TimelineAtSource)
        && let Some(newest) = row.and_then(Row::claim)
    {
        site.timeline = newest.generation.timeline;
    }
    (shown(world, claim, row, Safeguard::GenerationAtSource), site)
}

/// A mover's claim; the row's own generation if it is not compared, and its timeline if only the number is.
fn shown(world: &World, claim: &Claim, row: Option<&Row<Shard>>, compares: Safeguard) -> Claim {
    let mut claim = *claim;
    if let Some(newest) = row.and_then(Row::claim) {
        let same_number = newest.generation.number == claim.generation.number;
        if world.lacks(compares) || same_number && world.lacks(Safeguard::TimelineInGeneration) {
            claim.generation = newest.generation;
            claim.since = newest.since;
        }
    }
    claim
}

fn lowest(log: u8) -> Option<u8> {
    u8::try_from(log.trailing_zeros()).ok().filter(|_| log != 0)
}
