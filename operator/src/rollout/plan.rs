//! How many gateways of each revision there are, which of them go, and when the next wave begins. Pure.

use std::collections::BTreeMap;

use chat_crds::chat_cluster::ScaleDownPolicy;
use jiff::Timestamp;

use super::{analysis::Finding, steering::Course};
use crate::drain::{self, Gateway, Successors};

/// A surge is a quarter of the gateways, and one at least: what a Deployment has by default.
const SURGE_PERCENT: i32 = 25;

/// The Deployment of one revision, and its gateways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Name of the Deployment.
    pub name: String,
    /// Gateways that it has to have; `None` while it does not exist.
    pub desired: Option<i32>,
    /// When all gateways were of it for the first time.
    pub rolled_out: Option<Timestamp>,
    /// The wave that it is in, from 0.
    pub wave: usize,
    /// Why it is not to be tried again.
    pub failed: Option<Failure>,
    /// Its pods are broken, as Kubernetes tells.
    pub broken: Option<Failure>,
    /// Its pods that are not being deleted.
    pub gateways: Vec<Gateway>,
}

/// Why new gateways are worse than the old ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// One CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// How rollouts go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Percents of the connections; ascending, the last is 100.
    pub waves: Vec<i32>,
    /// Whether a revision that fails is taken back.
    pub rollback: bool,
    /// Stay where it is.
    pub paused: bool,
    /// How gateways are emptied.
    pub drain: drain::Rules,
}

/// What there is, and what is wanted.
#[derive(Clone, Debug)]
pub struct Situation {
    /// The revision that the spec leads to. Its Deployment need not exist.
    pub wanted: Revision,
    /// The others that still exist.
    pub others: Vec<Revision>,
    /// Gateways wanted, over all revisions.
    pub replicas: i32,
    /// Open connections, over all gateways; `None` while the operator has not asked them. Where some do not answer, at least one.
    pub connections: Option<i64>,
    /// How the wanted revision does, in its wave.
    pub finding: Finding,
}

/// What is to be written on the Deployment of the wanted revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// This wave has begun.
    Wave(usize),
    /// It failed.
    Failed(Failure),
    /// All gateways are of it.
    RolledOut,
}

/// What to do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Gateways that the Deployment of the wanted revision has to have.
    pub wanted: i32,
    /// The same for the others; those that are missing here are to go.
    pub others: BTreeMap<String, i32>,
    /// Pods that are to be emptied from now on.
    pub mark: Vec<String>,
    /// Pods that stay after all.
    pub unmark: Vec<String>,
    /// Pods that are done.
    pub done: Vec<String>,
    /// Where clients go meanwhile; `None` when all gateways are the same.
    pub course: Option<Course>,
    /// What to write down.
    pub note: Option<Note>,
}

impl Revision {
    fn serving(&self) -> i32 {
        count(self.gateways.iter().filter(|gateway| gateway.marked.is_none() && gateway.serves()))
    }

    fn desired(&self) -> i32 {
        self.desired.unwrap_or_default()
    }

    fn is_gone(&self) -> bool {
        self.desired() == 0 && self.gateways.is_empty()
    }

    /// Whether people have been well with it.
    fn is_proven(&self) -> bool {
        self.failed.is_none() && (self.rolled_out.is_some() || self.serving() > 0)
    }
}

fn count<'a>(gateways: impl Iterator<Item = &'a Gateway>) -> i32 {
    i32::try_from(gateways.count()).unwrap_or(i32::MAX)
}

