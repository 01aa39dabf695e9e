//! What one ShardRebalance needs next.

use std::collections::{BTreeMap, BTreeSet};

use chat_crds::{
    ShardRebalance,
    chat_cluster::ShardRebalancingMode as Mode,
    shard_rebalance::{RebalancePlan, RebalanceState as State},
};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::{
    census::Census,
    course::{MoverJob, Scene},
    progress::{self, Moves, Pair},
    proposal::{NoPlan, propose},
    standing::{Cause, Standing, Task, Wanted},
};

/// One object's next step.
pub(super) fn step(object: &ShardRebalance, scene: &Scene<'_>, other: Option<&str>) -> Standing {
    let before = Standing::of(object);
    let changed = |plan: &RebalancePlan| plan.target != scene.wish.target;
    let cause = match &before.cause {
        Some(cause) if before.state == State::Aborting => Some(cause.clone()),
        _ if object.spec.is_aborted() => Some(Cause::Asked),
        _ if before.plan.as_ref().is_some_and(changed) => Some(Cause::Superseded),
        _ => None,
    };
    if let Some(cause) = cause {
        return if before.started.is_some() {
            undo(object, before, scene, &cause)
        } else {
            end(before, &cause, scene.now)
        };
    }
    let planned = match plan(object, before, scene, other) {
        Ok(planned) => planned,
        Err(unplanned) => return *unplanned,
    };
    let Some(hash) = planned.plan.as_ref().map(|plan| plan.hash.clone()) else { return planned };
    let name = object.name_any();
    if object.spec.is_paused() {
        let message = "spec.paused is true: slots that were on their way are with their source";
        return seen(planned, scene).is(State::Paused, message);
    }
    match &object.spec.approved_plan {
        Some(approved) if *approved != hash => {
            let message = format!(
                "spec.approvedPlan names {approved}, and the plan is {hash}; read status.plan, then run: kubectl chat rebalance approve {name}"
            );
            return seen(planned, scene).is(State::WaitingForApproval, message);
        }
        None if scene.mode != Mode::Automatic => {
            let message = format!("read status.plan, then run: kubectl chat rebalance approve {name}");
            return seen(planned, scene).is(State::WaitingForApproval, message);
        }
        _ => {}
    }
    if let Some(other) = other {
        return planned.is(State::Queued, format!("waits for ShardRebalance {other} to end"));
    }
    if !scene.is_open {
        let message = "waits for one of spec.database.rebalance.windows of the ChatCluster";
        return seen(planned, scene).is(State::WaitingForWindow, message);
    }
    run(object, planned, scene)
}

/// The plan, made now where there is none, or where what it rests on has changed before it began.
fn plan(
    object: &ShardRebalance,
    mut before: Standing,
    scene: &Scene<'_>,
    other: Option<&str>,
) -> Result<Standing, Box<Standing>> {
    let is_stale = |plan: &RebalancePlan, census: &Census| {
        let gone = |((from, _), slots): &(Pair, Vec<u32>)| {
            slots.iter().any(|slot| census.owners.get(slot).is_some_and(|owner| owner.shard != *from))
        };
        progress::moves(plan).iter().any(gone)
    };
    match (&before.plan, scene.census) {
        (Some(plan), Some(census)) if before.started.is_none() && is_stale(plan, census) => before.plan = None,
        (Some(_), _) => return Ok(before),
        (None, _) => {}
    }
    let wait = |before: Standing, message: String| Err(Box::new(before.is(State::Planning, message)));
    if let Some(other) = other {
        let message = format!("waits for ShardRebalance {other} to end");
        return Err(Box::new(before.is(State::Queued, message)));
    }
    if let Some((shard, why)) = scene.joining.first_key_value() {
        return wait(before, format!("waits for shard {shard}: {why}"));
    }
    let Some(census) = scene.census else {
        return wait(
            before,
            "no gateway could say which shard has which slots; the plan is made when one does".to_owned(),
        );
    };
    if !scene.is_counted {
        return wait(before, "the gateways count what the shards hold".to_owned());
    }
    match propose(scene.wish, census, scene.measures, object.spec.moves.as_deref()) {
        Ok(plan) if plan.slots == 0 => {
            before.plan = Some(plan);
            before.ended = Some(scene.now);
            Err(Box::new(before.is(State::Completed, "every slot is where it should be")))
        }
        Ok(plan) => {
            before.plan = Some(plan);
            Ok(before)
        }
        Err(NoPlan::Request(why)) => {
            before.ended = Some(scene.now);
            Err(Box::new(before.is(State::Failed, format!("spec.moves: {why}"))))
        }
        Err(why) => {
            before.stuck = !why.passes();
            wait(before, why.to_string())
        }
    }
}

/// The same with progress as it is seen now.
fn seen(standing: Standing, scene: &Scene<'_>) -> Standing {
    let moves = standing.plan.as_ref().map(progress::moves).unwrap_or_default();
    seen_of(&moves, standing, scene)
}

fn seen_of(moves: &Moves, mut standing: Standing, scene: &Scene<'_>) -> Standing {
    if let (Some(_), Some(census), Some(started)) = (&standing.plan, scene.census, standing.started) {
        let (progress, pauses) = progress::progress(moves, census, Some(started), scene.now);
        (standing.progress, standing.pauses) = (Some(progress), pauses.or(standing.pauses));
    }
    standing
}

fn end(mut standing: Standing, cause: &Cause, now: Timestamp) -> Standing {
    standing.ended = Some(now);
    let message = match cause {
        Cause::Asked => "what had not moved is where it was".to_owned(),
        Cause::Superseded => {
            "the shards or their weights have changed; another plan takes the place of this one".to_owned()
        }
        Cause::Failed(why) => why.clone(),
    };
    standing.is(cause.end(), message)
}

