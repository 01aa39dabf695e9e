//! The rules of the conditions. Pure: everything they depend on comes in.
//!
//! `Ready` is True only when the children that were applied for this generation are observed ready. kstatus takes
//! `Reconciling=True` for "in progress" and `Stalled=True` for "failed"; both are always present and never both True.

use std::collections::BTreeMap;

use chat_crds::chat_cluster::ConditionType;
use chat_gateway_config::stats::Taken;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{
    availability::{self, Part, State},
    certificates, credentials_rotated,
    deadlines::Deadline,
    observed::{GatewaysObserved, MigrationObserved, Observed},
    rotation::Rotation,
    validate::Problem,
};
use crate::{names::Component, poll::ClusterView, rollout::Failure};

/// Reason while gateways take what they take while they run.
const TAKING: &str = "GatewaysTakeConfiguration";

/// What a pass came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The children are as the spec says; whether they work is seen in what is observed.
    Applied,
    /// The cluster is paused; so many writes wait.
    Paused(usize),
    /// Something must happen first, and it may happen without a change of the spec.
    Waiting(Problem),
    /// Only a person can go on.
    Refused(Problem),
    /// The API server refused or did not answer; the pass is tried again.
    Failed(Problem),
}

/// What the broker is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BrokerKind {
    /// RabbitMQ.
    #[default]
    RabbitMq,
    /// Pub/Sub of a Redis.
    Redis,
    /// Apache Kafka.
    Kafka,
    /// The only gateway itself.
    InProcess,
}

/// What the database is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DatabaseKind {
    /// PostgreSQL shards, which a migration makes ready.
    #[default]
    Shards,
    /// A file of the only gateway, which that makes ready itself.
    Embedded,
}

/// How much of the shards a pass has looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Looked {
    /// At everything: what it says is what is so.
    #[default]
    Whole,
    /// It is not known yet whether slots have to move.
    Undecided,
    /// The pass did not come to the shards.
    Not,
}

/// What operators of engines say of those that are not as they should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    /// Of the broker.
    pub broker: Option<String>,
    /// Of shards, by name.
    pub shards: BTreeMap<String, String>,
}

/// What the backends are, as far as the conditions depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Name of the StatefulSet of a managed broker.
    pub broker: Option<String>,
    /// What the broker is.
    pub broker_kind: BrokerKind,
    /// Name of managed Redis' StatefulSet.
    pub cache: Option<String>,
    /// What the database is.
    pub database_kind: DatabaseKind,
    /// The shards: name, and the StatefulSet of those that are managed. An embedded database is one, too.
    pub shards: Vec<(String, Option<String>)>,
    /// What the operators of engines say of them.
    pub remarks: Remarks,
    /// Shards that not every gateway has yet, and why. People chat without them.
    pub joining: BTreeMap<String, String>,
    /// Why slots are not where the spec wants them, where that is known: reason and message.
    pub unbalanced: Option<(&'static str, String)>,
    /// Whether somebody has looked if slots have to move.
    pub slots_looked_at: Looked,
    /// The shards themselves have said that every slot is owned or on its way; gateways count them a few seconds later.
    pub slots_whole: bool,
    /// Number of slots.
    pub slots: i32,
    /// Gateways wanted.
    pub replicas: i32,
    /// Waves of a rollout, percent of the connections.
    pub waves: Vec<i32>,
    /// A rollout stays where it is.
    pub rollout_paused: bool,
    /// Gateways that are enough for now: where the operator decides how many there are, the fewest that the spec allows, so that every
    /// gateway it adds does not make the cluster unready until it has started.
    pub enough: i32,
    /// Whether people come through a tier of HAProxy that the operator runs.
    pub tier: bool,
    /// Violations of delivery up to this moment are forgiven.
    pub cleared: Option<Timestamp>,
    /// Name of the migration that the gateways need; `None` while the cluster could not be built, and with an embedded
    /// database.
    pub migration: Option<String>,
    /// Certificates in Secrets that the spec names; `None` where the pass did not come to them.
    pub deadlines: Option<Vec<Deadline>>,
    /// Secrets of the operator's own that are being replaced; `None` where the pass did not come to them.
    pub rotations: Option<Vec<Rotation>>,
}

