//! Which keys this gateway wants bound, counted by reference, and which the broker has bound. No I/O: a worker takes what is due, tells the
//! broker, and reports back; so every order of `bind`, `unbind` and reconnects comes down to one table.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::Key;

/// How long a binding outlives its last reference: people reload pages and come back within seconds, and a binding made anew costs
/// the broker more than one that idles.
pub(super) const LINGER: Duration = Duration::from_secs(30);

/// One thing for the broker to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Bind the key to this gateway's queue.
    Bind(Key),
    /// Remove the binding.
    Unbind(Key),
}

#[derive(Default)]
struct Entry {
    references: u32,
    /// When the last reference went, while there is none.
    idle_since: Option<Instant>,
    /// Whether it is among those that linger.
    lingers: bool,
    /// Whether the broker was told to bind it on the present connection.
    told: bool,
    /// Whether the broker has confirmed that.
    stands: bool,
    /// Callers that wait until it stands.
    waiting: Vec<oneshot::Sender<()>>,
}

#[derive(Default)]
struct Table {
    entries: HashMap<Key, Entry>,
    /// Keys whose entry may differ from what the broker has.
    due: Vec<Key>,
    /// Keys that lost their last reference, and when: each once, and nearly in that order, as all linger equally long. Some may have found
    /// another reference since.
    lingering: VecDeque<(Instant, Key)>,
    /// Whether a connection stands with all bindings made.
    online: bool,
}

/// The table; see the module's documentation.
pub(super) struct Bindings {
    linger: Duration,
    table: Mutex<Table>,
    work: Notify,
}

