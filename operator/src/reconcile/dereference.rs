//! The only reader: the ChatCluster itself, its children, its pods, the engines of other operators and the Secrets that it refers to. What is watched is not asked for again.

use std::collections::{BTreeMap, BTreeSet};

use chat_crds::{ChatCluster, chat_cluster::LoginSecretRef};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, ListParams},
};

use super::{expected::expected_children, leaving::leaving, live::Live};
use crate::{
    api_error::ApiError,
    build::{ChildId, Kind},
    context::Context,
    engines::{
        EngineId, Found, KafkaCluster, KafkaUser, PostgresCluster, RabbitCluster, postgres_shards, referenced_engines,
    },
    names::{ClusterKey, Names, label},
    sensitive::Sensitive,
};

/// Children read in one answer of the API server; a cluster has some forty at most of one kind.
const PAGE: u32 = 500;

/// A ChatCluster and everything that it refers to, as they were a moment ago.
#[derive(Debug)]
pub struct Dereferenced {
    /// The ChatCluster, fresh from the API server.
    pub cluster: ChatCluster,
    /// Its children and pods, and objects that have a child's name.
    pub live: Live,
    /// Engines that the spec names, as far as they exist.
    pub engines: BTreeMap<EngineId, Found>,
    /// Secrets that the spec names, and those that its engines name; `None` for those that do not exist.
    pub secrets: BTreeMap<String, Option<SecretValues>>,
    /// Volumes of managed shards whose Secret is missing, by shard.
    pub locked_volumes: BTreeMap<String, LockedVolume>,
}

/// A shard's volume that exists while the Secret with its password does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockedVolume {
    /// It was kept for a new ChatCluster, and nobody has its password.
    Kept,
    /// It goes with the StatefulSet of an earlier ChatCluster.
    Leaving,
}

/// The values of a Secret by key. Values that are not text are left out.
pub type SecretValues = BTreeMap<String, Sensitive>;

/// The API server refused a read or did not answer.
#[derive(Debug, thiserror::Error)]
#[error("failed to read {what}: {source}")]
pub struct DereferenceError {
    what: String,
    source: ApiError,
}

/// Reads the ChatCluster, or `None` when it is gone.
///
/// # Errors
/// When the API server refuses or does not answer.
pub(super) async fn fetch(client: &Client, key: &ClusterKey) -> Result<Option<ChatCluster>, DereferenceError> {
    let api: Api<ChatCluster> = Api::namespaced(client.clone(), &key.namespace);
    api.get_opt(&key.name).await.map_err(|source| failed(format!("ChatCluster {key}"), source))
}

/// Reads everything that `cluster` refers to.
///
/// # Errors
/// When the API server refuses or does not answer.
pub(super) async fn dereference(
    context: &Context,
    key: &ClusterKey,
    cluster: ChatCluster,
) -> Result<Dereferenced, DereferenceError> {
    let client = &context.client;
    context.cache.filled().await;
    let expected = expected_children(&cluster);
    let (mut live, (engines, secrets)) =
        tokio::try_join!(read_children(context, key, &expected), read_backends(context, key, &cluster))?;
    // An object of a child's name without our labels is in no list. It must be known before anything is written.
    let is_missing = |id: &ChildId| live.get(id).is_none() && !live.not_served.contains(&id.kind);
    let missing: Vec<ChildId> = expected.into_iter().filter(is_missing).collect();
    for (id, object) in
        try_join_all(missing.into_iter().map(|id| read_one(client, key, id))).await?.into_iter().flatten()
    {
        live.insert(id, object);
    }
    let locked_volumes = read_locked_volumes(client, key, &cluster, &live).await?;
    Ok(Dereferenced { cluster, live, engines, secrets, locked_volumes })
}

