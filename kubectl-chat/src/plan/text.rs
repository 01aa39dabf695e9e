//! A plan for people.

use chat_capacity::{
    Basis, Bottleneck, BrokerKind, Limit, LimitKind, MOST_GATEWAYS, MOST_SHARDS, Outlook, Plan, SLOTS, Tier, TierPlan,
};

use super::numbers::short;
use crate::tables::table;

const HEAD: [&str; 6] = ["TIER", "UNITS", "EACH HAS", "EACH CARRIES", "USED", "BOUND BY"];
/// Connections that the operator's own PostgreSQL allows.
const MANAGED_CONNECTIONS: u64 = 200;
/// Gateways from which on Kafka's way of telling everybody everything is worth a word.
const MANY_FOR_KAFKA: u64 = 20;

/// What a tier is called.
const fn name(tier: Tier, broker: BrokerKind) -> &'static str {
    match (tier, broker) {
        (Tier::Gateways, _) => "gateways",
        (Tier::Broker, BrokerKind::RabbitMq) => "RabbitMQ",
        (Tier::Broker, BrokerKind::Kafka) => "Kafka",
        (Tier::Broker, BrokerKind::Redis) => "Redis Pub/Sub",
        (Tier::Cache, _) => "Redis",
        (Tier::Shards, _) => "PostgreSQL",
    }
}

/// What runs out, in words.
const fn what(kind: LimitKind) -> &'static str {
    match kind {
        LimitKind::Processor => "processor",
        LimitKind::Memory => "memory",
        LimitKind::Network => "network",
        LimitKind::Connections => "connections of a gateway",
        LimitKind::Queue => "messages through a gateway's queue",
        LimitKind::Reconnect => "time until clients of a lost gateway are back",
        LimitKind::Commits => "texts a second",
        LimitKind::Disk => "disk",
        LimitKind::Units => "most units of a ChatCluster",
        LimitKind::Slots => "slots",
        LimitKind::Partitions => "partitions of a topic",
    }
}

fn marked(limit: &Limit) -> String {
    let assumed = if limit.basis != Basis::Measured { " *" } else { "" };
    format!("{}{assumed}", what(limit.kind))
}

fn percent(part: f64) -> String {
    format!("{} %", short((part * 100.0).round()))
}

pub(super) fn text(plan: &Plan, outlook: &Outlook) -> String {
    let load = &plan.workload;
    let broker = name(Tier::Broker, load.broker);
    let deliveries = load.messages_per_second as f64 * load.members_online as f64;
    let mut text = format!(
        "{} connections and {} messages a second over {broker}; rooms of {} make {} deliveries a second\n\n",
        short(load.connections as f64),
        short(load.messages_per_second as f64),
        short(load.members_online as f64),
        short(deliveries),
    );
    let rows: Vec<Vec<String>> = plan.tiers.iter().map(|tier| row(plan, tier)).collect();
    text += &table(&HEAD, &rows);
    text += "\nUSED is of one unit while one is lost, where there is a spare one. What is marked * rests on figures that are assumed, or\nwere measured once by hand: docs/explanation/capacity.md has them all.\n\n";
    text += &costs(plan);
    if let Some(first) = &outlook.first {
        text += &format!("First bottleneck  {}\n", sentence(plan, first, "with these units"));
    }
    if let Some(end) = &outlook.end {
        text += &format!("The design ends   {}\n", sentence(plan, end, "with any number of units"));
    }
    let warnings = warnings(plan);
    if !warnings.is_empty() {
        text += "\nWorth a look\n";
        text.extend(warnings.iter().map(|warning| format!("! {warning}\n")));
    }
    text
}

