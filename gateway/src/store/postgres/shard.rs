//! One shard as this gateway sees it: its pool, and whether it answers.

use std::{
    path::PathBuf,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use chat_gateway_config::stats::{Component, ShardStats};
use sqlx::PgPool;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{connect, failure::Cause};

/// One shard. Its prober (`probe.rs`) writes the status and replaces the pool; requests only read them.
pub(super) struct Shard {
    /// Index in the configuration.
    pub(super) index: usize,
    /// Name in the configuration.
    pub(super) name: String,
    /// File with the URI.
    pub(super) uri_file: PathBuf,
    pool: RwLock<Option<PgPool>>,
    status: watch::Sender<Status>,
    wake: Notify,
    suspect: AtomicBool,
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
}

impl Shard {
    pub(super) fn new(index: usize, name: String, uri_file: PathBuf) -> Self {
        let status = Status {
            probes: 0,
            away: Some(Cause::new("ConnectionRefused", "not asked yet")),
            since: Instant::now(),
            loaded: false,
            slots: 0,
        };
        Self {
            index,
            name,
            uri_file,
            pool: RwLock::new(None),
            status: watch::Sender::new(status),
            wake: Notify::new(),
            suspect: AtomicBool::new(false),
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

    pub(super) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Writes the outcome of a probe: the number of slots, or why it failed.
    pub(super) fn probed(&self, outcome: Result<u32, Cause>) {
        self.status.send_modify(|status| {
            status.probes += 1;
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

    /// Asks the prober to look now. `suspect`: a statement failed on its connection, so the prober must not trust its own.
    pub(super) fn look(&self, suspect: bool) {
        if suspect {
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

    /// For `/stats` and conditions.
    pub(super) fn stats(&self) -> ShardStats {
        let status = self.status.borrow();
        let (reason, message) = match &status.away {
            None => ("Connected", format!("owns {} slots", status.slots)),
            Some(cause) => (cause.reason, cause.message.clone()),
        };
        let component = Component { available: status.away.is_none(), reason: reason.to_owned(), message };
        ShardStats { name: self.name.clone(), slots: status.slots, component }
    }
}