/// Looks for volumes of shards whose Secret is missing, before new passwords are made that would not open them.
async fn read_locked_volumes(
    client: &Client,
    key: &ClusterKey,
    cluster: &ChatCluster,
    live: &Live,
) -> Result<BTreeMap<String, LockedVolume>, DereferenceError> {
    let names = Names::new(key.name.as_str());
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &key.namespace);
    let shards = cluster.spec.database.shards().iter().filter(|shard| {
        shard.managed.is_some() && live.get(&ChildId::new(Kind::Secret, &names.shard(&shard.name))).is_none()
    });
    let reads = shards.map(|shard| {
        let (claims, claim) = (&claims, names.shard_claim(&shard.name));
        async move {
            let found =
                claims.get_metadata_opt(&claim).await.map_err(|source| failed(format!("volume {claim}"), source))?;
            Ok::<_, DereferenceError>(found.map(|found| {
                let leaving = found.metadata.deletion_timestamp.is_some() || !found.owner_references().is_empty();
                (shard.name.clone(), if leaving { LockedVolume::Leaving } else { LockedVolume::Kept })
            }))
        }
    });
    Ok(try_join_all(reads).await?.into_iter().flatten().collect())
}

/// Names of the Secrets that the spec refers to.
#[must_use]
pub fn referenced_secrets(cluster: &ChatCluster) -> Vec<String> {
    let spec = &cluster.spec;
    let mut names: Vec<String> = spec
        .database
        .shards()
        .iter()
        .filter_map(|shard| shard.url_secret_ref.as_ref())
        .map(|from| from.name.clone())
        .collect();
    names.extend(leaving(cluster).filter_map(|shard| Some(shard.secret?.name.clone())));
    let tls = spec.database.shards().iter().filter_map(|shard| shard.tls.as_ref());
    for tls in tls.chain(leaving(cluster).filter_map(|shard| shard.tls)) {
        names.extend(tls.ca_secret_ref.as_ref().map(|from| from.name.clone()));
        let shown = [&tls.client_certificate_secret_ref, &tls.migration_certificate_secret_ref];
        names.extend(shown.into_iter().flatten().map(|from| from.name.clone()));
    }
    names
        .extend(spec.auth.as_ref().and_then(|auth| auth.signing_key_secret_ref.as_ref()).map(|from| from.name.clone()));
    let issuers = spec.auth.iter().flat_map(|auth| &auth.oidc);
    names.extend(issuers.filter_map(|issuer| issuer.ca_secret_ref.as_ref()).map(|from| from.name.clone()));
    names.extend(
        spec.broker.rabbitmq.as_ref().and_then(|broker| broker.uri_secret_ref.as_ref()).map(|from| from.name.clone()),
    );
    let pubsub = spec.broker.redis_pub_sub.as_ref().and_then(|broker| broker.url_secret_ref.as_ref());
    names.extend(pubsub.map(|from| from.name.clone()));
    let kafka = spec.broker.kafka.as_ref();
    names.extend(kafka.and_then(|kafka| kafka.ca_secret_ref.as_ref()).map(|from| from.name.clone()));
    names.extend(kafka.and_then(|kafka| kafka.sasl.as_ref()).map(|sasl| sasl.password_secret_ref.name.clone()));
    let client = kafka.and_then(|kafka| kafka.client_certificate_secret_ref.as_ref());
    names.extend(client.map(|from| from.name.clone()));
    names.extend(spec.redis.as_ref().and_then(|redis| redis.url_secret_ref.as_ref()).map(|from| from.name.clone()));
    let rabbitmq = spec.broker.rabbitmq.as_ref().and_then(|rabbitmq| rabbitmq.tls.as_ref());
    names.extend(rabbitmq.and_then(|tls| tls.ca_secret_ref.as_ref()).map(|from| from.name.clone()));
    names.extend(rabbitmq.and_then(|tls| tls.client_certificate_secret_ref.as_ref()).map(|from| from.name.clone()));
    let pubsub = spec.broker.redis_pub_sub.as_ref().and_then(|redis| redis.tls.as_ref());
    for tls in pubsub.into_iter().chain(spec.redis.as_ref().and_then(|redis| redis.tls.as_ref())) {
        names.extend(tls.ca_secret_ref.as_ref().map(|from| from.name.clone()));
        names.extend(tls.client_certificate_secret_ref.as_ref().map(|from| from.name.clone()));
    }
    names.extend(spec.haproxy().and_then(|tier| tier.tls_secret_ref).map(|from| from.name));
    let prometheus = spec.analysis_prometheus();
    names.extend(prometheus.and_then(|asked| asked.token_secret_ref.as_ref()).map(|from| from.name.clone()));
    names.extend(prometheus.and_then(|asked| asked.ca_secret_ref.as_ref()).map(|from| from.name.clone()));
    names.sort_unstable();
    names.dedup();
    names
}

