//! Watches, and which ChatCluster each change belongs to. What happens then is in [`crate::observe`].

use std::{fmt::Debug, sync::Arc};

use chat_crds::{ChatCluster, ChatClusterStatus, ShardRebalance};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Pod, Secret},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::DynamicObject,
    core::PartialObjectMeta,
    runtime::{
        Controller, PredicateConfig, WatchStreamExt,
        controller::{self, Config},
        predicates,
        reflector::{self, ObjectRef, Store},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    args::Scope,
    build::Kind,
    cache::Cache,
    context::Context,
    engines::{EngineKind, Registry, referenced_engines},
    metrics::Metrics,
    missing,
    names::{ClusterKey, label},
    observe,
    rebalance::Memory,
    reconcile::referenced_secrets,
};

/// Objects read in one answer when a watch begins. Small pages keep the memory of a large start small.
const PAGE: u32 = 25;
/// The condition by which ChatClusters are counted.
const READY: &str = "Ready";

/// Where and how the controller works.
#[derive(Debug)]
pub struct Settings {
    /// Where to watch.
    pub scope: Scope,
    /// Passes at the same time, at least 1: zero would mean no bound.
    pub concurrency: u16,
}

/// Reconciles until `stop`, then lets running passes end. Dropped, it does nothing any more.
pub async fn run(context: Context, settings: Settings, news: mpsc::Receiver<ClusterKey>, stop: CancellationToken) {
    let scope = Arc::new(Watches::new(context.client.clone(), settings.scope, Arc::clone(&context.metrics)));
    let (clusters, writer) = reflector::store::<ChatCluster>();

    let echoes = Arc::clone(&context.echoes);
    let (named, names) = mpsc::unbounded_channel();
    let leavers = Leavers { memory: Arc::clone(&context.memory), named: named.clone() };
    let cluster_stream = scope.count_errors(
        watcher(scope.api::<ChatCluster>(), scope.here(watcher::Config::default()))
            .default_backoff()
            .modify(prune)
            .reflect(writer)
            .inspect_ok(move |event| leavers.hear(event))
            .applied_objects()
            .try_filter(move |cluster| std::future::ready(!echoes.is_echo(cluster))),
    );
    let cache = Arc::clone(&context.cache);
    let pods = cache.follow_pods(scope.events(scope.api::<Pod>()));
    let children = Kind::ALL.into_iter().filter(|kind| Cache::keeps(*kind)).map(|kind| {
        let events = scope.events(scope.any(kind));
        cache.follow_children(kind, events).boxed()
    });
    let followed = stream::select_all(children.chain([pods.boxed()]));
    let memory = Arc::clone(&context.memory);
    let rebalances = scope.rebalances().filter_map(move |rebalance| {
        let key = rebalance.ok().and_then(|rebalance| cluster_of(&rebalance)).inspect(|key| memory.name(key));
        // It is heard as long as the controller runs.
        key.iter().for_each(|key| drop(named.send(key.clone())));
        std::future::ready(key)
    });
    let news = stream::select(tokio_stream(news), stream::select(followed, rebalances))
        .map(|key| ObjectRef::<ChatCluster>::new(&key.name).within(&key.namespace));
    let engines = EngineKind::ALL.map(|kind| scope.engines(kind, &context.engines, clusters.clone()).boxed());
    let news = stream::select(news, stream::select_all(engines));
    let users = Users { clusters: clusters.clone(), engines: Arc::clone(&context.engines) };

    let controller = Controller::for_stream(cluster_stream, clusters.clone())
        .with_config(Config::default().concurrency(settings.concurrency.max(1)))
        // Retained Secrets have no owner, and Secrets of users have no label: the mapper looks at both.
        .watches_stream(scope.secrets(), move |secret| users.of(&secret))
        .reconcile_on(news)
        .graceful_shutdown_on(stop.clone().cancelled_owned());

    let poller = Arc::clone(&context.poller);
    let cache = Arc::clone(&context.cache);
    // They end with this future, which is dropped where it stands when the Lease is lost: both write.
    let seeking = missing::run(context.clone(), clusters.clone(), names, stop.clone());
    let seeking = AbortOnDropHandle::new(tokio::spawn(seeking));
    let polling = AbortOnDropHandle::new(tokio::spawn(async move { poller.run(&cache, stop).await }));
    let metrics = Arc::clone(&context.metrics);
    controller
        .run(observe::pass, |cluster, _error, context| observe::retry(&cluster, &context), Arc::new(context))
        .for_each(|result| {
            count_clusters(&metrics, &clusters);
            log(&result);
            std::future::ready(())
        })
        .await;
    // They end by the same token; an error would only mean that one had panicked, which was logged then.
    let _ = tokio::join!(polling, seeking);
}

