//! What follows for all ShardRebalances of a ChatCluster: one is at work at a time, and where none is, a new one may be due.

use std::collections::{BTreeMap, BTreeSet};

use chat_crds::{
    ShardRebalance,
    chat_cluster::ShardRebalancingMode as Mode,
    shard_rebalance::{RebalancePlan, RebalanceState as State},
};
use chat_gateway_config::SlotList;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use super::{
    census::Census,
    progress::{self, Pair},
    proposal::{Measures, NoPlan, propose},
    standing::{Cause, Standing, Task, Wanted},
    wish::Wish,
};
use crate::names::label;

/// After a plan that failed, the next one for the same shards is made no earlier.
const AFTER_FAILURE: SignedDuration = SignedDuration::from_mins(10);
/// After a plan that was carried out, loads alone are no reason for another one for so long.
const COOL_DOWN: SignedDuration = SignedDuration::from_hours(6);
/// Moves of the past that one mover cleans up after.
const CLEANED_AT_ONCE: usize = 64;

/// What a mover's Job says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoverJob {
    /// It has not ended.
    Running,
    /// It has done everything.
    Done,
    /// It gave up: why.
    Failed(String),
}

/// What a course follows from.
pub struct Scene<'a> {
    /// The present.
    pub now: Timestamp,
    /// What the spec asks for.
    pub wish: &'a Wish,
    /// What the shards say; `None` when nobody could be asked.
    pub census: Option<&'a Census>,
    /// What else is known of slots.
    pub measures: &'a Measures,
    /// Who decides.
    pub mode: Mode,
    /// Moves may begin now.
    pub is_open: bool,
    /// Shards of the spec that gateways do not have yet, and why.
    pub joining: &'a BTreeMap<String, String>,
    /// Shards that are away.
    pub away: &'a BTreeSet<String>,
    /// All ShardRebalances of the ChatCluster.
    pub objects: &'a [ShardRebalance],
    /// The Job of a mover, if it exists.
    pub job: &'a dyn Fn(&Wanted) -> Option<MoverJob>,
    /// ShardRebalances that have pods of movers which move slots.
    pub movers: &'a BTreeSet<String>,
    /// A new plan may be made in this pass.
    pub looks: bool,
    /// Ended ShardRebalances of the operator's that are kept.
    pub history: usize,
    /// Time for which a source keeps a slot that has moved.
    pub keeps: SignedDuration,
}

/// What follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// How each object stands, by name; those that were over already are not among them.
    pub standings: BTreeMap<String, Standing>,
    /// A new object is due.
    pub creates: bool,
    /// Objects that are past their time, by name.
    pub drops: Vec<String>,
    /// Movers that should run.
    pub movers: Vec<Wanted>,
    /// Why slots are not as the spec asks: reason and message; `None` where nothing is to be said.
    pub unbalanced: Option<(&'static str, String)>,
    /// Slots that would have to move, where a plan was looked for and the operator may not make one.
    pub would_move: Option<i32>,
    /// Moves are under way, and the next look should come soon.
    pub is_busy: bool,
}

/// Whether the operator made it.
fn is_own(object: &ShardRebalance) -> bool {
    object.labels().get(label::MANAGED_BY).is_some_and(|by| by == "chat-operator")
}

/// See [`Course`].
#[must_use]
pub fn course(scene: &Scene<'_>) -> Course {
    let mut course = Course::default();
    let mut objects: Vec<&ShardRebalance> = scene.objects.iter().collect();
    objects.sort_by_key(|object| (object.creation_timestamp(), object.name_any()));
    let is_at_work = |object: &&&ShardRebalance| {
        let standing = Standing::of(object);
        standing.started.is_some() && !standing.state.is_over()
    };
    let mut active = objects.iter().find(is_at_work).map(|object| object.name_any());
    for object in objects.iter().filter(|object| !Standing::of(object).state.is_over()) {
        let name = object.name_any();
        let other = active.clone().filter(|active| *active != name);
        let standing = step(object, scene, other.as_deref());
        if standing.started.is_some() && !standing.state.is_over() {
            active = Some(name.clone());
            course.is_busy = true;
        }
        course.movers.extend(standing.movers.clone());
        course.standings.insert(name, standing);
    }
    create(&mut course, scene, &objects);
    if active.is_none() && course.movers.is_empty() && scene.is_open {
        course.movers.extend(cleaner(scene));
    }
    course.drops = drops(&objects, scene.history);
    course.unbalanced = course.unbalanced.take().or_else(|| tell(&course, scene, &objects));
    course
}