/// Engines that the spec refers to, and the Secrets that it and they name.
async fn read_backends(
    context: &Context,
    key: &ClusterKey,
    cluster: &ChatCluster,
) -> Result<(BTreeMap<EngineId, Found>, BTreeMap<String, Option<SecretValues>>), DereferenceError> {
    let reads = referenced_engines(cluster).into_iter().map(|id| read_engine(context, key, id));
    let engines: BTreeMap<EngineId, Found> = try_join_all(reads).await?.into_iter().collect();
    let theirs = secrets_of_engines(cluster, &engines);
    context.engines.note_secrets(key, &theirs);
    let mut names: BTreeSet<String> = referenced_secrets(cluster).into_iter().collect();
    names.extend(theirs);
    let secrets = read_secrets(&context.client, key, names.into_iter().collect()).await?;
    Ok((engines, secrets))
}

/// Asks for a list of one: the answer to that tells a kind that is not served from an object that does not exist. Where a kind may be served under
/// several versions, the one that was served before is asked for first.
async fn read_engine(context: &Context, key: &ClusterKey, id: EngineId) -> Result<(EngineId, Found), DereferenceError> {
    let only = ListParams::default().fields(&format!("metadata.name={}", id.name)).limit(1);
    let known = context.engines.version(id.kind);
    let others = id.kind.versions().iter().copied().filter(|version| Some(*version) != known);
    for version in known.into_iter().chain(others) {
        let resource = id.kind.api_resource(version);
        let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), &key.namespace, &resource);
        match api.list(&only).await {
            Ok(list) => {
                context.engines.note_served(id.kind, version);
                let first = list.items.into_iter().next();
                return Ok((id, first.map_or(Found::Nothing, |object| Found::There(Box::new(object)))));
            }
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(source) => return Err(failed(id.to_string(), source)),
        }
    }
    Ok((id, Found::NotServed))
}

/// Names of the Secrets by which the engines of `cluster` are reached.
#[must_use]
pub fn secrets_of_engines(cluster: &ChatCluster, engines: &BTreeMap<EngineId, Found>) -> BTreeSet<String> {
    let mut secrets = BTreeSet::new();
    for (_, shard) in postgres_shards(cluster) {
        let id = EngineId::of_shard(shard);
        let Some(found) = engines.get(&id).and_then(Found::read::<PostgresCluster>) else { continue };
        let given = |from: &Option<LoginSecretRef>| from.as_ref().map(|from| from.name.clone());
        secrets.insert(given(&shard.owner_secret_ref).unwrap_or_else(|| found.application_secret(&id.name)));
        secrets.extend(given(&shard.gateway_secret_ref));
        secrets.insert(found.ca_secret(&id.name));
    }
    let broker = cluster.spec.broker.rabbitmq.as_ref().and_then(|rabbitmq| rabbitmq.cluster_ref.as_ref());
    if let Some(found) = broker.and_then(|from| engines.get(&EngineId::rabbitmq(&from.name))?.read::<RabbitCluster>()) {
        secrets.extend(found.default_user().map(|user| user.secret));
        secrets.extend(found.ca_secret().map(str::to_owned));
    }
    if let Some(kafka) = &cluster.spec.broker.kafka {
        secrets.extend(kafka.cluster_ref.as_ref().map(|from| KafkaCluster::ca_secret(&from.name)));
        let user = kafka.user_ref.as_ref().and_then(|from| engines.get(&EngineId::kafka_user(&from.name)));
        let user = user.and_then(Found::read::<KafkaUser>);
        secrets.extend(user.and_then(|user| user.secret().map(str::to_owned)));
    }
    secrets
}