/// Decides. Gateways of the old revisions go only when there are new ones that serve; the number of all is never under what is wanted, and over
/// it by a quarter at most.
#[must_use]
pub fn plan(situation: &Situation, rules: &Rules, now: Timestamp) -> Plan {
    let Situation { wanted, others, replicas, connections, finding } = situation;
    // What is known is two seconds old. For a rollout that is good enough: who has come meanwhile is asked by the gateway that ends.
    let deserted = *connections == Some(0);
    let others: Vec<&Revision> = others.iter().filter(|revision| !revision.is_gone()).collect();
    let drain = drain::Rules { deserted, ..rules.drain };
    // Clients of another revision are asked to move whatever the policy for gateways that are one too many.
    let policy = if drain.policy == ScaleDownPolicy::WhenEmpty { ScaleDownPolicy::Drain } else { drain.policy };
    let rolling = drain::Rules { policy, ..drain };
    let Some(stable) = stable(&others) else {
        return steady(wanted, *replicas, rules.drain, now);
    };
    let failure = wanted.failed.clone().or_else(|| wanted.broken.clone()).or_else(|| finding.failure());
    if let Some(failure) = failure.filter(|_| stable.is_proven()) {
        let note = wanted.failed.is_none().then_some(Note::Failed(failure));
        let rest: Vec<&Revision> = others.iter().copied().filter(|other| other.name != stable.name).collect();
        let is_back = wanted.is_gone() && rest.is_empty();
        let mut plan = if rules.rollback && is_back {
            Plan { note: None, ..steady(stable, *replicas, rules.drain, now) }
        } else if rules.rollback {
            replace(stable, &[rest, vec![wanted]].concat(), (*replicas, 100), rolling, now)
        } else {
            hold(wanted, &others, *replicas)
        };
        plan.note = note;
        return if rules.rollback { as_of(plan, wanted, stable) } else { plan };
    }
    // An operator that has just started does not know who is connected, and who of those that are not ready serves.
    if rules.paused || connections.is_none() {
        let plan = hold(wanted, &others, *replicas);
        let unmark = if rules.paused { plan.unmark } else { Vec::new() };
        return Plan { unmark, ..plan };
    }
    let nobody_else = others.iter().all(|other| other.serving() == 0);
    let last = rules.waves.len().saturating_sub(1);
    // Waves protect people: without any, or without a gateway that they could go back to, there is nothing to wait for.
    let wave = if deserted || nobody_else { last } else { wanted.wave.min(last) };
    let percent = rules.waves.get(wave).copied().unwrap_or(100);
    let mut plan = replace(wanted, &others, (*replicas, percent), rolling, now);
    if let Some(course) = &mut plan.course {
        course.canary = wave == 0 && last > 0;
        course.wave = wave;
    }
    if course_is_canary(&plan) {
        // Nobody goes while it is not known whether the new ones are any good.
        let kept = keep(&others, *replicas);
        let unmark = kept.unmark.iter().chain(&plan.unmark).cloned().collect();
        plan = Plan { wanted: plan.wanted, course: plan.course, unmark, ..kept };
    }
    let staffed = wanted.serving() >= share_of(*replicas, percent);
    if wave < last && staffed && *finding == Finding::Passed {
        plan.note = Some(Note::Wave(wave + 1));
    }
    plan
}

fn course_is_canary(plan: &Plan) -> bool {
    plan.course.as_ref().is_some_and(|course| course.canary)
}

/// The one to go back to: that which all gateways were of last.
fn stable<'a>(others: &[&'a Revision]) -> Option<&'a Revision> {
    others.iter().copied().max_by_key(|other| (other.is_proven(), other.rolled_out, other.serving(), other.desired()))
}

/// All gateways are of one revision.
fn steady(wanted: &Revision, replicas: i32, rules: drain::Rules, now: Timestamp) -> Plan {
    let drain::Plan { replicas: number, mark, unmark, done } =
        drain::plan((replicas, wanted.desired), Successors::Here, &wanted.gateways, rules, now);
    let is_new = wanted.rolled_out.is_none() || wanted.failed.is_some() || wanted.wave > 0;
    let complete = wanted.desired.is_some() && wanted.serving() >= replicas;
    let note = (is_new && complete).then_some(Note::RolledOut);
    Plan { wanted: number, mark, unmark, done, note, ..Plan::default() }
}

