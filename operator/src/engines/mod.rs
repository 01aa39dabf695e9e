//! Engines that other operators run in a ChatCluster's namespace: which kinds there are, and what little is read of them. No I/O.

mod cloud_native_pg;
mod condition;
mod rabbitmq;
mod registry;
mod strimzi;

use std::fmt;

use chat_crds::{ChatCluster, chat_cluster::CloudNativePg};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use serde::de::DeserializeOwned;

pub use self::{
    cloud_native_pg::PostgresCluster,
    rabbitmq::RabbitCluster,
    registry::Registry,
    strimzi::{CLUSTER_LABEL, KafkaCluster, KafkaListener, KafkaTopic, KafkaUser, Proof},
};

/// Kinds of custom resources that an engine is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EngineKind {
    /// `postgresql.cnpg.io/v1` Cluster.
    CloudNativePg,
    /// `rabbitmq.com/v1beta1` RabbitmqCluster.
    RabbitMq,
    /// `kafka.strimzi.io/v1` Kafka, or the same of `v1beta2`.
    Kafka,
    /// `kafka.strimzi.io/v1` KafkaUser, or the same of `v1beta2`.
    KafkaUser,
    /// `kafka.strimzi.io/v1` KafkaTopic, or the same of `v1beta2`.
    KafkaTopic,
}

impl EngineKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::CloudNativePg, Self::RabbitMq, Self::Kafka, Self::KafkaUser, Self::KafkaTopic];

    /// The kind's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CloudNativePg => "Cluster",
            Self::RabbitMq => "RabbitmqCluster",
            Self::Kafka => "Kafka",
            Self::KafkaUser => "KafkaUser",
            Self::KafkaTopic => "KafkaTopic",
        }
    }

    /// Its group, and the newest version that is known here.
    #[must_use]
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::CloudNativePg => "postgresql.cnpg.io/v1",
            Self::RabbitMq => "rabbitmq.com/v1beta1",
            Self::Kafka | Self::KafkaUser | Self::KafkaTopic => "kafka.strimzi.io/v1",
        }
    }

    /// The versions under which it may be served, newest first.
    #[must_use]
    pub const fn versions(self) -> &'static [&'static str] {
        match self {
            Self::CloudNativePg => &["v1"],
            Self::RabbitMq => &["v1beta1"],
            Self::Kafka | Self::KafkaUser | Self::KafkaTopic => &["v1", "v1beta2"],
        }
    }

    /// The operator that serves it.
    #[must_use]
    pub const fn operator(self) -> &'static str {
        match self {
            Self::CloudNativePg => "CloudNativePG",
            Self::RabbitMq => "the RabbitMQ Cluster Operator",
            Self::Kafka | Self::KafkaUser | Self::KafkaTopic => "Strimzi",
        }
    }

    /// Where the API server serves it under one of its versions, if it does.
    #[must_use]
    pub fn api_resource(self, version: &str) -> ApiResource {
        let (group, _) = self.api_version().split_once('/').unwrap_or_default();
        ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, self.name()))
    }
}

/// One engine of a ChatCluster's namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EngineId {
    /// Its kind.
    pub kind: EngineKind,
    /// Its name.
    pub name: String,
}

impl EngineId {
    /// The Cluster of a shard.
    #[must_use]
    pub fn of_shard(shard: &CloudNativePg) -> Self {
        Self { kind: EngineKind::CloudNativePg, name: shard.cluster_ref.name.clone() }
    }

    /// The RabbitmqCluster `name`.
    #[must_use]
    pub fn rabbitmq(name: &str) -> Self {
        Self { kind: EngineKind::RabbitMq, name: name.to_owned() }
    }

    /// The Kafka `name`.
    #[must_use]
    pub fn kafka(name: &str) -> Self {
        Self { kind: EngineKind::Kafka, name: name.to_owned() }
    }

    /// The KafkaUser `name`.
    #[must_use]
    pub fn kafka_user(name: &str) -> Self {
        Self { kind: EngineKind::KafkaUser, name: name.to_owned() }
    }

    /// The KafkaTopic `name`.
    #[must_use]
    pub fn kafka_topic(name: &str) -> Self {
        Self { kind: EngineKind::KafkaTopic, name: name.to_owned() }
    }
}

impl fmt::Display for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.name)
    }
}

/// What was found under the name of an engine.
#[derive(Clone, Debug)]
pub enum Found {
    /// The API server does not serve the kind.
    NotServed,
    /// There is none of that name.
    Nothing,
    /// This one.
    There(Box<DynamicObject>),
}

impl Found {
    /// What is read of the object. One of which nothing can be read counts as one whose operator has said nothing yet.
    #[must_use]
    pub fn read<View: DeserializeOwned + Default>(&self) -> Option<View> {
        match self {
            Self::NotServed | Self::Nothing => None,
            Self::There(object) => Some(serde_json::from_value(object.data.clone()).unwrap_or_default()),
        }
    }

