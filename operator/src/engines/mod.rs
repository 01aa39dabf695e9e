//! Engines that other operators run in a ChatCluster's namespace: which kinds there are, and what little is read of them. No I/O.

mod cloud_native_pg;
mod rabbitmq;
mod registry;

use std::fmt;

use chat_crds::{ChatCluster, chat_cluster::CloudNativePg};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use serde::de::DeserializeOwned;

pub use self::{cloud_native_pg::PostgresCluster, rabbitmq::RabbitCluster, registry::Registry};

/// Kinds of custom resources that an engine is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EngineKind {
    /// `postgresql.cnpg.io/v1` Cluster.
    CloudNativePg,
    /// `rabbitmq.com/v1beta1` RabbitmqCluster.
    RabbitMq,
}

impl EngineKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::CloudNativePg, Self::RabbitMq];

    /// The kind's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CloudNativePg => "Cluster",
            Self::RabbitMq => "RabbitmqCluster",
        }
    }

    /// Its group and version.
    #[must_use]
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::CloudNativePg => "postgresql.cnpg.io/v1",
            Self::RabbitMq => "rabbitmq.com/v1beta1",
        }
    }

    /// The operator that serves it.
    #[must_use]
    pub const fn operator(self) -> &'static str {
        match self {
            Self::CloudNativePg => "CloudNativePG",
            Self::RabbitMq => "the RabbitMQ Cluster Operator",
        }
    }

    /// Where the API server serves it, if it does.
    #[must_use]
    pub fn api_resource(self) -> ApiResource {
        let (group, version) = self.api_version().split_once('/').unwrap_or_default();
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
            let resource = kind.api_resource();
            (resource.group, resource.version, resource.plural)
        };
        let named =
            |group: &str, version: &str, plural: &str| (group.to_owned(), version.to_owned(), plural.to_owned());
        assert_eq!(of(EngineKind::CloudNativePg), named("postgresql.cnpg.io", "v1", "clusters"));
        assert_eq!(of(EngineKind::RabbitMq), named("rabbitmq.com", "v1beta1", "rabbitmqclusters"));
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
            let mut object = DynamicObject::new("pg", &EngineKind::CloudNativePg.api_resource());
            object.data = data;
            Found::There(Box::new(object))
        };
        let read: PostgresCluster = found(json!({ "spec": { "instances": "three" } })).read().unwrap();
        assert_eq!(read, PostgresCluster::default());
        assert!(Found::Nothing.read::<PostgresCluster>().is_none());
    }
}
