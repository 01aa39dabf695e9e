//! What holds for every workload.

use chat_capacity::{BrokerKind, Costs, Headroom, LimitKind, OutOfBounds, Outlook, Plan, Sizes, Tier, Workload, plan};
use proptest::prelude::*;

fn of(workload: &Workload) -> Plan {
    plan(workload, &Sizes::default(), &Costs::default(), Headroom::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn units(plan: &Plan) -> Vec<u64> {
    plan.tiers.iter().map(|tier| tier.units()).collect()
}

/// Limits on the number of units, which the plan does not keep but tell.
const COUNTS: [LimitKind; 3] = [LimitKind::Units, LimitKind::Slots, LimitKind::Partitions];

fn brokers() -> impl Strategy<Value = BrokerKind> {
    prop_oneof![Just(BrokerKind::RabbitMq), Just(BrokerKind::Kafka), Just(BrokerKind::Redis)]
}

prop_compose! {
    fn workloads()(
        connections in 1_u64..1_000_000_000, messages in 0_u64..1_000_000_000, members in 1_u64..10_000_000, rooms in 1_u64..100_000,
        bytes in 1_u64..49_152, reconnects in 0_u64..10_000, days in 0_u64..3_650, mean in 1_u64..100, copies in 1_u64..7, broker in brokers()
    ) -> Workload {
        Workload {
            connections, messages_per_second: messages, members_online: members.min(connections), rooms_per_connection: rooms,
            message_bytes: bytes, reconnects_percent: reconnects, history_days: days, mean_percent: mean, copies, broker,
        }
    }
}

prop_compose! {
    fn usual()(
        connections in 100_u64..2_000_000, messages in 0_u64..50_000, members in 2_u64..100, broker in brokers()
    ) -> Workload {
        Workload { members_online: members, broker, ..Workload::of(connections, messages) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_overflows(workload in workloads()) {
        let made = of(&workload);
        for limit in made.tiers.iter().flat_map(|tier| &tier.limits) {
            prop_assert!(limit.load.is_finite() && limit.capacity > 0.0, "{limit:?}");
        }
        prop_assert!(made.connections_per_gateway >= 1);
        prop_assert!(made.catch_up_seconds.is_finite() && made.catch_up_seconds >= 0.0);
        let _ = Outlook::of(&made, &Costs::default());
    }

    #[test]
    fn more_load_never_needs_fewer_units(workload in usual(), more in 1_u64..1_000_000) {
        let before = units(&of(&workload));
        let grown = [
            Workload { connections: (workload.connections + more).min(1_000_000_000), ..workload.clone() },
            Workload { messages_per_second: (workload.messages_per_second + more).min(1_000_000_000), ..workload.clone() },
            Workload { message_bytes: (workload.message_bytes + more).min(49_152), ..workload.clone() },
            Workload { reconnects_percent: (workload.reconnects_percent + more).min(10_000), ..workload.clone() },
            Workload { history_days: (workload.history_days + more).min(3_650), ..workload },
        ];
        for larger in grown {
            let after = of(&larger);
            // Where the design ends no number is enough, and the plan has what the other limits need.
            if after.exceeded().any(|limit| !COUNTS.contains(&limit.kind)) {
                continue;
            }
            let after = units(&after);
            prop_assert!(before.iter().zip(&after).all(|(few, many)| few <= many), "{before:?} {after:?} {larger:?}");
        }
    }

    #[test]
    fn one_unit_less_is_too_few(workload in usual()) {
        // With one gateway less wanted, the same model says that a limit does not hold; so for the other tiers.
        let costs = Costs::default();
        let made = of(&workload);
        for tier in [Tier::Gateways, Tier::Broker, Tier::Shards] {
            let planned = made.tier(tier).unwrap();
            if planned.needed == 1 || planned.exceeded().next().is_some() {
                continue;
            }
            let worst = planned.tightest().unwrap().utilization();
            let fewer = made.broken_with_one_less(&costs, tier);
            prop_assert!(fewer, "{tier:?} {worst} {planned:?}");
        }
    }

    #[test]
    fn what_is_first_is_not_before_the_plan_where_the_plan_holds(workload in usual()) {
        let made = of(&workload);
        if made.exceeded().next().is_some() {
            return Ok(());
        }
        let outlook = Outlook::of(&made, &Costs::default());
        if let Some(first) = outlook.first {
            prop_assert!(first.factor >= 0.99, "{first:?}");
        }
    }
}

#[test]
fn a_number_out_of_bounds_is_named_with_its_bounds() {
    let error = Workload { copies: 0, ..Workload::of(10, 1) }.check().unwrap_err();
    assert_eq!(error.to_string(), "copies is 0, and must be from 1 to 7");
    let error = Workload { members_online: 11, ..Workload::of(10, 1) }.check().unwrap_err();
    assert!(matches!(error, OutOfBounds::MoreMembersThanConnections { .. }));
}

#[test]
fn every_gateway_reads_everything_from_kafka_so_there_is_a_rate_that_none_can_take() {
    let workload = Workload { broker: BrokerKind::Kafka, ..Workload::of(1_000_000, 200_000) };
    let made = of(&workload);
    let over: Vec<LimitKind> = made.tier(Tier::Gateways).unwrap().exceeded().map(|limit| limit.kind).collect();
    assert!(over.contains(&LimitKind::Processor), "{over:?}");
}

#[test]
fn one_redis_counts_for_limits_so_there_is_a_rate_at_which_the_design_ends() {
    let made = of(&Workload::of(5_000_000, 200_000));
    let over: Vec<_> = made.exceeded().map(|limit| (limit.tier, limit.kind)).collect();
    assert!(over.contains(&(Tier::Cache, LimitKind::Processor)), "{over:?}");
    let end = Outlook::of(&made, &Costs::default()).end.unwrap();
    assert!(end.factor < 1.0, "{end:?}");
}