/// Everything the conditions depend on.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// Generation of the spec that was looked at.
    pub generation: i64,
    /// The present.
    pub now: Timestamp,
    /// The conditions as they were.
    pub previous: &'a [Condition],
    /// What a pass came to.
    pub verdict: &'a Verdict,
    /// What the backends are.
    pub shape: &'a Shape,
    /// The children's own status.
    pub observed: &'a Observed,
    /// What the gateways say.
    pub view: &'a ClusterView,
}

impl Inputs<'_> {
    /// A condition as it was.
    pub(super) fn before(&self, type_: ConditionType) -> Option<&Condition> {
        self.previous.iter().find(|condition| condition.type_ == type_.as_str())
    }

    /// The migration that the gateways need, as far as it has come.
    pub(super) fn migration(&self) -> Option<&MigrationObserved> {
        self.observed.migrations.get(self.shape.migration.as_ref()?)
    }

    /// Whether all that the gateways are on their way to is another number that no spec asks for: one that the operator has decided on, or one
    /// more while somebody has a gateway replaced.
    pub(super) fn only_scales(&self) -> bool {
        let going = &self.observed.draining;
        let replaces = !going.is_empty() && going.iter().all(|going| going.requested);
        let is_enough = |gateways: &GatewaysObserved| gateways.one_revision && gateways.ready >= self.shape.enough;
        (self.view.scaling.is_some() || replaces) && self.observed.gateways.as_ref().is_some_and(is_enough)
    }

    /// Gateways that serve: those that are ready, and those that turn new clients away since these are to go to another revision.
    pub(super) fn serving(&self) -> i32 {
        let Some(gateways) = &self.observed.gateways else { return 0 };
        let closed = self.view.closed().filter(|stats| gateways.turned_away.contains(&stats.gateway)).count();
        gateways.ready.saturating_add(i32::try_from(closed).unwrap_or(i32::MAX))
    }

    /// Whether as many gateways as the Deployment wants serve, all of the newest revision.
    pub(super) fn has_all(&self, gateways: &GatewaysObserved) -> bool {
        gateways.whole && self.serving() >= gateways.desired
    }

    /// What gateways have not taken that they take while they run, if there is anything.
    fn untaken(&self) -> Option<String> {
        let (wanted, view) = (self.observed.wanted.as_ref()?, self.view);
        if !view.asked {
            // What was said of this very spec stands.
            let is_of_this = |ready: &&Condition| ready.observed_generation == Some(self.generation);
            let ready = self.before(ConditionType::Ready);
            return match ready.filter(is_of_this) {
                Some(ready) => (ready.reason == TAKING).then(|| ready.message.clone()),
                None => (self.shape.replicas > 0).then(|| "no gateway has said yet what it has taken".to_owned()),
            };
        }
        if let Some(unasked) = self.unasked() {
            return Some(format!("gateway {unasked} has not said yet what it has taken"));
        }
        // One that ends takes nothing any more, and one of a version before takes nothing at all.
        let mut all: Vec<(&String, &Taken)> = view.last_words.iter().collect();
        let serving = view.gateways.iter().filter(|(_, stats)| !stats.draining);
        all.extend(serving.filter_map(|(pod, stats)| Some((pod, stats.live.as_ref()?))));
        let late: Vec<(&String, &Taken, &str)> =
            all.iter().filter_map(|(pod, taken)| Some((*pod, *taken, wanted.missing(taken)?))).collect();
        let (pod, _, why) = late.iter().max_by_key(|(_, taken, _)| taken.error.is_some())?;
        let (late, all) = (late.len(), all.len());
        Some(format!(
            "{late} of {all} gateways do not have the limits, log level and keys that they take while they run: {pod}: {why}"
        ))
    }

    /// A ready gateway that there was no time to ask. Of a spec that was in force it is taken to have it all: one more gateway does not make a cluster
    /// unready.
    fn unasked(&self) -> Option<&String> {
        let was_ready = |ready: &Condition| {
            ready.status == State::True.as_str() && ready.observed_generation == Some(self.generation)
        };
        if self.before(ConditionType::Ready).is_some_and(was_ready) {
            return None;
        }
        let ClusterView { gateways, silent, last_words, .. } = self.view;
        // Of those that do not answer, another condition tells.
        let heard =
            |pod: &String| gateways.contains_key(pod) || last_words.contains_key(pod) || silent.contains_key(pod);
        self.observed.gateways.iter().flat_map(|gateways| &gateways.ready_pods).find(|pod| !heard(pod))
    }

    /// Why the newest revision failed, if it did.
    pub(super) fn failure(&self) -> Option<&Failure> {
        self.observed.gateways.as_ref()?.rollout.as_ref()?.failure.as_ref()
    }

    /// `RolloutHealthy` as it was said of this very spec, where the pass did not come to know which revision and which migration that leads to: nothing that is
    /// seen then is of its rollout.
    pub(super) fn rollout_before(&self) -> Option<&Condition> {
        let lacks_target = self.observed.gateways.as_ref().is_some_and(|gateways| !gateways.is_of_spec);
        let before = self.before(ConditionType::RolloutHealthy).filter(|_| lacks_target)?;
        let is_of_this = before.observed_generation == Some(self.generation);
        (is_of_this && before.status != State::Unknown.as_str()).then_some(before)
    }

    /// Whether the gateways cannot be of the newest revision yet, because the shards are not.
    fn waits_for_migration(&self) -> bool {
        self.shape.database_kind == DatabaseKind::Shards
            && !matches!(self.migration(), Some(MigrationObserved::Completed))
    }
}