/// Leaves what is asked of a ChatCluster that is known: its generation, the Secrets that its spec names, whether it is ready. A pass reads it anew.
fn prune(cluster: &mut ChatCluster) {
    (cluster.metadata.managed_fields, cluster.metadata.annotations) = (None, None);
    cluster.status = cluster.status.take().map(|status| {
        let ready = status.conditions.into_iter().filter(|condition| condition.type_ == READY);
        ChatClusterStatus { conditions: ready.collect::<Box<[_]>>().into(), ..ChatClusterStatus::default() }
    });
}

/// Leaves what tells whose a ShardRebalance is, and whether it was changed.
fn forget_all_but_spec(rebalance: &mut ShardRebalance) {
    (rebalance.status, rebalance.spec.moves) = (None, None);
    (rebalance.metadata.managed_fields, rebalance.metadata.annotations) = (None, None);
}

/// The ChatCluster that a ShardRebalance is about.
fn cluster_of(rebalance: &ShardRebalance) -> Option<ClusterKey> {
    Some(ClusterKey::new(rebalance.namespace()?, &rebalance.spec.cluster_ref.name))
}

/// Tells of ChatClusters that have gone, since ShardRebalances may name them.
struct Leavers {
    memory: Arc<Memory>,
    named: mpsc::UnboundedSender<ClusterKey>,
}

impl Leavers {
    fn hear(&self, event: &watcher::Event<ChatCluster>) {
        let keys = match event {
            watcher::Event::Delete(cluster) => {
                let namespace = cluster.namespace().into_iter();
                namespace.map(|namespace| ClusterKey::new(namespace, cluster.name_any())).collect()
            }
            // Of those that went while there was no watch nothing tells; whoever hears this knows which are there.
            watcher::Event::InitDone => self.memory.named(),
            _ => Vec::new(),
        };
        // It is heard as long as the controller runs.
        keys.into_iter().for_each(|key| drop(self.named.send(key)));
    }
}

struct Watches {
    client: Client,
    /// The only namespace; `None` for more than one.
    namespace: Option<String>,
    /// Field selector that leaves the excluded namespaces out.
    fields: Option<String>,
    metrics: Arc<Metrics>,
}

impl Watches {
    fn new(client: Client, scope: Scope, metrics: Arc<Metrics>) -> Self {
        let (namespace, excluded) = match scope {
            Scope::One(namespace) => (Some(namespace), Vec::new()),
            Scope::AllBut(excluded) => (None, excluded),
        };
        Self { client, namespace, fields: without(&excluded), metrics }
    }

