//! The objects of one kind as a watch brought them. Pure.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use super::Packed;
use crate::names::ClusterKey;

/// How long a watch that failed is not relied on. It begins anew within half that time, and says nothing when it does.
const DISTRUST: Duration = Duration::from_secs(60);

/// Where an object is and whose it is.
#[derive(Clone, Debug)]
pub(super) struct Tag {
    pub(super) namespace: String,
    pub(super) name: String,
    /// Name of the ChatCluster.
    pub(super) cluster: String,
    /// The API server's version of the object. Kubernetes 1.35 promises what has always held: the larger number is the later one.
    pub(super) version: u64,
}

impl Tag {
    fn key(&self) -> ClusterKey {
        ClusterKey::new(&self.namespace, &self.cluster)
    }
}

/// What a watch or a write says.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// The watch begins: it brings all there is.
    Begin,
    /// The object is there, with this version.
    Put(Tag, Packed),
    /// The object is gone.
    Remove(Tag),
    /// The watch has brought all there was.
    Finish,
    /// Something came that cannot be put in order: the watch is of no use.
    Spoil,
}

#[derive(Debug)]
struct Entry {
    cluster: String,
    version: u64,
    /// The last beginning of the watch that has found it.
    round: u64,
    value: Packed,
}

/// All objects of one kind.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// By namespace and name.
    entries: HashMap<String, BTreeMap<String, Entry>>,
    round: u64,
    complete: bool,
    failed: Option<Instant>,
    /// Something came that cannot be put in order.
    spoiled: bool,
}

impl Shelf {
    /// Takes it in, and tells whose ChatClusters have news.
    pub(super) fn change(&mut self, change: Change) -> HashSet<ClusterKey> {
        match change {
            Change::Begin => self.round += 1,
            Change::Put(tag, value) => return self.put(&tag, value),
            Change::Remove(tag) => return self.remove(&tag),
            Change::Finish => return self.finish(),
            Change::Spoil => {
                tracing::warn!("an object has no version that is a number; reading that kind anew in every pass");
                self.spoiled = true;
            }
        }
        HashSet::new()
    }

    /// Tells of whom something is gone.
    fn finish(&mut self) -> HashSet<ClusterKey> {
        let mut gone = HashSet::new();
        let (round, was_complete) = (self.round, self.complete);
        for (namespace, entries) in &mut self.entries {
            entries.retain(|_, entry| {
                let stays = entry.round == round;
                if !stays && was_complete {
                    gone.insert(ClusterKey::new(namespace, &entry.cluster));
                }
                stays
            });
        }
        self.entries.retain(|_, entries| !entries.is_empty());
        (self.complete, self.failed) = (true, None);
        gone
    }

    /// The watch failed, and will be begun again.
    pub(super) fn fail(&mut self, now: Instant) {
        self.failed = Some(now);
    }

    /// Keeps the object, unless a later version of it is there. Tells who has news; while the first objects come, nobody has.
    fn put(&mut self, tag: &Tag, value: Packed) -> HashSet<ClusterKey> {
        let (round, complete) = (self.round, self.complete);
        let entry = Entry { cluster: tag.cluster.clone(), version: tag.version, round, value };
        let entries = self.entries.entry(tag.namespace.clone()).or_default();
        let mut news = HashSet::new();
        match entries.get_mut(&tag.name) {
            Some(before) if before.version >= tag.version => before.round = round,
            Some(before) => {
                if before.value != entry.value || before.cluster != entry.cluster {
                    news.extend([ClusterKey::new(&tag.namespace, &before.cluster), tag.key()]);
                }
                *before = entry;
            }
            None => {
                entries.insert(tag.name.clone(), entry);
                news.insert(tag.key());
            }
        }
        if !complete {
            news.clear();
        }
        news
    }

    /// Forgets the object, unless a later version of it is there: one that was made anew under the same name.
    fn remove(&mut self, tag: &Tag) -> HashSet<ClusterKey> {
        let Some(entries) = self.entries.get_mut(&tag.namespace) else { return HashSet::new() };
        let is_there = entries.get(&tag.name).is_some_and(|entry| entry.version <= tag.version);
        let removed = is_there.then(|| entries.remove(&tag.name)).flatten();
        if entries.is_empty() {
            self.entries.remove(&tag.namespace);
        }
        removed.into_iter().map(|entry| ClusterKey::new(&tag.namespace, &entry.cluster)).collect()
    }

    /// Forgets the object, whatever its version.
    pub(super) fn forget(&mut self, namespace: &str, name: &str) {
        if let Some(entries) = self.entries.get_mut(namespace) {
            entries.remove(name);
        }
    }

    /// Whether the watch has ever brought all there is.
    pub(super) const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether the watch has brought all there is or has failed: there is nothing to wait for.
    pub(super) fn is_decided(&self) -> bool {
        self.complete || self.failed.is_some() || self.spoiled
    }

