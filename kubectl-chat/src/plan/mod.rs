//! What a ChatCluster of a given size needs, before there is one.

mod manifest;
mod numbers;
mod text;

use anyhow::{Context as _, Result, bail};
use chat_capacity::{BrokerKind, Costs, Headroom, Outlook, Plan, Sizes, Workload};
use serde_json::{Value, json};

use numbers::number;

/// What the ChatCluster is to carry, and how large its units are.
#[derive(Debug, clap::Args)]
pub(crate) struct Asked {
    /// Open connections at the busiest time, such as 5M.
    #[arg(long, value_parser = number, value_name = "NUMBER")]
    connections: u64,
    /// Messages a second that clients send at the busiest time, such as 200k.
    #[arg(long, value_parser = number, value_name = "NUMBER")]
    messages_per_second: u64,
    /// Members who are online in the room of an average message.
    #[arg(long, value_parser = number, value_name = "NUMBER", default_value = "50")]
    members: u64,
    /// Rooms of a connection.
    #[arg(long, value_parser = number, value_name = "NUMBER", default_value = "5")]
    rooms: u64,
    /// Bytes of a message's body.
    #[arg(long, value_parser = number, value_name = "BYTES", default_value = "128")]
    message_bytes: u64,
    /// Percent of the connections that end and come back in an hour.
    #[arg(long, value_parser = number, value_name = "PERCENT", default_value = "25")]
    reconnects: u64,
    /// Days that texts are kept.
    #[arg(long, value_parser = number, value_name = "DAYS", default_value = "30")]
    history_days: u64,
    /// Messages of a mean second of these days, in percent of the busiest.
    #[arg(long, value_parser = number, value_name = "PERCENT", default_value = "40")]
    mean_load: u64,
    /// What carries messages between gateways.
    #[arg(long, value_enum, default_value_t = Broker::Rabbitmq)]
    broker: Broker,
    /// Copies of what is stored, the first included.
    #[arg(long, value_parser = number, value_name = "NUMBER", default_value = "2")]
    copies: u64,
    /// Percent of each thing that is used at most.
    #[arg(long, value_parser = number, value_name = "PERCENT", default_value = "70")]
    target: u64,
    /// Processors of a gateway.
    #[arg(long, value_parser = number, value_name = "NUMBER", default_value = "2")]
    gateway_cpus: u64,
    /// Memory of a gateway.
    #[arg(long, value_parser = number, value_name = "BYTES", default_value = "1Gi")]
    gateway_memory: u64,
    /// Connections that one gateway may take at most; a process has about 19000 files on many systems.
    #[arg(long, value_parser = number, value_name = "NUMBER", default_value = "19000")]
    gateway_connections: u64,
    /// Processors of a node of RabbitMQ or Kafka.
    #[arg(long, value_parser = number, value_name = "NUMBER", default_value = "8")]
    broker_cpus: u64,
    /// Memory of a node of the broker, and of each Redis.
    #[arg(long, value_parser = number, value_name = "BYTES", default_value = "32Gi")]
    broker_memory: u64,
    /// Processors of a PostgreSQL shard.
    #[arg(long, value_parser = number, value_name = "NUMBER", default_value = "8")]
    shard_cpus: u64,
    /// Disk of a PostgreSQL shard.
    #[arg(long, value_parser = number, value_name = "BYTES", default_value = "2Ti")]
    shard_disk: u64,
    /// Network of each unit, in Mbit/s.
    #[arg(long, value_parser = number, value_name = "NUMBER", default_value = "10000")]
    network_mbit: u64,
    /// Slots, where the ChatCluster exists already; they never change. Chosen if absent.
    #[arg(long, value_parser = number, value_name = "NUMBER")]
    slots: Option<u64>,
    /// How it is written.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// How a plan is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people, with a ChatCluster that fits.
    #[default]
    Table,
    /// For programs.
    Json,
    /// Only the ChatCluster.
    Yaml,
}

/// What carries messages between gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Broker {
    /// A queue for each gateway.
    Rabbitmq,
    /// Every gateway reads everything.
    Kafka,
    /// Pub/Sub of a Redis Cluster.
    Redis,
}

/// Mebibytes and gibibytes.
const MI: u64 = 1 << 20;
const GI: u64 = 1 << 30;

pub(crate) fn show(asked: &Asked) -> Result<()> {
    let (plan, outlook) = made(asked)?;
    match asked.output {
        Output::Table => print!("{}\n{}", text::text(&plan, &outlook), manifest::yaml(&plan)?),
        Output::Json => println!("{}", object(&plan, &outlook)?),
        Output::Yaml => print!("{}", manifest::yaml(&plan)?),
    }
    Ok(())
}