/// All conditions, in the order in which they are shown.
#[must_use]
pub fn conditions(inputs: &Inputs<'_>) -> Vec<Condition> {
    let said = |type_, part| (type_, until_asked(inputs, type_, part));
    let parts = [
        (ConditionType::GatewaysAvailable, availability::gateways(inputs)),
        said(ConditionType::BrokerAvailable, availability::broker(inputs)),
        said(ConditionType::CacheAvailable, availability::cache(inputs)),
        said(ConditionType::DatabaseAvailable, availability::database(inputs)),
        said(ConditionType::ShardsBalanced, availability::shards(inputs)),
        (ConditionType::RolloutHealthy, availability::rollout(inputs)),
        (ConditionType::DeliveryVerified, availability::delivery(inputs)),
        (ConditionType::CertificatesValid, certificates::certificates(inputs)),
        (ConditionType::CredentialsRotated, credentials_rotated::rotated(inputs)),
    ];
    let stalled = stalled(inputs);
    let ready = ready(inputs, &parts);
    let reconciling = reconciling(inputs, &stalled, &ready);
    let head =
        [(ConditionType::Ready, ready), (ConditionType::Reconciling, reconciling), (ConditionType::Stalled, stalled)];
    head.into_iter().chain(parts).map(|(type_, part)| stamp(inputs, type_, part)).collect()
}

/// Until the gateways have been asked, what they said last stands: an operator that starts must not make a healthy
/// cluster unready for the seconds before its first answer. What is seen to be broken is told at once.
fn until_asked(inputs: &Inputs<'_>, type_: ConditionType, part: Part) -> Part {
    let before = inputs.before(type_);
    match before {
        Some(before) if !inputs.view.asked && part.state != State::False => Part::of(before),
        _ => part,
    }
}

