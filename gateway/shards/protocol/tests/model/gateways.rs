//! Gateways: each has a message to send until it is told its seq. Nobody tells them where the slot is but refusals, so each
//! map is as stale as can be. The last one's writes may take time.

use chat_shard_protocol::Verdict;

use crate::action::Action;
use crate::invariants::{self, Invariant};
use crate::safeguard::Safeguard;
use crate::state::{Flight, SEQS, Shard, State};
use crate::world::World;

pub(crate) fn actions(world: &World, state: &State, actions: &mut Vec<Action>) {
    for (gateway, now) in state.gateways.iter().enumerate() {
        if !now.done {
            actions.extend([true, false].map(|heard| Action::Send { gateway, heard }));
        }
    }
    if world.bounds.flight {
        match state.flight {
            None if !state.gateways[slow(world)].done => actions.push(Action::Begin),
            None => {}
            Some(_) => {
                actions.extend([Action::Finish { heard: true }, Action::Sever]);
                if !state.gateways[slow(world)].done {
                    actions.push(Action::Finish { heard: false });
                }
            }
        }
    }
}

/// The gateway whose writes may take time.
fn slow(world: &World) -> usize {
    usize::from(world.bounds.messages) - 1
}

pub(crate) fn step(world: &World, state: &mut State, action: Action) -> Option<()> {
    match action {
        Action::Send { gateway, heard } => {
            let route = state.gateways[gateway].route;
            match world.verdict(state, route) {
                Verdict::Accepted { logged } => write(world, state, gateway, Flight { shard: route, logged }, heard),
                // What it learns from a refusal does not depend on hearing an acknowledgement.
                _ if !heard => None,
                Verdict::Moved { peer, .. } => {
                    state.gateways[gateway].route = peer;
                    Some(())
                }
                Verdict::Unknown => {
                    state.gateways[gateway].route = route.other();
                    Some(())
                }
                Verdict::Fenced | Verdict::Importing => None,
            }
        }
        Action::Begin => {
            let shard = state.gateways[slow(world)].route;
            let Verdict::Accepted { logged } = world.verdict(state, shard) else { return None };
            state.flight = Some(Flight { shard, logged });
            Some(())
        }
        Action::Finish { heard } => {
            let flight = state.flight.take()?;
            // A room that is full ends the model's world.
            write(world, state, slow(world), flight, heard)
        }
        Action::Sever => state.flight.take().map(|_| ()),
        _ => None,
    }
}

/// Commits a gateway's message at a shard, unless it is there already, and tells the gateway its seq.
fn write(world: &World, state: &mut State, gateway: usize, how: Flight, heard: bool) -> Option<()> {
    let message = u8::try_from(gateway).ok()? + 1;
    let content = &mut state.at_mut(how.shard).primary;
    let there = content.messages.iter().position(|&stored| stored == message);
    let index = match there.filter(|_| !world.lacks(Safeguard::SameMessageId)) {
        Some(index) => index,
        None => {
            let index = usize::from(content.last_seq);
            if index == SEQS {
                return None;
            }
            content.messages[index] = message;
            content.last_seq += 1;
            let lapsed = matches!(content.row.map(|row| row.state), Some(chat_shard_protocol::State::Fenced(..)));
            if how.logged && !(lapsed && world.lacks(Safeguard::LogAfterLapse)) {
                content.log |= 1 << index;
            }
            state.gateways[gateway].origin = Some(how.shard);
            index
        }
    };
    let seq = u8::try_from(index).ok()? + 1;
    if heard {
        let gateway = &mut state.gateways[gateway];
        if gateway.told.is_some_and(|told| told != seq) {
            // The same message, acknowledged twice, with two places.
            invariants::break_one(&mut state.broken, Invariant::I2);
        }
        gateway.told = Some(seq);
        gateway.done = true;
    }
    Some(())
}

/// A promotion at `shard` has lost what was not flushed. What its clients were told of is lost as it would be without any
/// move, and owed to nobody; unless the slot had been handed over, or the message came from the other shard.
pub(crate) fn forgive(state: &mut State, shard: Shard) {
    let handed_over = shard == Shard::Source
        && state.row(Shard::Destination).is_some_and(|row| row.state == chat_shard_protocol::State::Owned);
    let stored = state.at(shard).primary.messages;
    for (gateway, message) in state.gateways.iter_mut().zip(1..) {
        if gateway.origin == Some(shard) && !handed_over && !stored.contains(&message) {
            gateway.told = None;
        }
    }
}