impl Bindings {
    /// An empty table.
    pub(super) fn new(linger: Duration) -> Self {
        Self { linger, table: Mutex::default(), work: Notify::new() }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a reference. The receiver, if there is one, answers when the binding stands; without one there is nothing to wait for:
    /// it stands already, or no connection does and the wish is kept.
    pub(super) fn add(&self, key: Key) -> Option<oneshot::Receiver<()>> {
        let mut table = self.table();
        let online = table.online;
        let entry = table.entries.entry(key).or_default();
        entry.references += 1;
        entry.idle_since = None;
        if entry.stands {
            return None;
        }
        let answer = online.then(|| {
            let (tell, told) = oneshot::channel();
            entry.waiting.push(tell);
            told
        });
        if !entry.told {
            table.due.push(key);
        }
        drop(table);
        self.work.notify_one();
        answer
    }

    /// Adds a reference and returns when the binding stands, or when no connection does.
    pub(super) async fn bound(&self, key: Key) {
        if let Some(stands) = self.add(key) {
            // An error means that the table was dropped, and with it everyone who could care. Unbounded waiting is not possible either:
            // a session answers its batches within its own time limit or ends, and ending answers too.
            let _ = stands.await;
        }
    }

    /// Drops a reference; the binding lingers.
    pub(super) fn remove(&self, key: Key) {
        let mut table = self.table();
        let Some(entry) = table.entries.get_mut(&key) else { return };
        entry.references = entry.references.saturating_sub(1);
        if entry.references == 0 {
            let now = Instant::now();
            entry.idle_since = Some(now);
            if !std::mem::replace(&mut entry.lingers, true) {
                table.lingering.push_back((now, key));
            }
        }
    }

    /// Returns when there may be something to do.
    pub(super) async fn wait(&self) {
        self.work.notified().await;
    }

    /// Makes the bindings due that have lingered long enough. Called every now and then; nothing depends on when.
    pub(super) fn sweep(&self) {
        let mut table = self.table();
        let before = table.due.len();
        let table = &mut *table;
        while let Some((_, key)) = table.lingering.pop_front_if(|(since, _)| since.elapsed() >= self.linger) {
            let Some(entry) = table.entries.get_mut(&key) else { continue };
            entry.lingers = false;
            if entry.is_over(self.linger) {
                table.due.push(key);
            } else if let Some(since) = entry.idle_since {
                // It had another reference in between.
                entry.lingers = true;
                table.lingering.push_back((since, key));
            }
        }
        if table.due.len() > before {
            self.work.notify_one();
        }
    }

    /// Takes at most `limit` things for the broker to do. What is taken counts as told: a connection that fails on it is given up
    /// as a whole ([`Bindings::disconnected`]).
    pub(super) fn take(&self, limit: usize) -> Vec<Change> {
        let mut table = self.table();
        let mut changes = Vec::new();
        while changes.len() < limit {
            let Some(key) = table.due.pop() else { break };
            let Some(entry) = table.entries.get_mut(&key) else { continue };
            if entry.is_over(self.linger) {
                if entry.told {
                    changes.push(Change::Unbind(key));
                }
                table.entries.remove(&key);
            } else if !entry.told {
                entry.told = true;
                changes.push(Change::Bind(key));
            }
        }
        changes
    }

    /// Notes that these changes were confirmed, and answers those who waited.
    pub(super) fn confirm(&self, changes: &[Change]) {
        let mut table = self.table();
        for change in changes {
            if let Change::Bind(key) = change
                && let Some(entry) = table.entries.get_mut(key)
            {
                entry.stands = true;
                entry.answer();
            }
        }
    }

    /// Takes these changes back: the server that they belong to is away. Nobody waits for them, and they are not due until [`Bindings::again`]
    /// names their keys.
    pub(super) fn postpone(&self, changes: &[Change]) {
        let mut table = self.table();
        for change in changes {
            if let Change::Bind(key) = change
                && let Some(entry) = table.entries.get_mut(key)
            {
                entry.forget();
            }
        }
    }

    /// Makes bindings due (again) that a server has lost, while the connection stands; whoever waits for one goes on waiting.
    pub(super) fn again(&self, is_lost: impl Fn(Key) -> bool) {
        let mut table = self.table();
        let mut due = Vec::new();
        table.entries.retain(|key, entry| {
            if !is_lost(*key) {
                return true;
            }
            (entry.told, entry.stands) = (false, false);
            let wanted = entry.references > 0;
            if wanted {
                due.push(*key);
            } else {
                entry.answer();
            }
            wanted
        });
        table.due.extend(due);
    }

    /// Marks the connection as standing, unless a binding is still due; then there is more to take first.
    pub(super) fn try_online(&self) -> bool {
        let mut table = self.table();
        table.online = table.due.is_empty();
        table.online
    }

    /// Forgets what the broker had: everything wanted is due again, nobody waits any longer.
    pub(super) fn disconnected(&self) {
        let mut table = self.table();
        table.online = false;
        let mut due = Vec::with_capacity(table.entries.len());
        table.entries.retain(|key, entry| {
            entry.forget();
            entry.lingers = false;
            let wanted = entry.references > 0;
            if wanted {
                due.push(*key);
            }
            wanted
        });
        table.due = due;
        table.lingering.clear();
    }

    /// Whether the broker has the key bound.
    pub(super) fn stands(&self, key: Key) -> bool {
        self.table().entries.get(&key).is_some_and(|entry| entry.stands)
    }
}

impl Entry {
    fn answer(&mut self) {
        for tell in self.waiting.drain(..) {
            // A caller that has gone wants no answer.
            let _ = tell.send(());
        }
    }

    /// The broker does not have it, and nobody waits until it has.
    fn forget(&mut self) {
        (self.told, self.stands) = (false, false);
        self.answer();
    }

