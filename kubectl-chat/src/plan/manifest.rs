//! A ChatCluster that fits a plan.

use anyhow::{Context as _, Result};
use chat_capacity::{BrokerKind, LimitKind, MOST_GATEWAYS, MOST_SHARDS, Plan, Tier, TierPlan};
use serde_json::{Value, json};

/// The manifest, with a head that says what is still to be done.
pub(super) fn yaml(plan: &Plan) -> Result<String> {
    let yaml = serde_yaml_ng::to_string(&object(plan)).context("the manifest cannot be written")?;
    Ok(format!(
        "# A ChatCluster that fits. Names of Secrets and servers are examples; the engines behind them are yours to size as above.\n{yaml}"
    ))
}

pub(super) fn object(plan: &Plan) -> Value {
    json!({
        "apiVersion": "chatcluster.dev/v1alpha1",
        "kind": "ChatCluster",
        "metadata": { "name": "planned" },
        "spec": {
            "gateways": gateways(plan),
            "broker": broker(plan),
            "redis": { "urlSecretRef": { "name": "redis" } },
            "database": { "slots": plan.slots, "shards": shards(plan) },
        },
    })
}

fn gateways(plan: &Plan) -> Value {
    let load = &plan.workload;
    let tier = plan.tier(Tier::Gateways);
    let units = tier.map_or(2, TierPlan::units);
    // A quarter above the plan for a rollout's second set and for days that nobody foresaw; at night as many as a mean second needs.
    let most = (units + units.div_ceil(4)).clamp(2, MOST_GATEWAYS);
    let least = (units * load.mean_percent).div_ceil(100).clamp(2, most);
    let memory =
        tier.and_then(|tier| tier.limits.iter().find(|limit| limit.kind == LimitKind::Memory)).map_or(256, |limit| {
            ((limit.load / plan.headroom.target / 1_048_576.0).ceil() as u64).next_multiple_of(64).max(128)
        });
    let mut gateways = json!({
        "connectionsPerGateway": plan.connections_per_gateway.min(1_000_000),
        "autoscaling": {
            "mode": "Native",
            "minReplicas": least,
            "maxReplicas": most,
            "targetUtilization": (plan.headroom.target * 100.0).round() as u64,
        },
        "podTemplate": { "resources": {
            "requests": { "cpu": plan.sizes.gateway_cpus.to_string(), "memory": format!("{memory}Mi") },
            "limits": { "memory": format!("{}Mi", memory * 2) },
        } },
    });
    if let Some(messages) = plan.messages_per_gateway {
        gateways["autoscaling"]["messagesPerGateway"] = json!(messages.min(1_000_000));
    }
    gateways
}

fn broker(plan: &Plan) -> Value {
    match plan.workload.broker {
        BrokerKind::RabbitMq => json!({ "rabbitmq": { "uriSecretRef": { "name": "rabbitmq" } } }),
        BrokerKind::Redis => json!({ "redisPubSub": { "urlSecretRef": { "name": "redis-messages" } } }),
        BrokerKind::Kafka => json!({ "kafka": {
            "bootstrapServers": ["kafka-bootstrap.kafka.svc:9092"],
            "partitions": plan.partitions.unwrap_or(12).min(1_000),
            "replicationFactor": plan.workload.copies,
        } }),
    }
}

fn shards(plan: &Plan) -> Vec<Value> {
    let count = plan.tier(Tier::Shards).map_or(1, TierPlan::units).min(MOST_SHARDS).min(plan.slots);
    let shard = |number| {
        let name = format!("s{number}");
        json!({ "urlSecretRef": { "name": format!("shard-{name}") }, "name": name })
    };
    (1..=count).map(shard).collect()
}

#[cfg(test)]
mod tests {
    use chat_crds::ChatCluster;
    use kube::CustomResourceExt as _;

    use super::{super::tests::of, *};

    #[test]
    fn the_manifest_is_one_that_the_schema_takes() {
        let schema = serde_json::to_value(ChatCluster::crd()).unwrap();
        let schema = jsonschema::validator_for(&schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"]).unwrap();
        for words in [
            &["--broker", "rabbitmq"][..],
            &["--broker", "kafka"],
            &["--broker", "redis"],
            &["--members", "1"],
            &["--copies", "1", "--history-days", "3650"],
            &["--gateway-connections", "10", "--target", "90"],
            &["--slots", "1"],
        ] {
            let (plan, _) = of(words).unwrap();
            let object = object(&plan);
            let errors: Vec<String> =
                schema.iter_errors(&object).map(|error| format!("{} {error}", error.instance_path())).collect();
            assert!(errors.is_empty(), "{words:?}: {errors:?}");
            let typed: ChatCluster = serde_yaml_ng::from_str(&yaml(&plan).unwrap()).unwrap();
            // A field that the types do not know would be gone.
            let again = serde_json::to_value(&typed).unwrap();
            assert_eq!(again["spec"], object["spec"], "{words:?}");
        }
    }

    #[test]
    fn the_autoscaler_comes_to_as_many_gateways_as_the_plan() {
        let (plan, _) = of(&[]).unwrap();
        let needed = plan.tier(Tier::Gateways).unwrap().needed;
        let target = plan.headroom.target;
        let wanted = (plan.workload.connections as f64 / (plan.connections_per_gateway as f64 * target)).ceil() as u64;
        assert!(wanted <= needed && wanted + 1 >= needed, "{wanted} {needed}");
        let most = object(&plan)["spec"]["gateways"]["autoscaling"]["maxReplicas"].as_u64().unwrap();
        assert!(most >= plan.tier(Tier::Gateways).unwrap().units());
    }
}
