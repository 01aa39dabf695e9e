//! What follows for all ShardRebalances of a ChatCluster: one is at work at a time, and where none is, a new one may be due.

use std::collections::{BTreeMap, BTreeSet};

use chat_crds::{ShardRebalance, chat_cluster::ShardRebalancingMode as Mode, shard_rebalance::RebalanceState as State};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use super::{
    census::Census,
    progress::Pair,
    proposal::{Measures, propose},
    standing::{Standing, Task, Wanted},
    step::{self, step},
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
    /// Slots that have been on their way for long, although no ShardRebalance is at work: the one that was has been deleted.
    pub orphans: &'a BTreeSet<u32>,
    /// ShardRebalances that have pods of movers which move slots.
    pub movers: &'a BTreeSet<String>,
    /// A mover of no ShardRebalance runs: it cleans up, or undoes what a deleted one had begun.
    pub is_tidying: bool,
    /// What slots take is known, or will not be known soon.
    pub is_counted: bool,
    /// Slots that would have to move, as far as the last look told.
    pub would_move: Option<i32>,
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
    /// What tidies up goes on as it is.
    pub tidies: bool,
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
    // What is left for one that runs grows less while it does; another one for the rest would only be begun anew.
    course.tidies = scene.is_tidying && active.is_none() && course.movers.is_empty();
    if active.is_none() && course.movers.is_empty() && !course.tidies {
        let tasks = scene.census.iter().flat_map(|census| step::undoing(census, scene.orphans));
        course.movers.extend(tasks.map(|((task, pair), slots)| Wanted::new(None, task, pair, slots)));
    }
    if active.is_none() && course.movers.is_empty() && !course.tidies && scene.is_open {
        course.movers.extend(cleaner(scene));
    }
    course.drops = drops(&objects, scene.history);
    course.unbalanced = course.unbalanced.take().or_else(|| tell(&course, scene, &objects));
    course
}

/// Whether a new object is due.
fn create(course: &mut Course, scene: &Scene<'_>, objects: &[&ShardRebalance]) {
    let Some(census) = scene.census.filter(|_| scene.looks && scene.joining.is_empty()) else { return };
    if course.standings.values().any(|standing| !standing.state.is_over()) {
        return;
    }
    let plan = match propose(scene.wish, census, scene.measures, None) {
        Ok(plan) => plan,
        Err(why) if why.passes() => return,
        Err(why) => {
            course.unbalanced = Some(("NoPlan", why.to_string()));
            return;
        }
    };
    course.would_move = Some(plan.slots);
    if plan.slots == 0 || scene.mode == Mode::Off {
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
    let mut due: BTreeMap<Pair, BTreeSet<u32>> = BTreeMap::new();
    let mut young = BTreeSet::new();
    for (to, moved) in &census.moved {
        // A slot that has come back is its former source's again.
        let is_there = |slot: &u32| census.owners.get(slot).is_some_and(|owner| owner.shard == *to);
        for moved in moved.iter().filter(|moved| is_there(&moved.slot)) {
            let age = scene.now.as_millisecond().saturating_sub(moved.at_ms);
            if i128::from(age) < scene.keeps.as_millis() {
                young.insert(moved.slot);
            } else if !moved.cleaned && census.heard.contains(&moved.from) {
                due.entry((moved.from.clone(), to.clone())).or_default().insert(moved.slot);
            }
        }
    }
    // Who has the slot now tells of the move that brought it. Where it was before, it moved away earlier than that; from there nobody tells any more
    // but its rows. A count may be older than the slot's last move, and then says no more of it than that move's destination.
    for (slot, shards) in census.left.iter().filter(|(slot, _)| !young.contains(slot)) {
        let Some(owner) = census.owners.get(slot).filter(|_| !census.transit.contains_key(slot)) else { continue };
        for from in shards {
            due.entry((from.clone(), owner.shard.clone())).or_default().insert(*slot);
        }
    }
    let is_there = |pair: &Pair| !scene.away.contains(&pair.0) && !scene.away.contains(&pair.1);
    let (pair, slots) = due.into_iter().find(|(pair, _)| is_there(pair))?;
    Some(Wanted::new(None, Task::Clean, pair, slots.into_iter().take(CLEANED_AT_ONCE)))
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
        State::Failed | State::Aborted if of_this && course.would_move.or(scene.would_move) != Some(0) => {
            let reason = if standing.state == State::Failed { "RebalanceFailed" } else { "RebalanceAborted" };
            Some((reason, format!("ShardRebalance {}: {}", last.name_any(), standing.message)))
        }
        _ => None,
    }
}