    fn is_over(&self, linger: Duration) -> bool {
        self.idle_since.is_some_and(|since| since.elapsed() >= linger)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::RoomId;

    fn key(n: u128) -> Key {
        Key::Room(RoomId(Uuid::from_u128(n)))
    }

    fn online() -> Bindings {
        let bindings = Bindings::new(LINGER);
        assert!(bindings.try_online());
        bindings
    }

    #[test]
    fn many_references_are_one_binding_and_all_wait_for_it() {
        let bindings = online();
        let mut first = bindings.add(key(1)).unwrap();
        assert_eq!(bindings.take(10), vec![Change::Bind(key(1))]);
        let mut second = bindings.add(key(1)).expect("told, but it does not stand yet");
        assert!(bindings.take(10).is_empty());
        assert!(first.try_recv().is_err());
        bindings.confirm(&[Change::Bind(key(1))]);
        assert!(first.try_recv().is_ok() && second.try_recv().is_ok());
        assert!(bindings.add(key(1)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_binding_lingers_and_a_return_keeps_it() {
        let bindings = online();
        for n in [1, 2] {
            drop(bindings.add(key(n)));
        }
        bindings.take(10);
        bindings.remove(key(1));
        bindings.remove(key(2));
        bindings.sweep();
        assert!(bindings.take(10).is_empty(), "too early");
        drop(bindings.add(key(2)));
        tokio::time::advance(LINGER).await;
        bindings.sweep();
        assert_eq!(bindings.take(10), vec![Change::Unbind(key(1))]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_came_back_and_went_lingers_from_then_on_and_is_noted_once() {
        let bindings = online();
        drop(bindings.add(key(1)));
        bindings.take(10);
        for _ in 0..3 {
            bindings.remove(key(1));
            tokio::time::advance(LINGER / 2).await;
            drop(bindings.add(key(1)));
        }
        bindings.remove(key(1));
        assert_eq!(bindings.table().lingering.len(), 1);
        bindings.sweep();
        assert!(bindings.take(10).is_empty(), "it lingers anew");
        tokio::time::advance(LINGER).await;
        bindings.sweep();
        assert_eq!(bindings.take(10), vec![Change::Unbind(key(1))]);
        assert!(bindings.table().lingering.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_comes_back_between_sweep_and_take_stays() {
        let bindings = online();
        drop(bindings.add(key(1)));
        bindings.take(10);
        bindings.remove(key(1));
        tokio::time::advance(LINGER).await;
        bindings.sweep();
        drop(bindings.add(key(1)));
        assert!(bindings.take(10).is_empty());
    }

    #[test]
    fn what_one_of_several_servers_lost_is_bound_again_and_nothing_else() {
        let bindings = online();
        for n in [1, 2, 3] {
            drop(bindings.add(key(n)));
        }
        let all = bindings.take(10);
        bindings.confirm(&all);
        bindings.remove(key(3));
        bindings.again(|lost| lost != key(1));
        assert!(bindings.stands(key(1)) && !bindings.stands(key(2)));
        assert_eq!(bindings.take(10), vec![Change::Bind(key(2))]);
    }

    #[test]
    fn nobody_waits_for_a_server_that_is_away_and_its_bindings_are_made_when_it_is_back() {
        let bindings = online();
        let mut waiting = bindings.add(key(1)).unwrap();
        let changes = bindings.take(10);
        bindings.postpone(&changes);
        assert!(waiting.try_recv().is_ok());
        assert!(bindings.take(10).is_empty(), "not before it is back");
        bindings.again(|_| true);
        assert_eq!(bindings.take(10), changes);
    }

    #[test]
    fn a_new_connection_binds_all_that_is_wanted_before_it_counts_as_standing() {
        let bindings = online();
        drop(bindings.add(key(1)));
        let mut waiting = bindings.add(key(2)).unwrap();
        bindings.take(10);
        bindings.remove(key(1));
        bindings.disconnected();
        assert!(waiting.try_recv().is_ok(), "nobody waits for a broker that is away");
        assert!(bindings.add(key(3)).is_none(), "the wish is kept");
        assert!(!bindings.try_online());
        let mut changes = bindings.take(10);
        changes.sort_by_key(|change| format!("{change:?}"));
        assert_eq!(changes, vec![Change::Bind(key(2)), Change::Bind(key(3))]);
        assert!(bindings.try_online());
    }
}
