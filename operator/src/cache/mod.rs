//! What the watches have brought of the ChatClusters' children and pods, so that a pass need not ask the API server for all of them.
//!
//! The operator's own writes are kept here at once, as the API server answered them: a pass never sees less than what the one before it wrote. Where
//! a watch cannot be relied on, a pass asks for itself. Secrets are not kept: a password must not be made anew because a watch is late.

mod packed;
mod pods;
mod shelf;

use std::{
    collections::{BTreeMap, HashSet},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{Stream, StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Resource, ResourceExt as _,
    api::DynamicObject,
    runtime::watcher::{self, Event},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{sync::Notify, time::Instant};

use self::{
    packed::Packed,
    shelf::{Change, Shelf, Tag},
};
use crate::{
    build::Kind,
    names::{ClusterKey, label},
};

/// How long a pass waits for watches that have just begun.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a kind that is not served is taken not to be.
const ABSENT: Duration = Duration::from_secs(60);

/// Children and pods of all ChatClusters.
#[derive(Debug, Default)]
pub struct Cache {
    // A std mutex: held for map operations, never across an await.
    held: Mutex<Held>,
    progress: Notify,
}

#[derive(Debug, Default)]
struct Held {
    shelves: BTreeMap<Watched, Shelf>,
    /// When the API server said last that it does not serve a kind.
    absent: BTreeMap<Kind, Instant>,
}

/// What one watch brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Watched {
    Pods,
    Children(Kind),
}

impl Cache {
    /// Whether a kind of child is watched whole. HTTPRoutes are not: a watch of a kind that is not served fails for ever.
    #[must_use]
    pub const fn keeps(kind: Kind) -> bool {
        !matches!(kind, Kind::Secret | Kind::HttpRoute)
    }

    /// Keeps what a watch of a kind brings, and tells whose ChatClusters have news.
    pub fn follow_children<S>(self: &Arc<Self>, kind: Kind, events: S) -> impl Stream<Item = ClusterKey> + Send + use<S>
    where
        S: Stream<Item = watcher::Result<Event<DynamicObject>>> + Send,
    {
        self.follow(Watched::Children(kind), events, prune_child)
    }

    /// Keeps what a watch of pods brings, and tells whose ChatClusters have news.
    pub fn follow_pods<S>(self: &Arc<Self>, events: S) -> impl Stream<Item = ClusterKey> + Send + use<S>
    where
        S: Stream<Item = watcher::Result<Event<Pod>>> + Send,
    {
        self.follow(Watched::Pods, events, pods::prune)
    }

    fn follow<S, K>(
        self: &Arc<Self>,
        what: Watched,
        events: S,
        prune: fn(K) -> K,
    ) -> impl Stream<Item = ClusterKey> + Send + use<S, K>
    where
        S: Stream<Item = watcher::Result<Event<K>>> + Send,
        K: Resource + Serialize + Send,
    {
        self.held().shelves.insert(what, Shelf::default());
        let cache = Arc::clone(self);
        let news = events.map(move |event| {
            // Read and written outside of the lock.
            let event = event.map(|event| match event {
                Event::Init => Change::Begin,
                Event::InitDone => Change::Finish,
                Event::Apply(object) | Event::InitApply(object) => {
                    kept(object, prune).map_or(Change::Spoil, |(tag, packed)| Change::Put(tag, packed))
                }
                Event::Delete(object) => tag(&object).map_or(Change::Spoil, Change::Remove),
            });
            let mut held = cache.held();
            let shelf = held.shelves.entry(what).or_default();
            let news = match event {
                Ok(change) => shelf.change(change),
                Err(_) => {
                    shelf.fail(Instant::now());
                    HashSet::new()
                }
            };
            drop(held);
            cache.progress.notify_waiters();
            stream::iter(news)
        });
        news.flatten()
    }

    /// Waits until the watches have brought what there is, or have failed, or take too long.
    pub async fn filled(&self) {
        // Whoever has waited in vain asks for itself.
        let _ = tokio::time::timeout(PATIENCE, self.until(|held| held.shelves.values().all(Shelf::is_decided))).await;
    }

    /// Waits, for ever if need be, until the watch of pods has brought all there are.
    pub async fn filled_with_pods(&self) {
        self.until(|held| held.shelves.get(&Watched::Pods).is_some_and(Shelf::is_complete)).await;
    }

    async fn until(&self, is_so: impl Fn(&Held) -> bool) {
        loop {
            let mut progress = pin!(self.progress.notified());
            progress.as_mut().enable();
            if is_so(&self.held()) {
                return;
            }
            progress.await;
        }
    }

    /// Children of a kind, of one ChatCluster; `None` when the watch of that kind cannot be relied on.
    #[must_use]
    pub fn children(&self, kind: Kind, key: &ClusterKey) -> Option<Vec<DynamicObject>> {
        self.read(Watched::Children(kind), key)
    }

    /// Pods of one ChatCluster, with what the operator reads of them; `None` when their watch cannot be relied on.
    #[must_use]
    pub fn pods(&self, key: &ClusterKey) -> Option<Vec<Pod>> {
        self.read(Watched::Pods, key)
    }

    fn read<K: DeserializeOwned>(&self, what: Watched, key: &ClusterKey) -> Option<Vec<K>> {
        let objects = self.held().shelves.get(&what)?.of(key, Instant::now())?;
        objects.iter().map(Packed::read).collect()
    }

    /// Pods of all ChatClusters, as far as they are known, read one by one.
    pub fn all_pods(&self) -> impl Iterator<Item = Pod> + use<> {
        let held = self.held();
        let all: Vec<Packed> = held.shelves.get(&Watched::Pods).into_iter().flat_map(Shelf::all).cloned().collect();
        all.into_iter().filter_map(|pod| pod.read())
    }

    /// Notes whether the API server serves a kind.
    pub fn note_served(&self, kind: Kind, served: bool) {
        let absent = &mut self.held().absent;
        if served {
            absent.remove(&kind);
        } else {
            absent.insert(kind, Instant::now());
        }
    }

    /// Whether the API server said a moment ago that it does not serve a kind.
    #[must_use]
    pub fn is_absent(&self, kind: Kind) -> bool {
        self.held().absent.get(&kind).is_some_and(|said| said.elapsed() < ABSENT)
    }

    /// Keeps a child as the API server answered a write of it.
    pub fn note_child(&self, kind: Kind, object: DynamicObject) {
        self.note(Watched::Children(kind), kept(object, prune_child));
    }

    /// Keeps a pod as the API server answered a write of it.
    pub fn note_pod(&self, pod: Pod) {
        self.note(Watched::Pods, kept(pod, pods::prune));
    }

    fn note(&self, what: Watched, kept: Option<(Tag, Packed)>) {
        if let (Some(shelf), Some((tag, packed))) = (self.held().shelves.get_mut(&what), kept) {
            shelf.change(Change::Put(tag, packed));
        }
    }

    /// Forgets a child that the API server has deleted. Its watch will say so, too.
    pub fn forget_child(&self, kind: Kind, namespace: &str, name: &str) {
        if let Some(shelf) = self.held().shelves.get_mut(&Watched::Children(kind)) {
            shelf.forget(namespace, name);
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kept<K: Resource + Serialize>(object: K, prune: fn(K) -> K) -> Option<(Tag, Packed)> {
    let tag = tag(&object)?;
    Some((tag, Packed::of(&prune(object))?))
}

fn tag<K: Resource>(object: &K) -> Option<Tag> {
    Some(Tag {
        namespace: object.namespace()?,
        name: object.name_any(),
        // Only what has the label is watched; what has just lost it comes as it was.
        cluster: object.labels().get(label::CLUSTER).cloned().unwrap_or_default(),
        version: object.resource_version()?.parse().ok()?,
    })
}

/// Without what says nothing about the object itself, so that equal is what is equal.
fn prune_child(mut object: DynamicObject) -> DynamicObject {
    object.metadata.managed_fields = None;
    object.metadata.resource_version = None;
    object
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use serde_json::json;

    use super::*;

    fn config_map(version: &str, data: &str) -> DynamicObject {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": "c", "namespace": "ns", "resourceVersion": version, "labels": { label::CLUSTER: "demo" },
                "managedFields": [{ "manager": "x" }],
            },
            "data": { "a": data },
        });
        serde_json::from_value(object).unwrap()
    }

    fn watch(
        events: Vec<watcher::Result<Event<DynamicObject>>>,
    ) -> impl Stream<Item = watcher::Result<Event<DynamicObject>>> {
        stream::iter(events)
    }

    #[tokio::test(start_paused = true)]
    async fn a_pass_waits_for_watches_that_begin_and_reads_what_they_bring() {
        let (cache, key) = (Arc::new(Cache::default()), ClusterKey::new("ns", "demo"));
        cache.filled().await;
        assert!(cache.children(Kind::ConfigMap, &key).is_none(), "nobody watches, and nobody waits");
        let events =
            [Event::Init, Event::InitApply(config_map("3", "x")), Event::InitDone, Event::Apply(config_map("4", "y"))];
        let mut news = pin!(cache.follow_children(Kind::ConfigMap, watch(events.map(Ok).into())));
        let waiting = tokio::spawn({
            let cache = Arc::clone(&cache);
            async move { cache.filled().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        assert_eq!(news.next().await, Some(key.clone()), "of the change; what there was is no news");
        waiting.await.unwrap();
        let read = cache.children(Kind::ConfigMap, &key).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!((&read[0].data["data"]["a"], &read[0].metadata.managed_fields), (&json!("y"), &None));
        assert!(cache.children(Kind::Service, &key).is_none());
    }

    #[tokio::test]
    async fn a_write_is_read_at_once_and_its_echo_is_no_news() {
        let (cache, key) = (Arc::new(Cache::default()), ClusterKey::new("ns", "demo"));
        let (happens, events) = futures::channel::mpsc::unbounded();
        let mut news = pin!(cache.follow_children(Kind::ConfigMap, events.map(Ok)));
        for event in [Event::Init, Event::InitDone] {
            happens.unbounded_send(event).unwrap();
        }
        assert_eq!(news.next().now_or_never(), None);
        cache.note_child(Kind::ConfigMap, config_map("5", "written"));
        for event in [Event::Apply(config_map("4", "x")), Event::Apply(config_map("5", "written"))] {
            happens.unbounded_send(event).unwrap();
        }
        assert_eq!(news.next().now_or_never(), None);
        let read = cache.children(Kind::ConfigMap, &key).unwrap();
        assert_eq!(read[0].data["data"]["a"], "written");
    }

    #[tokio::test]
    async fn a_kind_that_may_not_be_watched_is_left_to_the_passes() {
        let cache = Arc::new(Cache::default());
        let refused = || Err(watcher::Error::NoResourceVersion);
        let news = cache.follow_children(Kind::ConfigMap, watch(vec![refused()]));
        assert_eq!(news.collect::<Vec<_>>().await, Vec::new());
        cache.filled().await;
        assert!(cache.children(Kind::ConfigMap, &ClusterKey::new("ns", "demo")).is_none());
    }
}
