//! The conditions of the parts: gateways, broker, Redis, shards, rollout. Pure.

use std::time::Duration;

use chat_crds::chat_cluster::ConditionType;
use chat_gateway_config::Embedded;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    conditions::{BrokerKind, DatabaseKind, Inputs, Looked, Verdict, trouble_of},
    observed::{BackendObserved, MigrationObserved, Trouble},
};
use crate::{
    names::Component,
    poll::{Delivery, Opinion, STANDS, Verified},
    rollout::Failure,
};

/// Reason of `ShardsBalanced` when rooms cannot be used.
pub(super) const SLOTS_UNASSIGNED: &str = "SlotsUnassigned";

/// A condition's own memory of a violation ends this much before the operator's, which tells when it is over.
const FORGETS_LATE: Duration = Duration::from_secs(60);

/// Status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    True,
    False,
    Unknown,
}

impl State {
    pub(super) fn of(status: &str) -> Self {
        match status {
            "True" => Self::True,
            "False" => Self::False,
            _ => Self::Unknown,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// A condition without its type and its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) state: State,
    pub(super) reason: String,
    pub(super) message: String,
}

impl Part {
    pub(super) fn new(state: State, reason: &str, message: &str) -> Self {
        Self { state, reason: reason.to_owned(), message: message.to_owned() }
    }

    /// What a condition says.
    pub(super) fn of(said: &Condition) -> Self {
        Self::new(State::of(&said.status), &said.reason, &said.message)
    }
}

/// `GatewaysAvailable`: as many gateways are ready as are wanted.
pub(super) fn gateways(inputs: &Inputs<'_>) -> Part {
    let wanted = inputs.shape.replicas;
    let ready = inputs.serving();
    if ready >= wanted {
        let message = format!("{ready} of {wanted} gateways are ready");
        if let Some(part) = closed(inputs, &message) {
            return part;
        }
        // People chat through it all the same, so this is no reason for False: only the operator sees less.
        if let Some((pod, error)) = inputs.view.silent.first_key_value() {
            let silent = inputs.view.silent.len();
            let message = format!("{message}; {silent} of them do not answer the operator: {pod}: {error}");
            return Part::new(State::True, "GatewaySilent", &message);
        }
        if let Some((pod, ahead)) = inputs.view.skewed.first_key_value() {
            let side = if *ahead > 0 { "ahead of" } else { "behind" };
            let message = format!(
                "{message}; the clock of {pod} is {} s {side} the operator's: set the clocks of the nodes, or tokens are refused",
                ahead.abs()
            );
            return Part::new(State::True, "ClockSkewed", &message);
        }
        if inputs.view.rebalancing {
            let closed = inputs.view.closed().count();
            let message = format!(
                "{message}; {closed} of them turn new clients away while they share out what they have too many"
            );
            return Part::new(State::True, "Rebalancing", &message);
        }
        let old = inputs.view.gateways.values().filter(|stats| stats.live.is_none()).count();
        if old > 0 {
            let message =
                format!("{message}; {old} of them are of a version that takes limits and keys at its start only");
            return Part::new(State::True, "GatewaysReady", &message);
        }
        return Part::new(State::True, if wanted == 0 { "ScaledToZero" } else { "GatewaysReady" }, &message);
    }
    if let Some((reason, message)) = trouble_of(inputs, Component::Gateway) {
        return Part::new(State::False, &reason, &format!("{ready} of {wanted} gateways are ready; {message}"));
    }
    if inputs.only_scales() {
        return Part::new(
            State::True,
            "ScalingUp",
            &format!("{ready} of {wanted} gateways are ready; the others start"),
        );
    }
    let (reason, message) = match (&inputs.observed.gateways, inputs.migration()) {
        (None, Some(MigrationObserved::Refused(Trouble { reason, message }))) => {
            (reason.as_str(), format!("gateways start when the migration of the shards has completed; {message}"))
        }
        (None, None)
            if !matches!(inputs.verdict, Verdict::Applied) || inputs.shape.database_kind == DatabaseKind::Embedded =>
        {
            ("NotCreated", "there is no Deployment yet".to_owned())
        }
        (None, _) => {
            ("WaitingForMigration", "gateways start when the migration of the shards has completed".to_owned())
        }
        (Some(_), _) => ("GatewaysNotReady", format!("{ready} of {wanted} gateways are ready")),
    };
    Part::new(State::False, reason, &message)
}

/// Gateways to which no way leads. A tier is not ready while it knows no gateway, so without gateways it says nothing.
fn closed(inputs: &Inputs<'_>, gateways: &str) -> Option<Part> {
    let ready = inputs.observed.tier.map_or(0, |tier| tier.ready);
    if !inputs.shape.tier || inputs.shape.replicas == 0 || ready > 0 {
        return None;
    }
    let (reason, detail) = trouble_of(inputs, Component::Balancer)
        .unwrap_or_else(|| ("BalancerNotReady".to_owned(), "see its pods and their logs".to_owned()));
    let message = format!("{gateways}, but no HAProxy in front of them is: {detail}");
    Some(Part::new(State::False, &reason, &message))
}

/// `BrokerAvailable`.
pub(super) fn broker(inputs: &Inputs<'_>) -> Part {
    let opinion = inputs.view.opinion(|stats| Some(&stats.broker));
    let what = match inputs.shape.broker_kind {
        BrokerKind::RabbitMq => (Component::Broker, "RabbitMQ"),
        BrokerKind::Redis => (Component::Cache, "Redis Pub/Sub"),
        BrokerKind::Kafka => (Component::Broker, "Kafka"),
        BrokerKind::InProcess => return within(&opinion, "the broker", "messages stay in the gateway's own process"),
    };
    let part = backend(inputs, inputs.shape.broker.as_deref(), what, opinion);
    remarked(part, inputs.shape.remarks.broker.as_ref())
}

/// `CacheAvailable`.
pub(super) fn cache(inputs: &Inputs<'_>) -> Part {
    let opinion = inputs.view.opinion(|stats| Some(&stats.redis));
    if inputs.shape.broker_kind == BrokerKind::InProcess {
        let good = "limits and presence are kept in the gateway's own process";
        return within(&opinion, "what counts limits and presence", good);
    }
    backend(inputs, inputs.shape.cache.as_deref(), (Component::Cache, "Redis"), opinion)
}

/// `DatabaseAvailable`: every shard answers with the schema that the gateways need.
pub(super) fn database(inputs: &Inputs<'_>) -> Part {
    if inputs.shape.shards.is_empty() {
        return Part::new(State::Unknown, "NotObserved", "the shards are not known yet");
    }
    if inputs.shape.database_kind == DatabaseKind::Embedded {
        return shard(inputs, Embedded::SHARD, None);
    }
    let mut unknown = None;
    for (name, set) in inputs.shape.shards.iter().filter(|(name, _)| !inputs.shape.joining.contains_key(name)) {
        let part = shard(inputs, name, set.as_deref());
        match part.state {
            State::True => {}
            State::False => return part,
            State::Unknown => unknown = unknown.or(Some(part)),
        }
    }
    if let Some(MigrationObserved::Failed(_) | MigrationObserved::Refused(_)) = inputs.migration() {
        return rollout(inputs);
    }
    unknown.unwrap_or_else(|| {
        let part =
            Part::new(State::True, "ShardsReady", &format!("{} of {0} shards answer", inputs.shape.shards.len()));
        remarked(part, inputs.shape.remarks.shards.values().next())
    })
}

/// One shard as part of `DatabaseAvailable`.
pub(super) fn shard(inputs: &Inputs<'_>, name: &str, set: Option<&str>) -> Part {
    let opinion =
        inputs.view.opinion(|stats| stats.shards.iter().find(|shard| shard.name == name).map(|shard| &shard.component));
    if inputs.shape.database_kind == DatabaseKind::Embedded {
        return within(&opinion, "the embedded database", "the gateway reads and writes its own database");
    }
    let part = backend(inputs, set, (Component::Database, &format!("shard {name}")), opinion);
    remarked(part, inputs.shape.remarks.shards.get(name))
}

/// The same with what the engine's own operator says. Gateways have seen for themselves whether it answers, so the state is theirs.
fn remarked(part: Part, remark: Option<&String>) -> Part {
    match remark {
        Some(remark) => Part { message: format!("{}; {remark}", part.message), ..part },
        None => part,
    }
}

/// A part that is no program of its own: only the gateway can say how it is.
fn within(opinion: &Opinion, what: &str, good: &str) -> Part {
    match opinion {
        Opinion::Good => Part::new(State::True, "InProcess", good),
        Opinion::Bad { reason, message } => {
            Part::new(State::False, reason, &format!("{what} is not available: {message}"))
        }
        Opinion::None => {
            let message = format!("{what} is in the gateway's own process, and no gateway has said yet how it is");
            Part::new(State::Unknown, "NotObserved", &message)
        }
    }
}

fn backend(inputs: &Inputs<'_>, set: Option<&str>, (component, what): (Component, &str), opinion: Opinion) -> Part {
    if let Some(set) = set {
        let BackendObserved { ready, .. } = inputs.observed.backends.get(set).copied().unwrap_or_default();
        if !ready {
            let (reason, detail) = trouble_of(inputs, component).unwrap_or_else(|| {
                let detail = format!("the pod of StatefulSet {set} is not ready; see `kubectl describe pod {set}-0`");
                ("PodNotReady".to_owned(), detail)
            });
            return Part::new(State::False, &reason, &format!("{what} is not available: {detail}"));
        }
    }
    match (opinion, set) {
        (Opinion::Bad { reason, message }, _) => {
            Part::new(State::False, &reason, &format!("{what} is not available: {message}"))
        }
        (Opinion::Good, _) => Part::new(State::True, "Connected", &format!("{what} answers every gateway")),
        (Opinion::None, Some(_)) => Part::new(State::True, "PodReady", &format!("{what} is ready")),
        (Opinion::None, None) => {
            Part::new(State::Unknown, "NotObserved", &format!("no gateway has said yet whether it reaches {what}"))
        }
    }
}

/// `ShardsBalanced`: every slot is owned, and is at the shard where the spec wants it.
pub(super) fn shards(inputs: &Inputs<'_>) -> Part {
    let before = inputs.before(ConditionType::ShardsBalanced).filter(|before| before.status != State::Unknown.as_str());
    // A new ChatCluster is taken for even until somebody has looked, and so is one of which that was said; nothing else is.
    let was_balanced = |before: &Condition| {
        before.status == State::True.as_str() && before.observed_generation == Some(inputs.generation)
    };
    let may_move = inputs.shape.database_kind == DatabaseKind::Shards && inputs.shape.shards.len() > 1;
    let looked = if may_move { inputs.shape.slots_looked_at } else { Looked::Whole };
    match (looked, before) {
        (Looked::Not, Some(before)) if was_balanced(before) || before.status == State::False.as_str() => {
            return Part::of(before);
        }
        (Looked::Not, Some(_)) => return undecided(),
        _ => {}
    }
    let unbalanced = inputs.shape.unbalanced.as_ref();
    let told = |(reason, message): &(&'static str, String)| Part::new(State::False, reason, message);
    if let Some(unbalanced) = unbalanced.filter(|_| inputs.shape.slots_whole) {
        return told(unbalanced);
    }
    let there = inputs.shape.shards.iter().filter(|(name, _)| !inputs.shape.joining.contains_key(name));
    let counts: Option<Vec<(&str, i32)>> =
        there.map(|(name, _)| Some((name.as_str(), inputs.view.slots(name)?))).collect();
    let Some(counts) = counts.filter(|counts| !counts.is_empty()) else {
        return Part::new(State::Unknown, "NotObserved", "no gateway has said yet which slots the shards own");
    };
    let owned: i64 = counts.iter().map(|(_, slots)| i64::from(*slots)).sum();
    if owned < i64::from(inputs.shape.slots) && !inputs.shape.slots_whole {
        let message =
            format!("{owned} of {} slots are owned by a shard; rooms in the others cannot be used", inputs.shape.slots);
        return Part::new(State::False, SLOTS_UNASSIGNED, &message);
    }
    if let Some(unbalanced) = unbalanced {
        return told(unbalanced);
    }
    if inputs.shape.database_kind == DatabaseKind::Embedded {
        return Part::new(State::True, "Balanced", &format!("the embedded database owns all {owned} slots"));
    }
    match before.filter(|before| looked == Looked::Undecided && !was_balanced(before)) {
        // The look that found no plan is said to be why until there is another one.
        Some(before) if before.reason == "NoPlan" => return Part::of(before),
        Some(_) => return undecided(),
        None => {}
    }
    let list: Vec<String> = counts.iter().map(|(name, slots)| format!("{name}: {slots}")).collect();
    Part::new(State::True, "Balanced", &format!("slots by shard: {}", list.join(", ")))
}

fn undecided() -> Part {
    Part::new(State::False, "Rebalancing", "whether slots have to move to be as the spec asks is not known yet")
}

/// `DeliveryVerified`: what is acknowledged is kept, and comes once and in order. What was said last stands until a probe has ended, so that
/// an operator that starts does not make the verified unknown; and a violation stands for as long as its evidence does.
pub(super) fn delivery(inputs: &Inputs<'_>) -> Part {
    let before = inputs.before(ConditionType::DeliveryVerified);
    // The operator may have forgotten what it saw before it was started anew. It knows better when that is over, so its own end comes first.
    let stands = |before: &&Condition| {
        let since = before.last_transition_time.0;
        let lasts = inputs.now.duration_since(since).unsigned_abs() + FORGETS_LATE < STANDS;
        before.status == State::False.as_str() && lasts && inputs.shape.cleared.is_none_or(|cleared| cleared < since)
    };
    let told = match inputs.view.delivery.as_deref() {
        Some(Delivery { verified, told }) => {
            let state = match verified {
                Verified::Yes => State::True,
                Verified::No => State::False,
                Verified::Unknown => State::Unknown,
            };
            Part::new(state, told.reason, &told.message)
        }
        None => match before.filter(|before| before.status != State::False.as_str()) {
            Some(before) => Part::of(before),
            None => Part::new(State::Unknown, "NotProbed", "no probe has ended yet"),
        },
    };
    match before.filter(stands) {
        Some(before) if told.state != State::False => Part::of(before),
        _ => told,
    }
}

/// `RolloutHealthy`: all gateways run the wanted revision, or are on their way without trouble.
pub(super) fn rollout(inputs: &Inputs<'_>) -> Part {
    let failed = |reason: &str, message: &str| Part::new(State::False, reason, message);
    if let Some(before) = inputs.rollout_before() {
        return Part::of(before);
    }
    let job = inputs.shape.migration.as_deref().unwrap_or_default();
    match inputs.migration() {
        Some(MigrationObserved::Failed(why)) => {
            let message = format!(
                "the migration gave up: {why}; see `kubectl logs job/{job}`, then delete the Job to try again or change the spec"
            );
            return failed("MigrationFailed", &message);
        }
        Some(MigrationObserved::Refused(Trouble { reason, message })) => {
            let message = format!("the migration does not come through, and is tried again: {message}");
            return failed(reason, &message);
        }
        Some(MigrationObserved::Running) => {
            return match trouble_of(inputs, Component::Migration) {
                Some((reason, message)) => failed(&reason, &format!("the migration does not run: {message}")),
                None => Part::new(State::True, "Migrating", "the migration of the shards is running"),
            };
        }
        Some(MigrationObserved::Completed) | None => {}
    }
    let Some(gateways) = &inputs.observed.gateways else {
        return Part::new(State::Unknown, "NotStarted", "there are no gateways yet");
    };
    if let Some(Failure { reason, message }) = inputs.failure() {
        let what = if gateways.rollout.as_ref().is_some_and(|rollout| rollout.is_back) {
            "all clients are with the gateways of the revision before; correct the spec"
        } else {
            "no client is moved to it any more; correct the spec"
        };
        return failed(reason, &format!("the newest revision failed and is not tried again: {message}; {what}"));
    }
    if let Some((reason, message)) = trouble_of(inputs, Component::Gateway) {
        return failed(&reason, &format!("new gateways do not run: {message}"));
    }
    if let Some(part) = tier_trouble(inputs) {
        return part;
    }
    if gateways.stuck {
        let message = "the gateways' Deployment made no progress within its deadline; see `kubectl describe deployment` \
                       and the pods' logs, then correct the spec";
        return failed("RolloutStuck", message);
    }
    let drains = gateways.one_revision && !inputs.observed.draining.is_empty();
    if inputs.has_all(gateways) || drains || inputs.only_scales() {
        return Part::new(State::True, "Complete", "all gateways are of the newest revision");
    }
    if inputs.shape.rollout_paused && gateways.rollout.is_some() {
        let message = "spec.gateways.rollout.paused is true: both revisions serve, and nobody is moved";
        return Part::new(State::True, "Paused", message);
    }
    match &gateways.rollout {
        Some(rollout) => {
            let (wave, waves) = (rollout.wave.saturating_add(1), inputs.shape.waves.len());
            Part::new(
                State::True,
                "RollingOut",
                &format!("gateways of the newest revision take over: wave {wave} of {waves}"),
            )
        }
        None => Part::new(State::True, "RollingOut", "gateways of the newest revision are starting"),
    }
}

/// What keeps a new HAProxy from starting; the old ones go on.
fn tier_trouble(inputs: &Inputs<'_>) -> Option<Part> {
    let tier = inputs.observed.tier.filter(|_| inputs.shape.tier)?;
    if let Some((reason, message)) = trouble_of(inputs, Component::Balancer) {
        return Some(Part::new(State::False, &reason, &format!("new HAProxies do not run: {message}")));
    }
    let message = "the Deployment of HAProxy made no progress within its deadline; see `kubectl describe deployment` and \
                   the pods' logs, then correct the spec or the certificate";
    tier.stuck.then(|| Part::new(State::False, "RolloutStuck", message))
}
