//! Names of the children that a spec leads to, known before it is validated. Those of the migration and of the gateways' revisions are not
//! among them: their names are hashes.

use chat_crds::{ChatCluster, chat_cluster::ExposeType};
use kube::ResourceExt;

use crate::{
    build::{ChildId, Kind},
    names::Names,
};

/// Kinds that every managed backend has.
const BACKEND: [Kind; 5] =
    [Kind::Secret, Kind::Service, Kind::NetworkPolicy, Kind::PodDisruptionBudget, Kind::StatefulSet];
/// Kinds of the tier of HAProxy.
const TIER: [Kind; 6] = [
    Kind::ServiceAccount,
    Kind::ConfigMap,
    Kind::Service,
    Kind::NetworkPolicy,
    Kind::PodDisruptionBudget,
    Kind::Deployment,
];
/// Kinds that the gateways have, whatever their revision.
const GATEWAY: [Kind; 4] = [Kind::ServiceAccount, Kind::Service, Kind::NetworkPolicy, Kind::PodDisruptionBudget];
/// Kinds that a gateway has that is alone; else each revision has one of each, and its name is a hash.
const ALONE: [Kind; 2] = [Kind::ConfigMap, Kind::Deployment];

/// Children by kind and name.
#[must_use]
pub fn expected_children(cluster: &ChatCluster) -> Vec<ChildId> {
    let (names, spec) = (Names::new(cluster.name_any()), &cluster.spec);
    let mut children: Vec<ChildId> = GATEWAY.map(|kind| ChildId::new(kind, &names.gateway())).into();
    children.push(ChildId::new(Kind::ConfigMap, &names.gateway_live()));
    if spec.broker.in_process.is_some() {
        children.extend(ALONE.map(|kind| ChildId::new(kind, &names.gateway())));
    }
    match spec.effective_expose_type() {
        ExposeType::HAProxy => {
            children.extend(TIER.map(|kind| ChildId::new(kind, &names.haproxy())));
            children.push(ChildId::new(Kind::Service, &names.gateway_pods()));
        }
        ExposeType::Ingress => children.push(ChildId::new(Kind::Ingress, &names.gateway())),
        ExposeType::HTTPRoute => children.push(ChildId::new(Kind::HttpRoute, &names.gateway())),
        ExposeType::ClusterIP | ExposeType::LoadBalancer => {}
    }
    match &spec.database.embedded {
        Some(_) => children.push(ChildId::new(Kind::PersistentVolumeClaim, &names.data_claim())),
        None => {
            let policies = [names.migration_policy(), names.mover_policy()];
            children.extend(policies.map(|name| ChildId::new(Kind::NetworkPolicy, &name)));
            children.push(ChildId::new(Kind::Secret, &names.gateway_shards()));
        }
    }
    if spec.database.backup.is_some() {
        children.extend([Kind::NetworkPolicy, Kind::CronJob].map(|kind| ChildId::new(kind, &names.backup())));
    }
    children.push(ChildId::new(Kind::Secret, &names.admin_token()));
    if spec.auth.as_ref().is_none_or(|auth| auth.signing_key_secret_ref.is_none()) {
        children.push(ChildId::new(Kind::Secret, &names.signing_key()));
    }
    if spec.broker.rabbitmq.as_ref().is_some_and(|broker| broker.cluster_ref.is_some()) {
        children.push(ChildId::new(Kind::Secret, &names.broker()));
    }
    if spec.broker.kafka.as_ref().is_some_and(|broker| broker.cluster_ref.is_some()) {
        children.push(ChildId::new(Kind::Secret, &names.kafka()));
    }
    let engines = spec.database.shards().iter().filter(|shard| shard.cloud_native_pg.is_some() || shard.tls.is_some());
    children.extend(engines.map(|shard| ChildId::new(Kind::Secret, &names.shard(&shard.name))));
    let mut backend = |name: String| children.extend(BACKEND.map(|kind| ChildId::new(kind, &name)));
    if spec.broker.rabbitmq.as_ref().is_some_and(|broker| broker.managed.is_some()) {
        backend(names.rabbitmq());
    }
    if spec.redis.as_ref().is_some_and(|redis| redis.managed.is_some()) {
        backend(names.redis());
    }
    for shard in spec.database.shards().iter().filter(|shard| shard.managed.is_some()) {
        backend(names.shard(&shard.name));
    }
    children
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_a_managed_cluster() {
        let cluster: ChatCluster = serde_json::from_value(json!({
            "apiVersion": crate::api::API_VERSION, "kind": crate::api::KIND, "metadata": { "name": "demo" },
            "spec": {
                "broker": { "rabbitmq": { "managed": {} } }, "redis": { "managed": {} },
                "database": { "shards": [{ "name": "a", "managed": { "storage": { "size": "1Gi" } } }] }
            }
        }))
        .unwrap();
        let expected = expected_children(&cluster);
        assert_eq!(expected.iter().collect::<BTreeSet<_>>().len(), expected.len(), "no name twice");
        assert_eq!(expected.len(), 5 + 5 + 3 * 5);
    }
}
