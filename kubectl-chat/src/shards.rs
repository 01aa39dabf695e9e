//! The shards of a ChatCluster.

use anyhow::Result;
use chat_crds::{ChatCluster, chat_cluster::DEFAULT_SHARD_WEIGHT};
use serde_json::json;

use crate::{
    args::{Output, Told},
    gateway::Gateways,
    tables::{bytes, known, table},
};

const HEAD: [&str; 8] = ["SHARD", "WEIGHT", "SLOTS", "ROWS", "BYTES", "LAG", "AVAILABLE", "PHASE"];

pub(crate) async fn show(gateways: &Gateways, Told { cluster, output }: &Told) -> Result<()> {
    let cluster = gateways.cluster(cluster).await?;
    match output {
        Output::Json => println!("{}", json!(cluster.status.map(|status| status.shards).unwrap_or_default())),
        Output::Table => print!("{}", text(&cluster)),
    }
    Ok(())
}

fn text(cluster: &ChatCluster) -> String {
    let shards = cluster.status.as_ref().map(|status| status.shards.as_slice()).unwrap_or_default();
    if shards.is_empty() {
        return "no gateway has said anything of the shards yet\n".to_owned();
    }
    let weight = |name: &str| {
        let shard = cluster.spec.database.shards().iter().find(|shard| shard.name == name);
        shard.map(|shard| shard.weight.unwrap_or(DEFAULT_SHARD_WEIGHT))
    };
    let rows: Vec<Vec<String>> = shards
        .iter()
        .map(|shard| {
            vec![
                shard.name.clone(),
                known(weight(&shard.name)),
                known(shard.slots),
                known(shard.rows),
                known(shard.bytes.map(bytes)),
                known(shard.lag_bytes.map(bytes)),
                if shard.available { "yes" } else { "no" }.to_owned(),
                known(shard.phase.map(|phase| format!("{phase:?}"))),
            ]
        })
        .collect();
    let conditions = cluster.status.iter().flat_map(|status| &status.conditions);
    let balanced = conditions.into_iter().find(|condition| condition.type_ == "ShardsBalanced");
    let told = balanced.map(|told| format!("\nShardsBalanced is {}: {}\n", told.status, told.message));
    table(&HEAD, &rows) + &told.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_a_row() {
        let cluster: ChatCluster = serde_json::from_value(json!({
            "apiVersion": "chatcluster.dev/v1alpha1", "kind": "ChatCluster", "metadata": { "name": "demo" },
            "spec": { "broker": { "redisPubSub": {} }, "redis": { "managed": {} }, "database": { "shards": [
                { "name": "a", "weight": 50, "urlSecretRef": { "name": "a" } } ] } },
            "status": { "shards": [
                { "name": "a", "slots": 512, "available": true, "rows": 7, "bytes": 2048 },
                { "name": "b", "slots": 3, "available": false, "phase": "Leaving" } ],
              "conditions": [{ "type": "ShardsBalanced", "status": "False", "reason": "X", "message": "one leaves",
                "lastTransitionTime": "2026-01-01T00:00:00Z" }] }
        }))
        .unwrap();
        let text = text(&cluster);
        assert!(text.contains("a       50       512     7      2.0 KiB   -     yes         -\n"), "{text}");
        assert!(text.contains("b       -        3       -      -         -     no          Leaving\n"), "{text}");
        assert!(text.ends_with("ShardsBalanced is False: one leaves\n"), "{text}");
    }
}