    /// What is asked for, in the namespaces of the operator only and in small pages.
    fn here(&self, config: watcher::Config) -> watcher::Config {
        watcher::Config { field_selector: self.fields.clone(), ..config.page_size(PAGE) }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// Children of a kind that is known when the program runs.
    fn any(&self, kind: Kind) -> Api<DynamicObject> {
        let resource = kind.api_resource();
        match &self.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    /// What happens to the objects that are some ChatCluster's.
    fn events<K>(&self, api: Api<K>) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send + use<K>
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let config = self.here(watcher::Config::default().labels(label::CLUSTER));
        self.count_errors(watcher(api, config).default_backoff())
    }

    /// Changes of ShardRebalances: what people write, that is, and that one is gone.
    fn rebalances(&self) -> impl Stream<Item = watcher::Result<ShardRebalance>> + Send + use<> {
        let watched = watcher(self.api::<ShardRebalance>(), self.here(watcher::Config::default()));
        let touched = watched.default_backoff().modify(forget_all_but_spec).touched_objects();
        self.count_errors(touched.predicate_filter(predicates::generation, PredicateConfig::default()))
    }

    /// Changes of Secrets, metadata only: whose the object is, is all that is asked here.
    fn secrets(&self) -> impl Stream<Item = watcher::Result<PartialObjectMeta<Secret>>> + Send + use<> {
        let api = self.api::<PartialObjectMeta<Secret>>();
        self.count_errors(watcher(api, self.here(watcher::Config::default())).default_backoff().touched_objects())
    }

    /// Who has to do with an engine of this kind that has changed, from when on the kind is known to be served and asked for. Metadata only: a pass
    /// asks for the engine itself. Once the kind is served under another version, that one is watched.
    fn engines(
        self: &Arc<Self>,
        kind: EngineKind,
        registry: &Arc<Registry>,
        clusters: Store<ChatCluster>,
    ) -> impl Stream<Item = ObjectRef<ChatCluster>> + Send + use<> {
        let (scope, registry) = (Arc::clone(self), Arc::clone(registry));
        let next = Arc::clone(&registry);
        let versions = stream::unfold(None, move |known| {
            let next = next.another(kind, known);
            async move { next.await.map(|version| (version, Some(version))) }
        });
        versions.flat_map(move |version| {
            let clusters = clusters.clone();
            let hosts = scope.engines_as(kind, version).flat_map(move |engine| {
                stream::iter(engine.map(|engine| hosts_of(kind, &engine, &clusters)).unwrap_or_default())
            });
            hosts.take_until(Box::pin(registry.another(kind, Some(version))))
        })
    }

    fn engines_as(
        &self,
        kind: EngineKind,
        version: &str,
    ) -> impl Stream<Item = watcher::Result<PartialObjectMeta<DynamicObject>>> + Send + use<> {
        let resource = kind.api_resource(version);
        let api: Api<PartialObjectMeta<DynamicObject>> = match &self.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let watched = watcher(api, self.here(watcher::Config::default()));
        self.count_errors(watched.default_backoff().touched_objects())
    }

    fn count_errors<T, S>(&self, stream: S) -> impl Stream<Item = watcher::Result<T>> + Send + use<T, S>
    where
        S: Stream<Item = watcher::Result<T>> + Send,
    {
        let metrics = Arc::clone(&self.metrics);
        stream.inspect_err(move |error| {
            metrics.watch_errors.inc();
            tracing::debug!(%error, "a watch ended; beginning it again");
        })
    }
}

/// A field selector for what is in none of these namespaces; every namespaced kind knows this field.
fn without(namespaces: &[String]) -> Option<String> {
    let terms: Vec<String> = namespaces.iter().map(|name| format!("metadata.namespace!={name}")).collect();
    (!terms.is_empty()).then(|| terms.join(","))
}

fn tokio_stream(mut receiver: mpsc::Receiver<ClusterKey>) -> impl Stream<Item = ClusterKey> + Send {
    futures::stream::poll_fn(move |context| receiver.poll_recv(context))
}

fn labelled_cluster<K: Resource>(object: &K) -> Option<ObjectRef<ChatCluster>> {
    let cluster = object.labels().get(label::CLUSTER)?;
    Some(ObjectRef::new(cluster).within(&object.namespace()?))
}

/// Who has to do with a Secret.
struct Users {
    clusters: Store<ChatCluster>,
    engines: Arc<Registry>,
}

impl Users {
    /// The clusters that a Secret belongs to, that refer to it, or one of whose engines does.
    fn of(&self, secret: &PartialObjectMeta<Secret>) -> Vec<ObjectRef<ChatCluster>> {
        if let Some(cluster) = labelled_cluster(secret) {
            return vec![cluster];
        }
        let (name, namespace) = (secret.name_any(), secret.namespace());
        let uses =
            |cluster: &ChatCluster| cluster.namespace() == namespace && referenced_secrets(cluster).contains(&name);
        let named = self.clusters.state_filter(uses);
        let by_engine = self.engines.users_of(namespace.as_deref().unwrap_or_default(), &name).into_iter();
        let by_engine = by_engine.map(|key| ObjectRef::new(&key.name).within(&key.namespace));
        // A cluster that comes twice is looked at once: the controller's queue knows it.
        named.iter().map(|cluster| ObjectRef::from_obj(&**cluster)).chain(by_engine).collect()
    }
}

/// The clusters that refer to an engine.
fn hosts_of(
    kind: EngineKind,
    engine: &PartialObjectMeta<DynamicObject>,
    clusters: &Store<ChatCluster>,
) -> Vec<ObjectRef<ChatCluster>> {
    let (name, namespace) = (engine.name_any(), engine.namespace());
    let refers = |cluster: &ChatCluster| {
        cluster.namespace() == namespace
            && referenced_engines(cluster).iter().any(|id| id.kind == kind && id.name == name)
    };
    clusters.state_filter(refers).iter().map(|cluster| ObjectRef::from_obj(&**cluster)).collect()
}

fn count_clusters(metrics: &Metrics, clusters: &Store<ChatCluster>) {
    let mut counts = [("True", 0), ("False", 0), ("Unknown", 0)];
    for cluster in clusters.state() {
        let conditions = cluster.status.iter().flat_map(|status| &status.conditions);
        let ready = conditions.into_iter().find(|condition| condition.type_ == READY);
        let status = ready.map_or("Unknown", |condition| condition.status.as_str());
        if let Some((_, count)) = counts.iter_mut().find(|(name, _)| *name == status) {
            *count += 1;
        }
    }
    for (status, count) in counts {
        metrics.clusters.with_label_values(&[status]).set(count);
    }
}

/// Failed passes are told of where they fail; what remains are troubles of the controller itself.
fn log<E: std::error::Error + 'static>(result: &Result<impl Sized, controller::Error<E, watcher::Error>>) {
    match result {
        Ok(_) | Err(controller::Error::ReconcilerFailed(..) | controller::Error::ObjectNotFound(_)) => {}
        Err(error) => tracing::warn!(%error, "the controller had trouble"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_asked_of_a_known_chat_cluster_stays() {
        let condition = |kind: &str| json!({ "type": kind, "status": "True", "reason": "R", "message": "long", "lastTransitionTime": "2026-01-01T00:00:00Z" });
        let mut cluster: ChatCluster = serde_json::from_value(json!({
            "apiVersion": "chatcluster.dev/v1alpha1", "kind": "ChatCluster",
            "metadata": { "name": "demo", "namespace": "chat", "generation": 7, "annotations": { "a": "long" }, "managedFields": [{}] },
            "spec": { "broker": { "rabbitmq": { "uriSecretRef": { "name": "mq" } } }, "database": { "shards": [] } },
            "status": { "conditions": [condition("Stalled"), condition("Ready")], "selector": "long" },
        }))
        .unwrap();
        prune(&mut cluster);
        assert_eq!((cluster.metadata.generation, referenced_secrets(&cluster)), (Some(7), vec!["mq".to_owned()]));
        let pruned = serde_json::to_value(&cluster).unwrap();
        assert_eq!(
            (&pruned["metadata"]["annotations"], &pruned["metadata"]["managedFields"]),
            (&json!(null), &json!(null))
        );
        let status = &pruned["status"];
        assert_eq!(
            (&status["selector"], &status["conditions"][0]["type"], &status["conditions"][1]),
            (&json!(null), &json!("Ready"), &json!(null))
        );
    }

    #[test]
    fn excluded_namespaces_are_left_out_by_the_api_server() {
        assert_eq!(without(&[]), None);
        let both = without(&["a".to_owned(), "b".to_owned()]);
        assert_eq!(both.as_deref(), Some("metadata.namespace!=a,metadata.namespace!=b"));
    }
}
