//! One shard as this gateway sees it: its pool, and whether it answers.

use std::{
    path::PathBuf,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chat_gateway_config::stats::{Component, ShardStats};
use sqlx::PgPool;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{
    connect,
    failure::{self, Cause},
    slots::Sizes,
};

/// A statement that was answered this lately tells of a shard that has much to do, and not of one that is away.
const LATELY: Duration = Duration::from_secs(1);

/// One shard. Its prober (`probe.rs`) writes the status and replaces the pool; requests only read them.
pub(super) struct Shard {
    /// Index in the list of shards.
    pub(super) index: usize,
    /// Name of its database's identity.
    pub(super) name: String,
    /// File with the URI.
    pub(super) uri_file: PathBuf,
    pool: RwLock<Option<PgPool>>,
    status: watch::Sender<Status>,
    wake: Notify,
    suspect: AtomicBool,
    /// When a statement was answered last.
    answered: RwLock<Option<Instant>>,
    /// Ids of the URIs in its file that are known to be good, in their order; the first is the one in use.
    ways: RwLock<Vec<String>>,
    /// What its slots take.
    pub(super) sizes: Sizes,
}

/// Whether a shard's connections may be dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Nothing speaks for it.
    None,
    /// A statement failed as it does where there is too much to do, or when nobody answers any more. While others are answered it is the former:
    /// making all connections anew is the last thing that such a shard needs.
    Some,
    /// A statement failed as it does on a dead connection, or at a server that is no primary any more.
    Strong,
}

impl Doubt {
    pub(super) fn of(error: &sqlx::Error) -> Self {
        if failure::is_overload(error) { Self::Some } else { Self::Strong }
    }
}

/// How a shard stands.
#[derive(Clone, Debug)]
pub(super) struct Status {
    /// Counts finished probes.
    pub(super) probes: u64,
    /// Why it is away; `None` when the last probe was answered.
    pub(super) away: Option<Cause>,
    /// Since when `away` has been some or none.
    pub(super) since: Instant,
    /// Whether it ever told which slots it owns.
    pub(super) loaded: bool,
    /// Slots it owned when it last answered.
    pub(super) slots: u32,
    /// Whether it has left the list of shards, for ever.
    pub(super) retired: bool,
}

impl Shard {
    pub(super) fn new(index: usize, name: String, uri_file: PathBuf) -> Self {
        let status = Status {
            probes: 0,
            away: Some(Cause::new("Starting", "not asked yet")),
            since: Instant::now(),
            loaded: false,
            slots: 0,
            retired: false,
        };
        Self {
            index,
            name,
            uri_file,
            pool: RwLock::new(None),
            status: watch::Sender::new(status),
            wake: Notify::new(),
            suspect: AtomicBool::new(false),
            answered: RwLock::new(None),
            ways: RwLock::default(),
            sizes: Sizes::default(),
        }
    }

    /// The pool, once the shard has been reached.
    pub(super) fn pool(&self) -> Option<PgPool> {
        self.pool.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a fresh pool in, since the connections of the old one are dead or signed in with an old password.
    pub(super) fn replace_pool(&self, options: sqlx::postgres::PgConnectOptions) {
        let old = self.pool.write().unwrap_or_else(PoisonError::into_inner).replace(connect::pool(options));
        if let Some(old) = old {
            // Waits for the statements that are still running on it.
            tokio::spawn(async move { old.close().await });
        }
    }

    /// Takes it out of service: who waits for it is told, and its pool closes once the statements on it have ended. Its prober has ended before.
    pub(super) fn retire(&self) {
        self.status.send_modify(|status| {
            status.retired = true;
            status.away = Some(Cause::new("Retired", "it has left the list of shards"));
        });
        if let Some(pool) = self.pool.write().unwrap_or_else(PoisonError::into_inner).take() {
            tokio::spawn(async move { pool.close().await });
        }
    }

    pub(super) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Writes the outcome of a probe: the number of slots, or why it failed.
    pub(super) fn probed(&self, outcome: Result<u32, Cause>) {
        self.status.send_modify(|status| {
            status.probes += 1;
            if status.retired {
                return;
            }
            let was_away = status.away.is_some();
            match outcome {
                Ok(slots) => {
                    if was_away {
                        tracing::info!(shard = %self.name, slots, "shard answers");
                    }
                    (status.slots, status.loaded, status.away) = (slots, true, None);
                }
                Err(cause) => {
                    if !was_away || status.probes == 1 {
                        tracing::warn!(shard = %self.name, reason = cause.reason, cause = %cause.message, "shard is away");
                    }
                    status.away = Some(cause);
                }
            }
            if was_away != status.away.is_some() {
                status.since = Instant::now();
            }
        });
    }

    /// Notes a probe that says nothing: the shard stands as it stood.
    pub(super) fn probed_in_vain(&self) {
        self.status.send_modify(|status| status.probes += 1);
    }

    /// Asks the prober to look now, and not to trust its connection where there is doubt about those of requests.
    pub(super) fn look(&self, doubt: Doubt) {
        if doubt == Doubt::Strong || doubt == Doubt::Some && !self.answers() {
            self.suspect.store(true, Ordering::SeqCst);
        }
        self.wake.notify_one();
    }

    /// Waits for [`Self::look`].
    pub(super) async fn asked_to_look(&self) {
        self.wake.notified().await;
    }

    /// Whether a statement failed on its connection since the last call.
    pub(super) fn take_suspect(&self) -> bool {
        self.suspect.swap(false, Ordering::SeqCst)
    }

    /// Notes that a statement was answered, whatever the answer.
    pub(super) fn note_answer(&self) {
        *self.answered.write().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a statement was answered lately: the shard may be slow, and is not away.
    pub(super) fn answers(&self) -> bool {
        self.answered.read().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at.elapsed() < LATELY)
    }

    /// Notes which URIs are good.
    pub(super) fn know_ways(&self, ids: Vec<String>) {
        *self.ways.write().unwrap_or_else(PoisonError::into_inner) = ids;
    }

    /// For `/stats` and conditions.
    pub(super) fn stats(&self) -> ShardStats {
        let status = self.status.borrow();
        let (reason, message) = match &status.away {
            None => ("Connected", format!("owns {} slots", status.slots)),
            Some(cause) => (cause.reason, cause.message.clone()),
        };
        let component = Component { available: status.away.is_none(), reason: reason.to_owned(), message };
        let uris = self.ways.read().unwrap_or_else(PoisonError::into_inner).clone();
        ShardStats { name: self.name.clone(), slots: status.slots, component, uris }
    }
}
