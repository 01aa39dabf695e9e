//! From a workload to numbers of units.

use serde::Serialize;

use crate::{
    Basis, BrokerKind, Costs, Limit, LimitKind, MOST_GATEWAYS, MOST_SHARDS, OutOfBounds, Sizes, Tier, Workload, cache,
    gateways, kafka, rabbitmq, redis_pubsub, shards,
};

/// What is left free.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Headroom {
    /// The part of each thing that is used at most, above 0, at most 1.
    pub target: f64,
    /// Gateways, and nodes of a broker without replicas, that may be lost at once.
    pub spare: u64,
}

impl Default for Headroom {
    fn default() -> Self {
        Self { target: 0.7, spare: 1 }
    }
}

impl Headroom {
    /// Every unit full, and none to lose.
    pub const NONE: Self = Self { target: 1.0, spare: 0 };
}

/// What all tiers ask.
pub(crate) struct Question<'a> {
    pub(crate) workload: &'a Workload,
    pub(crate) sizes: &'a Sizes,
    pub(crate) costs: &'a Costs,
    pub(crate) headroom: Headroom,
}

/// What a tier computes for one purpose.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// For what.
    pub what: &'static str,
    /// Processors that are busy with it, over all units.
    pub processors: f64,
}

/// What one tier needs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TierPlan {
    /// Which.
    pub tier: Tier,
    /// Units that the load needs.
    pub needed: u64,
    /// Units beside them, for when one is lost.
    pub spare: u64,
    /// Units that hold copies and do no work: standbys, replicas.
    pub standbys: u64,
    /// Processors of one unit.
    pub cpus: u64,
    /// Memory of one unit, MiB; none where the model does not know.
    pub memory_mib: Option<u64>,
    /// What one of the units needs while one of them is lost.
    pub limits: Vec<Limit>,
    /// What it computes.
    pub parts: Vec<Part>,
}

impl TierPlan {
    /// Units that work.
    #[must_use]
    pub fn units(&self) -> u64 {
        self.needed.saturating_add(self.spare)
    }

    /// The limit that is nearest to its ceiling, if there is one.
    #[must_use]
    pub fn tightest(&self) -> Option<&Limit> {
        let near = |limit: &&Limit| limit.utilization() / limit.ceiling;
        self.limits.iter().max_by(|one, other| near(one).total_cmp(&near(other)))
    }

    /// What no number of units helps against.
    pub fn exceeded(&self) -> impl Iterator<Item = &Limit> {
        self.limits.iter().filter(|limit| !limit.holds())
    }

    /// Processors that the units have.
    #[must_use]
    pub fn processors(&self) -> u64 {
        self.units().saturating_add(self.standbys).saturating_mul(self.cpus)
    }
}

/// What a workload needs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// For what it is.
    pub workload: Workload,
    /// How large one unit is.
    pub sizes: Sizes,
    /// What is left free.
    pub headroom: Headroom,
    /// The tiers, in the order of [`Tier`].
    pub tiers: Vec<TierPlan>,
    /// `spec.gateways.connectionsPerGateway`: with it the autoscaler comes to as many gateways as the plan.
    pub connections_per_gateway: u64,
    /// `spec.gateways.autoscaling.messagesPerGateway`, for the same reason; none without messages.
    pub messages_per_gateway: Option<u64>,
    /// `spec.database.slots`.
    pub slots: u64,
    /// Connections that PostgreSQL must allow on each shard.
    pub connections_per_shard: u64,
    /// Bindings or subscriptions over all gateways; none with Kafka.
    pub bindings: Option<f64>,
    /// Partitions of the topic; only with Kafka.
    pub partitions: Option<u64>,
    /// Gateways that hear of one message, on average.
    pub gateways_per_message: f64,
    /// Seconds until a shard that failed over has caught up, after the standby took over; none without messages to catch up with.
    pub catch_up_seconds: f64,
}

impl Plan {
    /// A tier's part of it.
    #[must_use]
    pub fn tier(&self, tier: Tier) -> Option<&TierPlan> {
        self.tiers.iter().find(|one| one.tier == tier)
    }

    /// What no number of units helps against: the design ends before this workload.
    pub fn exceeded(&self) -> impl Iterator<Item = &Limit> {
        self.tiers.iter().flat_map(TierPlan::exceeded)
    }
}

/// No tier is looked for beyond this: a limit that does not hold with so many units holds with no number of them.
const MOST_UNITS: u64 = 1 << 24;
/// Seconds that writes to a shard wait for its standby. Nobody measured it with a standby.
const FAILOVER: f64 = 30.0;

/// Fewest units with which all limits hold, but those that no number of units helps against.
fn fewest(limits: impl Fn(u64) -> Vec<Limit>) -> u64 {
    let hopeless: Vec<LimitKind> =
        limits(MOST_UNITS).iter().filter(|limit| !limit.holds()).map(|limit| limit.kind).collect();
    let enough = |units| limits(units).iter().all(|limit| limit.holds() || hopeless.contains(&limit.kind));
    let (mut few, mut many) = (0, 1);
    while !enough(many) && many < MOST_UNITS {
        (few, many) = (many, many * 2);
    }
    while many - few > 1 {
        let middle = few + (many - few) / 2;
        if enough(middle) { many = middle } else { few = middle }
    }
    many
}