/// One object's next step.
fn step(object: &ShardRebalance, scene: &Scene<'_>, other: Option<&str>) -> Standing {
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
            undo(object, before, scene, cause)
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
        let gone = |((from, _), slots): (Pair, Vec<u32>)| {
            slots.iter().any(|slot| census.owners.get(slot).is_some_and(|owner| owner.shard != from))
        };
        progress::pairs(plan).into_iter().any(gone)
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
    match propose(scene.wish, census, scene.measures, object.spec.moves.as_deref()) {
        Ok(proposal) if proposal.plan.slots == 0 => {
            before.plan = Some(proposal.plan);
            before.ended = Some(scene.now);
            Err(Box::new(before.is(State::Completed, "every slot is where it should be")))
        }
        Ok(proposal) => {
            before.plan = Some(proposal.plan);
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
fn seen(mut standing: Standing, scene: &Scene<'_>) -> Standing {
    if let (Some(plan), Some(census), Some(started)) = (&standing.plan, scene.census, standing.started) {
        let (progress, pauses) = progress::progress(plan, census, Some(started), scene.now);
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

fn wanted(object: &ShardRebalance, task: Task, (from, to): &Pair, slots: &[u32]) -> Wanted {
    let slots: SlotList = slots.iter().filter_map(|slot| i32::try_from(*slot).ok()).collect();
    Wanted {
        rebalance: object.name_any(),
        uid: object.uid().unwrap_or_default(),
        task,
        from: from.clone(),
        to: to.clone(),
        slots: slots.to_string(),
    }
}

/// Moves what has not moved.
fn run(object: &ShardRebalance, mut standing: Standing, scene: &Scene<'_>) -> Standing {
    let Some(plan) = standing.plan.clone() else { return standing };
    // By the plan and not by what is left: a Job is named after its slots, and must not change while it runs.
    let all: Vec<(Pair, Wanted)> = progress::pairs(&plan)
        .into_iter()
        .map(|(pair, slots)| (pair.clone(), wanted(object, Task::Move, &pair, &slots)))
        .collect();
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
    let mut standing = seen(standing, scene);
    let left = progress::left(&plan, census);
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
        return undo(object, standing, scene, Cause::Failed(why));
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

/// Brings slots that are on their way back to their source, and finishes those that have left it for good.
fn undo(object: &ShardRebalance, standing: Standing, scene: &Scene<'_>, cause: Cause) -> Standing {
    let mut standing = seen(standing, scene);
    standing.cause = Some(cause.clone());
    let (Some(plan), Some(census)) = (standing.plan.clone(), scene.census) else {
        return standing.is(State::Aborting, "no gateway could say which slots are on their way");
    };
    let ours: BTreeSet<u32> = progress::pairs(&plan).into_iter().flat_map(|(_, slots)| slots).collect();
    let mut tasks: BTreeMap<(Task, Pair), Vec<u32>> = BTreeMap::new();
    for (slot, transit) in census.transit.iter().filter(|(slot, _)| ours.contains(slot)) {
        let task =
            if census.owners.contains_key(slot) || transit.state != "importing" { Task::Abort } else { Task::Move };
        tasks.entry((task, (transit.from.clone(), transit.to.clone()))).or_default().push(*slot);
    }
    for ((task, pair), slots) in &tasks {
        let mover = wanted(object, *task, pair, slots);
        if let Some(MoverJob::Failed(why)) = (scene.job)(&mover) {
            let (from, to) = pair;
            let message = format!("{}; moves from {from} to {to} could not be undone: {why}", cause.message());
            standing.ended = Some(scene.now);
            return standing.is(State::Failed, message);
        }
        standing.movers.push(mover);
    }
    if tasks.is_empty() && !scene.movers.contains(&object.name_any()) && census.silent.is_empty() {
        return end(standing, &cause, scene.now);
    }
    let message = match census.silent.first_key_value() {
        Some((shard, why)) => format!("waits for shard {shard}, which does not answer: {why}"),
        None => format!("{}: slots on their way go back to their source", cause.message()),
    };
    standing.is(State::Aborting, message)
}

/// Whether a new object is due.
fn create(course: &mut Course, scene: &Scene<'_>, objects: &[&ShardRebalance]) {
    let is_live = |object: &&&ShardRebalance| {
        let name = object.name_any();
        course.standings.get(&name).is_some_and(|standing| !standing.state.is_over())
    };
    let Some(census) = scene.census.filter(|_| scene.looks && scene.joining.is_empty()) else { return };
    if objects.iter().any(|object| is_live(&object)) {
        return;
    }
    let proposal = match propose(scene.wish, census, scene.measures, None) {
        Ok(proposal) => proposal,
        Err(why) if why.passes() => return,
        Err(why) => {
            course.unbalanced = Some(("NoPlan", why.to_string()));
            return;
        }
    };
    course.would_move = Some(proposal.plan.slots);
    if proposal.plan.slots == 0 || scene.mode == Mode::Off {
        return;
    }
    let last = objects
        .iter()
        .rev()
        .find(|object| is_own(object))
        .map(|object| course.standings.get(&object.name_any()).cloned().unwrap_or_else(|| Standing::of(object)));
    let same = last.filter(|last| last.plan.as_ref().is_some_and(|plan| plan.target == scene.wish.target));
    let since =
        |standing: &Standing| standing.ended.map_or(SignedDuration::MAX, |ended| scene.now.duration_since(ended));
    course.creates = match &same {
        Some(last) if last.state == State::Aborted => false,
        Some(last) if last.state == State::Failed => since(last) >= AFTER_FAILURE,
        Some(last) if last.state == State::Completed => since(last) >= COOL_DOWN,
        _ => true,
    };
}

/// A mover that deletes what sources still have of slots that moved long ago.
fn cleaner(scene: &Scene<'_>) -> Option<Wanted> {
    let census = scene.census?;
    let mut due: BTreeMap<Pair, BTreeSet<i32>> = BTreeMap::new();
    for (to, moved) in &census.moved {
        for moved in moved.iter().filter(|moved| !moved.cleaned && census.heard.contains(&moved.from)) {
            let age = scene.now.as_millisecond().saturating_sub(moved.at_ms);
            // A slot that has come back is its former source's again.
            let is_there = census.owners.get(&moved.slot).is_some_and(|owner| owner.shard == *to);
            if is_there && i128::from(age) >= scene.keeps.as_millis() {
                due.entry((moved.from.clone(), to.clone())).or_default().extend(i32::try_from(moved.slot));
            }
        }
    }
    let is_there = |pair: &Pair| !scene.away.contains(&pair.0) && !scene.away.contains(&pair.1);
    let ((from, to), slots) = due.into_iter().find(|(pair, _)| is_there(pair))?;
    let slots: SlotList = slots.into_iter().take(CLEANED_AT_ONCE).collect();
    let slots = slots.to_string();
    Some(Wanted { rebalance: String::new(), uid: String::new(), task: Task::Clean, from, to, slots })
}

/// Objects of the operator's own that are over, the oldest first, beyond those that are kept.
fn drops(objects: &[&ShardRebalance], history: usize) -> Vec<String> {
    let over: Vec<String> = objects
        .iter()
        .filter(|object| is_own(object) && Standing::of(object).state.is_over())
        .map(|object| object.name_any())
        .collect();
    over[..over.len().saturating_sub(history)].to_vec()
}

/// What `ShardsBalanced` says of it.
fn tell(course: &Course, scene: &Scene<'_>, objects: &[&ShardRebalance]) -> Option<(&'static str, String)> {
    if let Some((shard, why)) = scene.joining.first_key_value() {
        return Some(("ShardsJoining", format!("shard {shard} is not there for all gateways yet: {why}")));
    }
    let live = course.standings.iter().filter(|(_, standing)| !standing.state.is_over());
    if let Some((name, standing)) = live.max_by_key(|(_, standing)| standing.started.is_some()) {
        let reason = match standing.state {
            State::WaitingForApproval => "ApprovalNeeded",
            State::WaitingForWindow => "WaitingForWindow",
            State::Paused => "RebalancePaused",
            State::Aborting => "Aborting",
            _ => "Rebalancing",
        };
        return Some((reason, format!("ShardRebalance {name}: {}", standing.message)));
    }
    if course.creates {
        return Some(("Rebalancing", "a plan is being made".to_owned()));
    }
    // What failed or was given up still says why slots are not where the spec wants them, until a look shows that they are.
    let last = objects.iter().rev().find(|object| is_own(object))?;
    let standing = course.standings.get(&last.name_any()).cloned().unwrap_or_else(|| Standing::of(last));
    let of_this = standing.plan.as_ref().is_some_and(|plan| plan.target == scene.wish.target);
    match standing.state {
        State::Failed | State::Aborted if of_this && course.would_move != Some(0) => {
            let reason = if standing.state == State::Failed { "RebalanceFailed" } else { "RebalanceAborted" };
            Some((reason, format!("ShardRebalance {}: {}", last.name_any(), standing.message)))
        }
        _ => None,
    }
}
