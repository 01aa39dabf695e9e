//! What is played: what the benchmarks measured, to see what the simulation is worth; and ten times as much on what the plan gives.

use crate::{
    BrokerKind, Costs, Headroom, OutOfBounds, Plan, Sizes, Tier, Workload, plan,
    simulation::{Lost, Outcome, Setup, Times, run},
};

const SEED: u64 = 20_261_127;
/// Length of a run and of its beginning that is not counted, in seconds.
const SECONDS: f64 = 4.0;
const WARM_UP: f64 = 0.5;
/// Of the run that is meant to fail: it is over by a percent only, and lines need their time to show that they grow.
const OVERLOADED_SECONDS: f64 = 20.0;
/// Part of W1's processor time that is SQLite's thread.
const SQLITE: f64 = 0.21;

impl Times {
    /// What a broker of this kind and everything else takes.
    #[must_use]
    pub fn of(costs: &Costs, broker: BrokerKind) -> Self {
        let (publish, hand_over, queue, discard) = match broker {
            BrokerKind::RabbitMq => {
                let queue = 1e6 / costs.rabbitmq_queue.value;
                (costs.rabbitmq_publish.value, costs.rabbitmq_deliver.value, queue, 0.0)
            }
            BrokerKind::Kafka => {
                (costs.kafka_produce.value, costs.kafka_fetch.value, 0.0, costs.gateway_kafka_record.value)
            }
            BrokerKind::Redis => (costs.redis_publish.value, costs.redis_deliver.value, 0.0, 0.0),
        };
        let seconds = |micros: f64| micros / 1e6;
        Self {
            message: seconds(costs.gateway_message.value + costs.gateway_publish.value),
            receive: seconds(costs.gateway_receive.value + discard),
            discard: seconds(discard),
            delivery: seconds(costs.gateway_delivery.value),
            idle: seconds(costs.gateway_idle.value),
            sign_in: seconds(costs.gateway_sign_in.value),
            text: seconds(costs.shard_text.value),
            commit: seconds(costs.shard_commit.value),
            shard_sign_in: seconds(costs.shard_sign_in.value),
            flush: seconds(costs.commit_time.value - costs.shard_commit.value),
            publish: seconds(publish),
            hand_over: seconds(hand_over),
            queue: seconds(queue),
            limit: seconds(costs.redis_limit.value),
            vouch: seconds(costs.redis_vouch.value),
        }
    }

    /// Only the gateway, as in a benchmark of one process.
    fn alone(costs: &Costs) -> Self {
        Self {
            message: costs.gateway_message.value / 1e6,
            receive: 0.0,
            publish: 0.0,
            hand_over: 0.0,
            queue: 0.0,
            limit: 0.0,
            vouch: 0.0,
            ..Self::of(costs, BrokerKind::RabbitMq)
        }
    }
}

/// The plan's workload on the plan's units, all of them working.
#[must_use]
pub fn setup_of(plan: &Plan, costs: &Costs) -> Setup {
    let (load, sizes) = (&plan.workload, &plan.sizes);
    let units = |tier| plan.tier(tier).map_or(1, |one| one.units()) as usize;
    let broker_cpus = if load.broker == BrokerKind::Redis { 1 } else { sizes.broker_cpus };
    Setup {
        seed: SEED,
        seconds: SECONDS,
        warm_up: WARM_UP,
        connections: load.connections as usize,
        messages_per_second: load.messages_per_second as f64,
        under_way: None,
        members: load.members_online as usize,
        rooms: load.rooms_per_connection as usize,
        sign_ins: load.sign_ins(),
        gateways: (units(Tier::Gateways), sizes.gateway_cpus as usize),
        brokers: (units(Tier::Broker), broker_cpus as usize),
        shards: (units(Tier::Shards), sizes.shard_cpus as usize),
        lost: None,
        times: Times::of(costs, load.broker),
    }
}

/// What the simulation says beside what was measured.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Workload and figure of the benchmarks.
    pub what: &'static str,
    /// What was measured.
    pub measured: f64,
    /// What the simulation says.
    pub simulated: f64,
}