fn stalled(inputs: &Inputs<'_>) -> Part {
    if let Verdict::Refused(problem) = inputs.verdict {
        return Part::new(State::True, problem.reason, &problem.message);
    }
    // Where the rollout is told as it was, so is that it waits for a person.
    let waited = |rollout: &&Condition| {
        let stalled = inputs.before(ConditionType::Stalled);
        stalled.is_some_and(|stalled| stalled.status == State::True.as_str() && stalled.reason == rollout.reason)
    };
    if let Some(rollout) = inputs.rollout_before().filter(waited) {
        return Part { state: State::True, ..Part::of(rollout) };
    }
    if let Some(MigrationObserved::Failed(_)) = inputs.migration() {
        let part = availability::rollout(inputs);
        return Part { state: State::True, ..part };
    }
    let is_stuck = |gateways: &GatewaysObserved| gateways.stuck && gateways.rollout.is_none();
    let tier_stuck = inputs.shape.tier && inputs.observed.tier.is_some_and(|tier| tier.stuck);
    let gateways_stuck = inputs.observed.gateways.as_ref().is_some_and(is_stuck);
    if tier_stuck || gateways_stuck || inputs.failure().is_some() {
        let part = availability::rollout(inputs);
        return Part { state: State::True, ..part };
    }
    Part::new(State::False, "NotStalled", "nothing waits for a person")
}

fn ready(inputs: &Inputs<'_>, parts: &[(ConditionType, Part)]) -> Part {
    match inputs.verdict {
        Verdict::Waiting(problem) | Verdict::Refused(problem) | Verdict::Failed(problem) => {
            return Part::new(State::False, problem.reason, &problem.message);
        }
        Verdict::Paused(pending) if *pending > 0 => {
            let message =
                format!("the cluster is paused and {pending} changes wait; set spec.paused to false to make them");
            return Part::new(State::False, "ChangesPending", &message);
        }
        Verdict::Applied | Verdict::Paused(_) => {}
    }
    // An empty cluster has no gateways that could say anything: what is unknown then is no reason to be unready.
    let counts = |part: &Part| match part.state {
        State::True => false,
        State::False => true,
        State::Unknown => inputs.shape.replicas > 0,
    };
    // Slots that are spread unevenly, or not known for a moment, are no harm; slots that nobody owns are.
    // What went wrong in the last hour does not keep people from chatting now, nor a spec that puts it right from being in force.
    let harmless = |type_: ConditionType, part: &Part| {
        // Nor does a certificate: where one has ended, who shows or checks it says so. While a password is replaced, both are good.
        matches!(
            type_,
            ConditionType::DeliveryVerified | ConditionType::CertificatesValid | ConditionType::CredentialsRotated
        ) || type_ == ConditionType::ShardsBalanced && part.reason != availability::SLOTS_UNASSIGNED
    };
    let mut harmful = parts.iter().filter(|(type_, part)| !harmless(*type_, part));
    let first = harmful.find(|(_, part)| counts(part));
    if let Some((type_, part)) = first {
        let message = format!("{} is {}: {}", type_.as_str(), part.state.as_str(), part.message);
        return Part { state: State::False, reason: part.reason.clone(), message };
    }
    match unsettled(inputs) {
        Some((reason, message)) => Part::new(State::False, reason, &message),
        None => Part::new(State::True, "Ready", "people can chat, and everything is as the spec asks"),
    }
}

