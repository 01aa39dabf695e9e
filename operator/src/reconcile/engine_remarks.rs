//! What the operators of engines say of those that are not ready, and what they themselves would not say, for the conditions. Pure.

use std::collections::BTreeMap;

use chat_crds::ChatCluster;

use super::conditions::Remarks;
use crate::engines::{
    EngineId, Found, KafkaCluster, KafkaTopic, KafkaUser, PostgresCluster, RabbitCluster, postgres_shards,
};

/// What is said of the engines of `cluster` that are not ready, or not as safe as people take them to be.
#[must_use]
pub fn engine_remarks(cluster: &ChatCluster, engines: &BTreeMap<EngineId, Found>) -> Remarks {
    let mut remarks = Remarks::default();
    for (shard, of) in postgres_shards(cluster) {
        let id = EngineId::of_shard(of);
        let found: Option<PostgresCluster> = engines.get(&id).and_then(Found::read);
        let remark = found.and_then(|found| match found.trouble() {
            Some(trouble) => Some(not_ready(&id, &trouble)),
            None => found.replicates_asynchronously().then(|| asynchronous(&id)),
        });
        if let Some(remark) = remark {
            remarks.shards.insert(shard.to_owned(), remark);
        }
    }
    if let Some(from) = cluster.spec.broker.rabbitmq.as_ref().and_then(|rabbitmq| rabbitmq.cluster_ref.as_ref()) {
        let id = EngineId::rabbitmq(&from.name);
        let found: Option<RabbitCluster> = engines.get(&id).and_then(Found::read);
        remarks.broker = found.and_then(|found| found.trouble()).map(|trouble| not_ready(&id, &trouble));
    }
    if let Some(kafka) = &cluster.spec.broker.kafka {
        let trouble = |id: EngineId, trouble: fn(&Found) -> Option<String>| {
            engines.get(&id).and_then(trouble).map(|trouble| not_ready(&id, &trouble))
        };
        let parts = [
            kafka
                .cluster_ref
                .as_ref()
                .and_then(|from| trouble(EngineId::kafka(&from.name), |found| found.read::<KafkaCluster>()?.trouble())),
            kafka.user_ref.as_ref().and_then(|from| {
                trouble(EngineId::kafka_user(&from.name), |found| found.read::<KafkaUser>()?.trouble())
            }),
            kafka.topic_ref.as_ref().and_then(|from| {
                trouble(EngineId::kafka_topic(&from.name), |found| found.read::<KafkaTopic>()?.trouble())
            }),
        ];
        let said: Vec<String> = parts.into_iter().flatten().collect();
        remarks.broker = remarks.broker.or_else(|| (!said.is_empty()).then(|| said.join("; ")));
    }
    remarks
}

/// A failover would lose what the standbys do not have yet, acknowledged or not.
fn asynchronous(id: &EngineId) -> String {
    format!(
        "{id} replicates asynchronously, so that a failover may lose acknowledged messages: set spec.postgresql.synchronous there"
    )
}

/// A sentence that names the engine.
#[must_use]
pub(super) fn not_ready(id: &EngineId, trouble: &str) -> String {
    format!("{id} is not ready: {trouble}")
}