fn row(plan: &Plan, tier: &TierPlan) -> Vec<String> {
    let mut units = tier.needed.to_string();
    if tier.spare > 0 {
        units += &format!(" + {} spare", tier.spare);
    }
    if tier.standbys > 0 {
        units += &format!(" + {} standby", tier.standbys);
    }
    let mut has = format!("{} CPU", tier.cpus);
    if let Some(memory) = tier.memory_mib {
        has += &format!(", {}", crate::tables::bytes(i64::try_from(memory << 20).unwrap_or(i64::MAX)));
    }
    let bad = tier.exceeded().next();
    let bound = bad.or_else(|| tier.tightest());
    let mark = if bad.is_some() { "! " } else { "" };
    vec![
        name(tier.tier, plan.workload.broker).to_owned(),
        units,
        has,
        carries(plan, tier),
        bound.map_or_else(String::new, |limit| match limit.kind {
            LimitKind::Reconnect => format!("{} s of {} s", short(limit.load), short(limit.capacity)),
            _ => percent(limit.utilization()),
        }),
        bound.map_or_else(String::new, |limit| format!("{mark}{}", marked(limit))),
    ]
}

fn carries(plan: &Plan, tier: &TierPlan) -> String {
    let load = &plan.workload;
    let each = |all: f64| short((all / tier.needed as f64).round());
    let (messages, connections) = (load.messages_per_second as f64, load.connections as f64);
    match tier.tier {
        Tier::Gateways => format!("{} connections, {} messages/s", each(connections), each(messages)),
        Tier::Broker if load.broker == BrokerKind::Kafka => {
            let gateways = plan.tier(Tier::Gateways).map_or(1, TierPlan::units) as f64;
            format!("{} records/s in, {} out", each(messages), each(messages * gateways))
        }
        Tier::Broker => format!("{} messages/s in, {} out", each(messages), each(messages * plan.gateways_per_message)),
        Tier::Cache => format!("{} users, {} messages/s", each(connections), each(messages)),
        Tier::Shards => format!("{} texts/s", each(messages)),
    }
}

/// What costs most.
fn costs(plan: &Plan) -> String {
    let all: u64 = plan.tiers.iter().map(TierPlan::processors).sum();
    let (mut dearest, mut most) = (None, 0.0);
    for tier in &plan.tiers {
        for part in &tier.parts {
            if part.processors > most {
                (dearest, most) = (Some((tier.tier, part)), part.processors);
            }
        }
    }
    let busy: f64 = plan.tiers.iter().flat_map(|tier| &tier.parts).map(|part| part.processors).sum();
    let by_tier: Vec<String> = plan
        .tiers
        .iter()
        .map(|tier| format!("{} {}", name(tier.tier, plan.workload.broker), short(tier.processors() as f64)))
        .collect();
    let mut text = format!("Processors        {}: {}\n", short(all as f64), by_tier.join(", "));
    if let Some((tier, part)) = dearest {
        text += &format!(
            "What costs most   {}: {}, {} of {} busy processors\n",
            name(tier, plan.workload.broker),
            part.what,
            short(part.processors),
            short(busy)
        );
    }
    text
}

fn sentence(plan: &Plan, found: &Bottleneck, with: &str) -> String {
    let limit = &found.limit;
    let where_ = name(limit.tier, plan.workload.broker);
    let (connections, messages) = (short(found.connections as f64), short(found.messages_per_second as f64));
    format!(
        "at {connections} connections and {messages} messages a second {with}: {where_}, {} ({} times this workload)",
        marked(limit),
        short((found.factor * 100.0).round() / 100.0)
    )
}