/// Moves what has not moved.
fn run(object: &ShardRebalance, mut standing: Standing, scene: &Scene<'_>) -> Standing {
    let Some(plan) = standing.plan.clone() else { return standing };
    // By the plan and not by what is left: a Job is named after its slots, and must not change while it runs.
    let moves = progress::moves(&plan);
    let mover = |(pair, slots): &(Pair, Vec<u32>)| {
        (pair.clone(), Wanted::new(Some(object), Task::Move, pair.clone(), slots.iter().copied()))
    };
    let all: Vec<(Pair, Wanted)> = moves.iter().map(mover).collect();
    let Some(census) = scene.census else {
        standing.movers =
            all.into_iter().map(|(_, mover)| mover).filter(|mover| (scene.job)(mover).is_some()).collect();
        let message = "no gateway could say how far it is; movers go on";
        return if standing.started.is_some() {
            standing.is(State::Running, message)
        } else {
            standing.is(State::Planning, message)
        };
    };
    standing.started.get_or_insert(scene.now);
    let mut standing = seen_of(&moves, standing, scene);
    let left = progress::left(&moves, census);
    if left.is_empty() {
        standing.ended = Some(scene.now);
        let message = format!("{} slots have moved", plan.slots);
        return standing.is(State::Completed, message);
    }
    let mut failure = None;
    let (mut sources, mut destinations) = (BTreeSet::new(), BTreeSet::new());
    // Those that run go on; the others take the places that are left.
    let mut order: Vec<(&Pair, &Wanted, Option<MoverJob>)> = all
        .iter()
        .filter(|(pair, _)| left.contains_key(pair))
        .map(|(pair, mover)| (pair, mover, (scene.job)(mover)))
        .collect();
    order.sort_by_key(|(_, _, job)| job.is_none());
    let concurrent = usize::try_from(scene.measures.concurrent).unwrap_or(usize::MAX).max(1);
    for (pair, mover, job) in order {
        let (from, to) = pair;
        match &job {
            Some(MoverJob::Failed(why)) => failure = Some(format!("moving slots from {from} to {to}: {why}")),
            Some(MoverJob::Done) if census.silent.is_empty() => {
                failure =
                    Some(format!("the mover from {from} to {to} has ended, but the shards say that slots are left"));
            }
            _ => {}
        }
        let is_free = !sources.contains(from) && !destinations.contains(to) && standing.movers.len() < concurrent;
        let waits = job.is_none() && (scene.away.contains(from) || scene.away.contains(to));
        if is_free && !waits {
            sources.insert(from.clone());
            destinations.insert(to.clone());
            standing.movers.push(mover.clone());
        }
    }
    if let Some(why) = failure {
        standing.movers.clear();
        return undo(object, standing, scene, &Cause::Failed(why));
    }
    let waits_for = progress::waiting_for(&left, scene.away);
    let moved = standing.progress.as_ref().map_or(0, |progress| progress.slots_moved);
    let mut message = format!("{moved} of {} slots have moved", plan.slots);
    if !waits_for.is_empty() {
        message.push_str(&format!("; some wait for {}, which does not answer", waits_for.join(", ")));
    }
    if let Some(progress) = &mut standing.progress {
        progress.waiting_for = waits_for;
    }
    standing.is(State::Running, message)
}

/// What brings those of `slots` that are on their way back to their source, and finishes those that have left it for good.
pub(super) fn undoing(census: &Census, slots: &BTreeSet<u32>) -> BTreeMap<(Task, Pair), Vec<u32>> {
    let mut tasks: BTreeMap<(Task, Pair), Vec<u32>> = BTreeMap::new();
    for (slot, transit) in census.transit.iter().filter(|(slot, _)| slots.contains(slot)) {
        let is_at_source = census.owners.contains_key(slot) || transit.state != "importing";
        let task = if is_at_source { Task::Abort } else { Task::Move };
        tasks.entry((task, (transit.from.clone(), transit.to.clone()))).or_default().push(*slot);
    }
    tasks
}

/// Brings slots that are on their way back to their source, and finishes those that have left it for good.
fn undo(object: &ShardRebalance, standing: Standing, scene: &Scene<'_>, cause: &Cause) -> Standing {
    let moves = standing.plan.as_ref().map(progress::moves).unwrap_or_default();
    let mut standing = seen_of(&moves, standing, scene);
    standing.cause = Some(cause.clone());
    let (Some(_), Some(census)) = (&standing.plan, scene.census) else {
        return standing.is(State::Aborting, "no gateway could say which slots are on their way");
    };
    let ours: BTreeSet<u32> = moves.into_iter().flat_map(|(_, slots)| slots).collect();
    let tasks = undoing(census, &ours);
    for ((task, pair), slots) in &tasks {
        let mover = Wanted::new(Some(object), *task, pair.clone(), slots.iter().copied());
        if let Some(MoverJob::Failed(why)) = (scene.job)(&mover) {
            let (from, to) = pair;
            let message = format!("{}; moves from {from} to {to} could not be undone: {why}", cause.message());
            standing.ended = Some(scene.now);
            return standing.is(State::Failed, message);
        }
        standing.movers.push(mover);
    }
    if tasks.is_empty() && !scene.movers.contains(&object.name_any()) && census.silent.is_empty() {
        return end(standing, cause, scene.now);
    }
    let message = match census.silent.first_key_value() {
        Some((shard, why)) => format!("waits for shard {shard}, which does not answer: {why}"),
        None => format!("{}: slots on their way go back to their source", cause.message()),
    };
    standing.is(State::Aborting, message)
}