    /// A label of the object.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        match self {
            Self::NotServed | Self::Nothing => None,
            Self::There(object) => object.metadata.labels.as_ref()?.get(name).map(String::as_str),
        }
    }
}

/// The shards of CloudNativePG that a ChatCluster has, and those that it is leaving.
pub fn postgres_shards(cluster: &ChatCluster) -> impl Iterator<Item = (&str, &CloudNativePg)> {
    let here = cluster.spec.database.shards();
    let wanted = here.iter().map(|shard| (shard.name.as_str(), shard.cloud_native_pg.as_ref()));
    let known = cluster.status.iter().flat_map(|status| &status.shards);
    let left = known.filter(|shard| !here.iter().any(|wanted| wanted.name == shard.name));
    let left = left.map(|shard| (shard.name.as_str(), shard.cloud_native_pg.as_ref()));
    wanted.chain(left).filter_map(|(name, shard)| Some((name, shard?)))
}

/// The engines that a ChatCluster refers to, each once.
#[must_use]
pub fn referenced_engines(cluster: &ChatCluster) -> Vec<EngineId> {
    let mut engines: Vec<EngineId> = postgres_shards(cluster).map(|(_, shard)| EngineId::of_shard(shard)).collect();
    let broker = cluster.spec.broker.rabbitmq.as_ref().and_then(|rabbitmq| rabbitmq.cluster_ref.as_ref());
    engines.extend(broker.map(|from| EngineId::rabbitmq(&from.name)));
    if let Some(kafka) = &cluster.spec.broker.kafka {
        engines.extend(kafka.cluster_ref.as_ref().map(|from| EngineId::kafka(&from.name)));
        engines.extend(kafka.user_ref.as_ref().map(|from| EngineId::kafka_user(&from.name)));
        engines.extend(kafka.topic_ref.as_ref().map(|from| EngineId::kafka_topic(&from.name)));
    }
    engines.sort_unstable();
    engines.dedup();
    engines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_api_server_serves_them_under_their_published_names() {
        let of = |kind: EngineKind| {
            let resource = kind.api_resource(kind.versions().last().unwrap());
            (resource.group, resource.version, resource.plural)
        };
        let named =
            |group: &str, version: &str, plural: &str| (group.to_owned(), version.to_owned(), plural.to_owned());
        assert_eq!(of(EngineKind::CloudNativePg), named("postgresql.cnpg.io", "v1", "clusters"));
        assert_eq!(of(EngineKind::RabbitMq), named("rabbitmq.com", "v1beta1", "rabbitmqclusters"));
        assert_eq!(of(EngineKind::Kafka), named("kafka.strimzi.io", "v1beta2", "kafkas"));
        assert_eq!(of(EngineKind::KafkaUser), named("kafka.strimzi.io", "v1beta2", "kafkausers"));
        assert_eq!(of(EngineKind::KafkaTopic), named("kafka.strimzi.io", "v1beta2", "kafkatopics"));
        for kind in EngineKind::ALL {
            let (_, version) = kind.api_version().split_once('/').unwrap();
            assert_eq!(kind.versions().first(), Some(&version), "the newest");
        }
    }

    #[test]
    fn engines_are_named_once_and_those_of_shards_that_are_left_too() {
        let shard =
            |name: &str, cluster: &str| json!({ "name": name, "cloudNativePG": { "clusterRef": { "name": cluster } } });
        let left = |name: &str| json!({ "name": name, "available": true, "cloudNativePG": { "clusterRef": { "name": "old" } } });
        let cluster: ChatCluster = serde_json::from_value(json!({
            "apiVersion": crate::api::API_VERSION, "kind": crate::api::KIND, "metadata": { "name": "demo" },
            "spec": {
                "broker": { "rabbitmq": { "clusterRef": { "name": "mq" } } },
                "database": { "shards": [shard("a", "pg"), shard("b", "pg"), { "name": "c", "urlSecretRef": { "name": "c" } }] }
            },
            "status": { "conditions": [], "shards": [left("gone"), left("a")] },
        }))
        .unwrap();
        let names: Vec<String> = referenced_engines(&cluster).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["Cluster old", "Cluster pg", "RabbitmqCluster mq"]);
    }

    #[test]
    fn what_cannot_be_read_counts_as_said_by_nobody() {
        let found = |data| {
            let mut object = DynamicObject::new("pg", &EngineKind::CloudNativePg.api_resource("v1"));
            object.data = data;
            Found::There(Box::new(object))
        };
        let read: PostgresCluster = found(json!({ "spec": { "instances": "three" } })).read().unwrap();
        assert_eq!(read, PostgresCluster::default());
        assert!(Found::Nothing.read::<PostgresCluster>().is_none());
    }
}