/// What a workload needs.
///
/// # Errors
/// A number of the workload is outside of its bounds.
pub fn plan(workload: &Workload, sizes: &Sizes, costs: &Costs, headroom: Headroom) -> Result<Plan, OutOfBounds> {
    workload.check()?;
    Ok(answer(&Question { workload, sizes, costs, headroom }))
}

pub(crate) fn broker_limits(question: &Question<'_>, gateways: u64, nodes: u64) -> Vec<Limit> {
    match question.workload.broker {
        BrokerKind::RabbitMq => rabbitmq::limits(question, gateways, nodes),
        BrokerKind::Kafka => kafka::limits(question, gateways, nodes),
        BrokerKind::Redis => redis_pubsub::limits(question, gateways, nodes),
    }
}

/// Limits of the schema.
fn schema(tier: Tier, kind: LimitKind, load: u64, capacity: u64) -> Limit {
    Limit { tier, kind, load: load as f64, capacity: capacity as f64, ceiling: 1.0, basis: Basis::Measured }
}

pub(crate) fn gateway_count(units: u64) -> Limit {
    schema(Tier::Gateways, LimitKind::Units, units, MOST_GATEWAYS)
}

pub(crate) fn shard_counts(question: &Question<'_>, units: u64) -> [Limit; 2] {
    let slots = shards::slots(question, units);
    [schema(Tier::Shards, LimitKind::Units, units, MOST_SHARDS), schema(Tier::Shards, LimitKind::Slots, units, slots)]
}

fn answer(question: &Question<'_>) -> Plan {
    let (load, sizes, headroom) = (question.workload, question.sizes, question.headroom);
    let needed = fewest(|units| gateways::limits(question, units));
    let all = needed + headroom.spare;
    let mut limits = gateways::limits(question, needed);
    limits.push(gateway_count(all));
    let gateways = TierPlan {
        tier: Tier::Gateways,
        needed,
        spare: headroom.spare,
        standbys: 0,
        cpus: sizes.gateway_cpus,
        memory_mib: Some(sizes.gateway_memory_mib),
        limits,
        parts: gateways::parts(question, all),
    };

    let nodes = fewest(|units| broker_limits(question, all, units));
    // The primaries of a Redis Cluster have replicas, which take over.
    let replicas = if load.broker == BrokerKind::Redis { nodes * (load.copies - 1) } else { 0 };
    let broker = TierPlan {
        tier: Tier::Broker,
        needed: nodes,
        spare: if load.broker == BrokerKind::Redis { 0 } else { headroom.spare },
        standbys: replicas,
        cpus: if load.broker == BrokerKind::Redis { 1 } else { sizes.broker_cpus },
        memory_mib: Some(sizes.broker_memory_mib),
        limits: broker_limits(question, all, nodes),
        parts: match load.broker {
            BrokerKind::RabbitMq => rabbitmq::parts(question, all),
            BrokerKind::Kafka => kafka::parts(question, all),
            BrokerKind::Redis => redis_pubsub::parts(question, all),
        },
    };

    let cache = TierPlan {
        tier: Tier::Cache,
        needed: 1,
        spare: 0,
        standbys: load.copies - 1,
        cpus: 1,
        memory_mib: Some(sizes.broker_memory_mib),
        limits: cache::limits(question),
        parts: cache::parts(question),
    };

    let count = fewest(|units| shards::limits(question, all, units));
    let mut limits = shards::limits(question, all, count);
    let processor = limits.first().map_or(0.0, Limit::utilization);
    limits.extend(shard_counts(question, count));
    let shards = TierPlan {
        tier: Tier::Shards,
        needed: count,
        spare: 0,
        standbys: count * (load.copies - 1),
        cpus: sizes.shard_cpus,
        memory_mib: None,
        limits,
        parts: shards::parts(question, all, count),
    };

    let per_gateway = |number: u64| ((number as f64 / needed as f64 / headroom.target).ceil() as u64).max(1);
    Plan {
        connections_per_gateway: per_gateway(load.connections).min(sizes.gateway_connections),
        messages_per_gateway: (load.messages_per_second > 0).then(|| per_gateway(load.messages_per_second)),
        slots: shards::slots(question, count),
        connections_per_shard: all * shards::CONNECTIONS,
        bindings: (load.broker != BrokerKind::Kafka).then(|| rabbitmq::bindings(question, all)),
        partitions: (load.broker == BrokerKind::Kafka).then(|| kafka::partitions(question) as u64),
        gateways_per_message: load.spread(all),
        catch_up_seconds: FAILOVER * processor / (1.0 - processor).max(1e-3),
        tiers: vec![gateways, broker, cache, shards],
        workload: load.clone(),
        sizes: sizes.clone(),
        headroom,
    }
}