/// Plays what the benchmarks measured, on one processor.
#[must_use]
pub fn comparisons(costs: &Costs) -> Vec<Comparison> {
    let one = |connections, rate, members, rooms| Setup {
        seed: SEED,
        seconds: 10.0,
        warm_up: 1.0,
        connections,
        messages_per_second: rate,
        under_way: None,
        members,
        rooms,
        sign_ins: 0.0,
        gateways: (1, 1),
        brokers: (1, 1),
        shards: (1, 1),
        lost: None,
        times: Times::alone(costs),
    };
    // In these, the store is a thread of the gateway on the same processor.
    let embedded = |setup: Setup| {
        let store = 1.0 / 52_225.0 * 50.0 * SQLITE;
        let times = Times { message: setup.times.message + store, text: 0.0, commit: 0.0, flush: 0.0, ..setup.times };
        run(&Setup { times, ..setup })
    };
    let steady = embedded(one(10_000, 1_000.0, 50, 5));
    let few = embedded(one(1_000, 1_000.0, 50, 5));
    let crowd = embedded(one(10_000, 10.0, 10_000, 1));
    let persisted = run(&Setup { under_way: Some(800), ..one(2_000, 0.0, 5, 5) });
    let row = |what, measured, simulated| Comparison { what, measured, simulated };
    vec![
        row("W1: deliveries for a second of processor", 52_225.0, steady.deliveries_per_processor),
        row("W3, before anybody stops to read: p99, ms", 57.85, few.p99_ms),
        row("W4: deliveries for a second of processor", 101_042.0, crowd.deliveries_per_processor),
        row("P: messages committed, 1/s", 8_466.0, persisted.committed_per_second),
        row("P: latency p50, ms", 91.39, persisted.p50_ms),
        row("P: texts in one commit", 104.0, persisted.texts_per_commit),
    ]
}

/// A run at ten times what was measured.
#[derive(Clone, Debug)]
pub struct Check {
    /// What is played.
    pub what: &'static str,
    /// Units: gateways, nodes of the broker, shards.
    pub units: (usize, usize, usize),
    /// Part of the busiest gateway, node, shard and of the Redis that the model says is used.
    pub expected: [f64; 3],
    /// What came of it.
    pub outcome: Outcome,
    /// Whether it is meant to stand.
    pub stands: bool,
}

/// Plays 100,000 connections and 10,000 messages a second, ten times W1, on what the plan gives, on less, and on one gateway fewer all of a sudden.
///
/// # Errors
/// None for this workload.
pub fn checks(costs: &Costs) -> Result<Vec<Check>, OutOfBounds> {
    // One processor each, as gateways had when they were measured: so it is the processor that runs out, and not places.
    let sizes = Sizes { gateway_cpus: 1, ..Sizes::default() };
    let workload = |broker| Workload { broker, ..Workload::of(100_000, 10_000) };
    let mut checks = Vec::new();
    let mut add = |what, plan: &Plan, setup: &Setup, stands| {
        let busiest = |tier| {
            let limits = plan.tier(tier).map(|one| one.limits.as_slice()).unwrap_or_default();
            limits.iter().find(|limit| limit.kind == crate::LimitKind::Processor).map_or(0.0, crate::Limit::utilization)
        };
        checks.push(Check {
            what,
            units: (setup.gateways.0, setup.brokers.0, setup.shards.0),
            expected: [busiest(Tier::Gateways), busiest(Tier::Broker), busiest(Tier::Shards)],
            outcome: run(setup),
            stands,
        });
    };
    let rabbit = plan(&workload(BrokerKind::RabbitMq), &sizes, costs, Headroom::default())?;
    let planned = setup_of(&rabbit, costs);
    add("RabbitMQ, as planned", &rabbit, &planned, true);
    let lost = Some(Lost { at: 1.0, within: 1.0 });
    add("RabbitMQ, a gateway is lost after 1 s", &rabbit, &Setup { lost, ..planned.clone() }, true);
    let fewer = |(units, cpus): (usize, usize)| (units - 1, cpus);
    let nodes = Setup { brokers: fewer(planned.brokers), ..planned };
    add("RabbitMQ, a node of the broker is away", &rabbit, &nodes, true);
    for (what, broker) in [("Kafka, as planned", BrokerKind::Kafka), ("Redis Pub/Sub, as planned", BrokerKind::Redis)] {
        let plan = plan(&workload(broker), &sizes, costs, Headroom::default())?;
        add(what, &plan, &setup_of(&plan, costs), true);
    }
    let bare = plan(&workload(BrokerKind::RabbitMq), &sizes, costs, Headroom::NONE)?;
    let full = setup_of(&bare, costs);
    add(
        "RabbitMQ, a gateway fewer than without headroom",
        &bare,
        &Setup { gateways: fewer(full.gateways), seconds: OVERLOADED_SECONDS, ..full },
        false,
    );
    Ok(checks)
}