async fn read_children(context: &Context, key: &ClusterKey, expected: &[ChildId]) -> Result<Live, DereferenceError> {
    let ours = ListParams::default().labels(&format!("{}={}", label::CLUSTER, key.name)).limit(PAGE);
    let client = &context.client;
    let lists = try_join_all(Kind::ALL.map(|kind| {
        let ours = &ours;
        async move {
            // A ChatCluster that wants one may be the first to hear that it is served by now.
            if !expected.iter().any(|id| id.kind == kind) && context.cache.is_absent(kind) {
                return Ok((kind, None));
            }
            if let Some(kept) = context.cache.children(kind, key) {
                return Ok((kind, Some(kept)));
            }
            let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &key.namespace, &kind.api_resource());
            match api.list(ours).await {
                Ok(list) => {
                    context.cache.note_served(kind, true);
                    Ok((kind, Some(list.items)))
                }
                // Nobody can have made an object of a kind that is not served.
                Err(kube::Error::Api(status)) if kind.is_optional() && status.code == 404 => {
                    context.cache.note_served(kind, false);
                    Ok((kind, None))
                }
                Err(source) => Err(failed(format!("{}s", kind.name()), source)),
            }
        }
    }));
    let pods: Api<Pod> = Api::namespaced(client.clone(), &key.namespace);
    let pods = async {
        if let Some(kept) = context.cache.pods(key) {
            return Ok(kept);
        }
        Ok(pods.list(&ours).await.map_err(|source| failed("Pods".to_owned(), source))?.items)
    };
    let (lists, pods) = tokio::try_join!(lists, pods)?;
    let mut live = Live::with_pods(pods);
    for (kind, list) in lists {
        let Some(list) = list else {
            live.not_served.insert(kind);
            continue;
        };
        for object in list {
            live.insert(ChildId::new(kind, &object.name_any()), object);
        }
    }
    Ok(live)
}

async fn read_one(
    client: &Client,
    key: &ClusterKey,
    id: ChildId,
) -> Result<Option<(ChildId, DynamicObject)>, DereferenceError> {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &key.namespace, &id.kind.api_resource());
    let object = api.get_opt(&id.name).await.map_err(|source| failed(id.to_string(), source))?;
    Ok(object.map(|object| (id, object)))
}

async fn read_secrets(
    client: &Client,
    key: &ClusterKey,
    names: Vec<String>,
) -> Result<BTreeMap<String, Option<SecretValues>>, DereferenceError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &key.namespace);
    let reads = names.into_iter().map(|name| {
        let api = &api;
        async move {
            let secret = api.get_opt(&name).await.map_err(|source| failed(format!("Secret {name}"), source))?;
            Ok::<_, DereferenceError>((name, secret.as_ref().map(values)))
        }
    });
    Ok(try_join_all(reads).await?.into_iter().collect())
}

/// The values of a Secret that are text.
#[must_use]
pub(super) fn values(secret: &Secret) -> SecretValues {
    let data = secret.data.iter().flatten();
    data.filter_map(|(key, value)| Some((key.clone(), Sensitive::new(String::from_utf8(value.0.clone()).ok()?))))
        .collect()
}

fn failed(what: String, source: kube::Error) -> DereferenceError {
    DereferenceError { what, source: source.into() }
}