/// Work that is on its way, although nothing is wrong with it.
fn unsettled(inputs: &Inputs<'_>) -> Option<(&'static str, String)> {
    // Where all gateways are as they should be, it is for shards that come: nobody waits for those.
    let waits = inputs.waits_for_migration();
    if waits && !inputs.observed.gateways.as_ref().is_some_and(|gateways| inputs.has_all(gateways)) {
        return Some(("Migrating", "the migration of the shards has not completed".to_owned()));
    }
    match &inputs.observed.gateways {
        None => return Some(("RollingOut", "the gateways' Deployment is being made".to_owned())),
        Some(_) if inputs.only_scales() => {}
        Some(gateways) if gateways.one_revision && !inputs.observed.draining.is_empty() => {
            let going = inputs.observed.draining.len();
            let message =
                format!("gateways that are one too many go when their clients have: {going}; see status.draining");
            return Some(("Draining", message));
        }
        Some(_)
            if inputs.shape.rollout_paused
                && inputs.observed.gateways.as_ref().is_some_and(|all| all.rollout.is_some()) =>
        {
            return Some(("RolloutPaused", "spec.gateways.rollout.paused is true: both revisions serve".to_owned()));
        }
        Some(gateways) if !inputs.has_all(gateways) || gateways.desired != inputs.shape.replicas => {
            return Some(("RollingOut", "not every gateway is of the newest revision and ready".to_owned()));
        }
        Some(_) => {}
    }
    if let Some(message) = inputs.untaken() {
        return Some((TAKING, message));
    }
    if let Some(unsettled) = unsettled_tier(inputs) {
        return Some(unsettled);
    }
    let joins = |set: &str| {
        inputs
            .shape
            .shards
            .iter()
            .any(|(name, of)| of.as_deref() == Some(set) && inputs.shape.joining.contains_key(name))
    };
    let mut backends = inputs.observed.backends.iter().filter(|(name, _)| !joins(name));
    let (name, backend) = backends.find(|(_, backend)| !backend.current || !backend.ready)?;
    let what = if backend.current { "is starting" } else { "is being updated" };
    Some(("RollingOut", format!("the pod of StatefulSet {name} {what}")))
}

/// A tier that is not what the spec asks for yet. Without gateways no HAProxy is ready.
fn unsettled_tier(inputs: &Inputs<'_>) -> Option<(&'static str, String)> {
    if !inputs.shape.tier || inputs.shape.replicas == 0 {
        return None;
    }
    match inputs.observed.tier {
        None => Some(("RollingOut", "the Deployment of HAProxy is being made".to_owned())),
        Some(tier) if !tier.complete => {
            let message = format!("{} of {} HAProxies are ready and of the newest revision", tier.ready, tier.desired);
            Some(("RollingOut", message))
        }
        Some(_) => None,
    }
}

fn reconciling(inputs: &Inputs<'_>, stalled: &Part, ready: &Part) -> Part {
    let working = |reason: &str, message: &str| Part::new(State::True, reason, message);
    if stalled.state == State::True {
        return Part::new(State::False, "Stalled", "the operator waits for a person; see Stalled");
    }
    match inputs.verdict {
        Verdict::Paused(_) => Part::new(State::False, "Paused", "spec.paused is true: the operator changes nothing"),
        Verdict::Waiting(problem) => working(problem.reason, &problem.message),
        Verdict::Failed(problem) => working("Retrying", &problem.message),
        Verdict::Applied | Verdict::Refused(_) => match unsettled(inputs) {
            Some((reason, message)) => working(reason, &message),
            // For instance an external broker that is away: there is nothing that the operator could do about it.
            None if ready.state != State::True => {
                Part::new(State::False, "Applied", "all objects are as the spec asks; see Ready for what is wrong")
            }
            None => Part::new(State::False, "Settled", "everything is as the spec asks"),
        },
    }
}

/// Makes the condition; its transition time moves only when its status does.
fn stamp(inputs: &Inputs<'_>, type_: ConditionType, part: Part) -> Condition {
    let before = inputs.before(type_);
    let status = part.state.as_str();
    let last_transition_time = match before {
        Some(before) if before.status == status => before.last_transition_time.clone(),
        _ => Time(inputs.now),
    };
    Condition {
        type_: type_.as_str().to_owned(),
        status: status.to_owned(),
        reason: part.reason,
        message: part.message,
        observed_generation: Some(inputs.generation),
        last_transition_time,
    }
}

/// What the user reads when pods of a component do not run.
pub(super) fn trouble_of(inputs: &Inputs<'_>, component: Component) -> Option<(String, String)> {
    let trouble = inputs.observed.troubles.get(&component)?;
    Some((trouble.reason.clone(), trouble.message.clone()))
}