/// What a person should know before they build it.
pub(super) fn warnings(plan: &Plan) -> Vec<String> {
    let load = &plan.workload;
    let units = |tier| plan.tier(tier).map_or(0, TierPlan::units);
    let (gateways, shards) = (units(Tier::Gateways), units(Tier::Shards));
    let mut warnings = Vec::new();
    for limit in plan.exceeded() {
        let way_out = way_out(plan, limit);
        let tier = name(limit.tier, load.broker);
        warnings.push(format!(
            "{tier}: {} at {}, and more units do not help; {way_out}",
            marked(limit),
            percent(limit.utilization())
        ));
    }
    if plan.slots > SLOTS.0 {
        warnings.push(format!(
            "{shards} shards need {} slots; database.slots is {} if absent, and never changes: set it when the ChatCluster is made",
            plan.slots, SLOTS.0
        ));
    }
    if plan.connections_per_shard > MANAGED_CONNECTIONS {
        warnings.push(format!(
            "each shard gets up to {} connections, 10 of each gateway: set max_connections of PostgreSQL so ({MANAGED_CONNECTIONS} in a managed shard)",
            plan.connections_per_shard
        ));
    }
    if load.broker == BrokerKind::Kafka && gateways > MANY_FOR_KAFKA {
        warnings.push(format!("every one of {gateways} gateways reads everything from Kafka; RabbitMQ and Redis bring a gateway only what its clients need"));
    }
    if load.broker == BrokerKind::RabbitMq
        && let Some(bindings) = plan.bindings.filter(|bindings| *bindings > 1e6)
    {
        warnings.push(format!(
            "RabbitMQ has {} bindings, for each room on each gateway that has somebody in it; every node keeps all of them, and a node that starts anew reads them",
            short(bindings)
        ));
    }
    if load.copies == 1 {
        warnings.push(
            "with one copy a shard that is lost is gone until its backup is back; --copies 2 plans a standby"
                .to_owned(),
        );
    }
    warnings
}

fn way_out(plan: &Plan, limit: &Limit) -> String {
    match (limit.tier, limit.kind) {
        (Tier::Cache, LimitKind::Memory) => "raise --broker-memory".to_owned(),
        (Tier::Cache, _) => "there is one Redis for limits and presence, which works on one processor; split people over several ChatClusters".to_owned(),
        (Tier::Gateways, LimitKind::Units) => {
            format!("a ChatCluster has {MOST_GATEWAYS} at most; larger ones need --gateway-cpus and --gateway-connections raised")
        }
        (Tier::Shards, LimitKind::Units) => format!("a ChatCluster has {MOST_SHARDS} shards at most; raise --shard-disk or keep fewer days"),
        (Tier::Shards, LimitKind::Slots) => "--slots are fewer than shards; a ChatCluster with more slots is a new one".to_owned(),
        (Tier::Gateways, _) if plan.workload.broker == BrokerKind::Kafka => {
            "every gateway reads everything from Kafka; take --broker rabbitmq or redis, or raise --gateway-cpus".to_owned()
        }
        (Tier::Broker, LimitKind::Memory) => "every node keeps all bindings; raise --broker-memory, take --broker redis, or have fewer and larger gateways".to_owned(),
        _ => "raise the size of a unit, or split people over several ChatClusters".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::of, *};

    #[test]
    fn a_tier_is_a_row_and_the_end_of_the_design_is_told() {
        let (plan, outlook) = of(&[]).unwrap();
        let text = text(&plan, &outlook);
        assert!(
            text.starts_with(
                "1M connections and 20k messages a second over RabbitMQ; rooms of 50 make 1M deliveries a second\n"
            ),
            "{text}"
        );
        for tier in
            ["gateways  ", "RabbitMQ  ", "Redis  ", "PostgreSQL  ", "First bottleneck  at ", "The design ends   at "]
        {
            assert!(text.lines().any(|line| line.starts_with(tier)), "{tier}: {text}");
        }
    }

    #[test]
    fn where_the_design_ends_before_the_workload_it_is_said_with_the_way_out() {
        let (plan, outlook) = of(&["--messages-per-second", "2M"]).or_else(|_| of(&["--rooms", "5"])).unwrap();
        assert!(outlook.end.is_some());
        let _ = plan;
        let (plan, _) = of(&["--broker", "kafka", "--gateway-cpus", "1"]).unwrap();
        let said = warnings(&plan).join("\n");
        assert!(said.contains("gateways reads everything from Kafka"), "{said}");
        let (plan, _) = of(&["--slots", "2", "--history-days", "3650"]).unwrap();
        let said = warnings(&plan).join("\n");
        assert!(said.contains("PostgreSQL: "), "{said}");
    }
}