    /// Objects of a ChatCluster, by name; `None` when the watch cannot be relied on.
    pub(super) fn of(&self, key: &ClusterKey, now: Instant) -> Option<Vec<Packed>> {
        let is_distrusted = self.failed.is_some_and(|failed| now.duration_since(failed) < DISTRUST);
        if !self.complete || self.spoiled || is_distrusted {
            return None;
        }
        let entries = self.entries.get(&key.namespace).into_iter().flat_map(BTreeMap::values);
        Some(entries.filter(|entry| entry.cluster == key.name).map(|entry| entry.value.clone()).collect())
    }

    /// All objects, of whatever ChatCluster.
    pub(super) fn all(&self) -> impl Iterator<Item = &Packed> {
        self.entries.values().flat_map(BTreeMap::values).map(|entry| &entry.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(name: &str, cluster: &str, version: u64) -> Tag {
        Tag { namespace: "ns".into(), name: name.into(), cluster: cluster.into(), version }
    }

    fn put(name: &str, cluster: &str, version: u64, value: &str) -> Change {
        Change::Put(tag(name, cluster, version), Packed::of(&value).unwrap())
    }

    fn key(cluster: &str) -> ClusterKey {
        ClusterKey::new("ns", cluster)
    }

    fn set(clusters: &[&str]) -> HashSet<ClusterKey> {
        clusters.iter().map(|cluster| key(cluster)).collect()
    }

    fn filled() -> Shelf {
        let mut shelf = Shelf::default();
        shelf.change(Change::Begin);
        assert_eq!(shelf.change(put("a", "demo", 5, "old")), set(&[]), "the first objects are no news");
        assert_eq!(shelf.of(&key("demo"), Instant::now()), None, "there may be more");
        assert_eq!(shelf.change(Change::Finish), set(&[]));
        shelf
    }

    fn read(shelf: &Shelf) -> Vec<String> {
        let values = shelf.of(&key("demo"), Instant::now()).unwrap();
        values.iter().map(|value| value.read().unwrap()).collect()
    }

    #[test]
    fn what_was_written_is_not_undone_by_what_was_seen_before_it() {
        let mut shelf = filled();
        assert_eq!(shelf.change(put("a", "demo", 8, "written")), set(&["demo"]));
        assert_eq!(shelf.change(put("a", "demo", 6, "seen late")), set(&[]));
        assert_eq!(shelf.change(put("a", "demo", 8, "written")), set(&[]), "its own echo");
        let before = Change::Remove(tag("a", "demo", 7));
        assert_eq!(shelf.change(before), set(&[]), "one of that name that was there before");
        assert_eq!(read(&shelf), ["written"]);
        let later = put("a", "demo", 9, "written");
        assert_eq!(shelf.change(later), set(&[]), "another version, nothing that matters");
        assert_eq!(shelf.change(Change::Remove(tag("a", "demo", 10))), set(&["demo"]));
        assert!(read(&shelf).is_empty());
    }

    #[test]
    fn what_was_deleted_is_gone_at_once_and_its_echo_is_no_news() {
        let mut shelf = filled();
        shelf.forget("ns", "a");
        assert!(read(&shelf).is_empty());
        assert_eq!(shelf.change(Change::Remove(tag("a", "demo", 6))), set(&[]));
        assert_eq!(shelf.change(put("a", "demo", 7, "anew")), set(&["demo"]));
    }

    #[test]
    fn who_loses_and_who_gets_an_object_hear_of_it() {
        let mut shelf = filled();
        assert_eq!(shelf.change(put("a", "other", 6, "old")), set(&["demo", "other"]));
        assert!(read(&shelf).is_empty());
        assert_eq!(shelf.of(&ClusterKey::new("elsewhere", "other"), Instant::now()), Some(Vec::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_failed_is_not_relied_on_for_a_minute() {
        let mut shelf = filled();
        shelf.fail(Instant::now());
        assert_eq!(shelf.of(&key("demo"), Instant::now()), None);
        tokio::time::advance(DISTRUST).await;
        assert_eq!(read(&shelf).len(), 1, "it went on without a word");
        shelf.fail(Instant::now());
        shelf.change(Change::Begin);
        shelf.change(put("b", "demo", 7, "new"));
        assert_eq!(shelf.change(Change::Finish), set(&["demo"]), "of whom something is gone");
        assert_eq!(read(&shelf), ["new"], "begun anew: all there is");
    }

    #[test]
    fn a_watch_that_never_began_is_decided_and_not_relied_on() {
        let mut shelf = Shelf::default();
        assert!(!shelf.is_decided());
        shelf.fail(Instant::now());
        assert!(shelf.is_decided());
        assert_eq!(shelf.of(&key("demo"), Instant::now()), None);
    }

    #[test]
    fn what_cannot_be_put_in_order_spoils_all() {
        let mut shelf = filled();
        for change in [Change::Spoil, Change::Begin, Change::Finish] {
            shelf.change(change);
        }
        assert_eq!(shelf.of(&key("demo"), Instant::now()), None);
    }
}