/// Gateways of `goal` take the place of the others, as far as `percent` of what is wanted. The result's `wanted` is the number of `goal`.
fn replace(
    goal: &Revision,
    others: &[&Revision],
    (replicas, percent): (i32, i32),
    rules: drain::Rules,
    now: Timestamp,
) -> Plan {
    let current: i32 = others.iter().map(|other| other.desired()).sum();
    let surge = (replicas.saturating_mul(SURGE_PERCENT).saturating_add(99) / 100).max(1);
    let share = share_of(replicas, percent);
    let room = replicas.saturating_add(surge).saturating_sub(current).max(0);
    // A gateway that is there already stays: it is the others that go.
    let number = share.min(room).max(goal.desired());
    let rest = replicas.saturating_sub(share_of_floor(replicas, percent));
    let mut left = replicas.saturating_sub(goal.serving()).max(rest).min(current);
    let mut plan = Plan { wanted: number, ..Plan::default() };
    // The proven ones keep most: a revision that was overtaken by this one goes first.
    let mut order: Vec<&&Revision> = others.iter().collect();
    order.sort_by_key(|other| std::cmp::Reverse((other.is_proven(), other.rolled_out, other.serving())));
    for other in order {
        let keep = left.min(other.desired());
        left -= keep;
        let drain::Plan { replicas, mark, unmark, done } =
            drain::plan((keep, other.desired), Successors::Elsewhere, &other.gateways, rules, now);
        plan.mark.extend(mark);
        plan.unmark.extend(unmark);
        plan.done.extend(done);
        plan.others.insert(other.name.clone(), replicas);
    }
    plan.unmark.extend(names(goal.gateways.iter().filter(|gateway| gateway.marked.is_some())));
    plan.course = (goal.serving() > 0).then(|| Course {
        to: names(goal.gateways.iter()).collect(),
        revision: goal.name.clone(),
        percent,
        canary: false,
        wave: 0,
        back: false,
    });
    plan
}

/// Nothing changes, but that there are enough.
fn keep(others: &[&Revision], replicas: i32) -> Plan {
    let mut plan = Plan::default();
    let total: i32 = others.iter().map(|other| other.desired()).sum();
    let mut missing = replicas.saturating_sub(total).max(0);
    let stable = stable(others).map(|stable| stable.name.as_str());
    for other in others {
        let more = if Some(other.name.as_str()) == stable { std::mem::take(&mut missing) } else { 0 };
        plan.others.insert(other.name.clone(), other.desired().saturating_add(more));
        plan.unmark.extend(names(other.gateways.iter().filter(|gateway| gateway.marked.is_some())));
    }
    plan
}

/// Both revisions stay as they are.
fn hold(wanted: &Revision, others: &[&Revision], replicas: i32) -> Plan {
    let plan = keep(others, replicas.saturating_sub(wanted.desired()));
    let unmark = names(wanted.gateways.iter().filter(|gateway| gateway.marked.is_some()));
    Plan { wanted: wanted.desired(), unmark: plan.unmark.into_iter().chain(unmark).collect(), course: None, ..plan }
}

/// A plan whose goal was `goal` and not the wanted revision, with the numbers where they belong.
fn as_of(mut plan: Plan, wanted: &Revision, goal: &Revision) -> Plan {
    let number = plan.others.remove(&wanted.name).unwrap_or_default();
    plan.others.insert(goal.name.clone(), plan.wanted);
    plan.wanted = number;
    if let Some(course) = &mut plan.course {
        course.back = true;
    }
    plan
}

/// Gateways that have `percent` of the connections when all have the same: one at least, unless there are none.
fn share_of(replicas: i32, percent: i32) -> i32 {
    replicas.saturating_mul(percent).saturating_add(99) / 100
}

fn share_of_floor(replicas: i32, percent: i32) -> i32 {
    replicas.saturating_mul(percent) / 100
}

fn names<'a>(gateways: impl Iterator<Item = &'a Gateway>) -> impl Iterator<Item = String> {
    gateways.map(|gateway| gateway.pod.clone()).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