fn made(asked: &Asked) -> Result<(Plan, Outlook)> {
    let workload = Workload {
        connections: asked.connections,
        messages_per_second: asked.messages_per_second,
        // Nobody who asks for ten connections should have to say that a room has fewer than 50.
        members_online: if asked.members == 50 { 50.min(asked.connections.max(1)) } else { asked.members },
        rooms_per_connection: asked.rooms,
        message_bytes: asked.message_bytes,
        reconnects_percent: asked.reconnects,
        history_days: asked.history_days,
        mean_percent: asked.mean_load,
        broker: match asked.broker {
            Broker::Rabbitmq => BrokerKind::RabbitMq,
            Broker::Kafka => BrokerKind::Kafka,
            Broker::Redis => BrokerKind::Redis,
        },
        copies: asked.copies,
    };
    within("target", asked.target, 10, 90)?;
    let sizes = Sizes {
        gateway_cpus: within("gateway-cpus", asked.gateway_cpus, 1, 512)?,
        gateway_memory_mib: within("gateway-memory", asked.gateway_memory, 64 * MI, 4_096 * GI)? / MI,
        gateway_connections: within("gateway-connections", asked.gateway_connections, 1, 1_000_000)?,
        broker_cpus: within("broker-cpus", asked.broker_cpus, 1, 512)?,
        broker_memory_mib: within("broker-memory", asked.broker_memory, 64 * MI, 4_096 * GI)? / MI,
        shard_cpus: within("shard-cpus", asked.shard_cpus, 1, 512)?,
        shard_disk_gib: within("shard-disk", asked.shard_disk, GI, 1_048_576 * GI)? / GI,
        network_mbit: within("network-mbit", asked.network_mbit, 1, 10_000_000)?,
        slots: asked.slots.map(|slots| within("slots", slots, 1, 65_536)).transpose()?,
    };
    let headroom = Headroom { target: asked.target as f64 / 100.0, ..Headroom::default() };
    let costs = Costs::default();
    let plan =
        chat_capacity::plan(&workload, &sizes, &costs, headroom).map_err(|error| anyhow::anyhow!("--{error}"))?;
    let outlook = Outlook::of(&plan, &costs);
    Ok((plan, outlook))
}

fn within(option: &str, value: u64, least: u64, most: u64) -> Result<u64> {
    if value < least || value > most {
        bail!("--{option} is {value}, and must be from {least} to {most}");
    }
    Ok(value)
}

/// For programs.
fn object(plan: &Plan, outlook: &Outlook) -> Result<Value> {
    let mut object = serde_json::to_value(plan).context("the plan cannot be written")?;
    let tiers = object.get_mut("tiers").and_then(Value::as_array_mut).into_iter().flatten();
    for (told, tier) in tiers.zip(&plan.tiers) {
        told["processors"] = json!(tier.processors());
        told["bindingLimit"] = json!(tier.tightest().map(|limit| limit.kind));
        told["utilization"] = json!(tier.tightest().map(chat_capacity::Limit::utilization));
    }
    object["possible"] = json!(plan.exceeded().next().is_none());
    object["firstBottleneck"] = json!(outlook.first);
    object["designEnds"] = json!(outlook.end);
    object["warnings"] = json!(text::warnings(plan));
    object["manifest"] = manifest::object(plan);
    Ok(object)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        asked: Asked,
    }

    pub(super) fn of(words: &[&str]) -> Result<(Plan, Outlook)> {
        let base = ["plan", "--connections", "1M", "--messages-per-second", "20k"];
        made(&Line::try_parse_from(base.iter().chain(words))?.asked)
    }

    #[test]
    fn errors_name_the_option_and_the_way_out() {
        let said = |words: &[&str]| format!("{:#}", of(words).unwrap_err());
        assert!(said(&["--rooms", "many"]).contains("for '--rooms <NUMBER>': \"many\" is no number; write digits"));
        assert_eq!(said(&["--copies", "0"]), "--copies is 0, and must be from 1 to 7");
        assert_eq!(said(&["--target", "100"]), "--target is 100, and must be from 10 to 90");
        let said = said(&["--members", "2M"]);
        assert_eq!(
            said,
            "--members is 2000000, and there are only 1000000 connections; lower members or raise connections"
        );
    }

    #[test]
    fn a_program_reads_numbers_limits_and_the_manifest() {
        let (plan, outlook) = of(&["--broker", "redis"]).unwrap();
        let told = object(&plan, &outlook).unwrap();
        assert_eq!(told["workload"]["connections"], 1_000_000);
        assert_eq!(told["tiers"][0]["tier"], "gateways");
        assert!(told["tiers"][0]["needed"].as_u64().unwrap() > 10);
        assert!(told["firstBottleneck"]["limit"]["kind"].is_string());
        assert_eq!(told["manifest"]["kind"], "ChatCluster");
    }
}
