//! Forgets outbox rows that were relayed, many at a time.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::store::{OutboxKey, Store};

/// Rows that wait; more are left to the sweeper, whose repeats do no harm.
const WAITING: usize = 8_192;

/// Rows forgotten at once.
const BATCH: usize = 1_024;

/// Time for a batch that is not full to gather: nobody waits for it, and it spares the store most of the transactions.
const GATHER: Duration = Duration::from_millis(20);

/// Leads to the task.
#[derive(Clone)]
pub(super) struct Finisher(mpsc::Sender<OutboxKey>);

impl Finisher {
    /// Notes that a row was relayed.
    pub(super) fn finish(&self, key: OutboxKey) {
        if self.0.try_send(key).is_err() {
            tracing::debug!("a relayed row stays in the outbox until it is swept");
        }
    }
}

/// Starts the task.
pub(super) fn start(store: Arc<dyn Store>, stop: &CancellationToken) -> Finisher {
    let (finisher, inbox) = mpsc::channel(WAITING);
    super::spawn(stop, run(store, inbox));
    Finisher(finisher)
}

async fn run(store: Arc<dyn Store>, mut inbox: mpsc::Receiver<OutboxKey>) {
    let mut keys = Vec::with_capacity(BATCH);
    while inbox.recv_many(&mut keys, BATCH).await > 0 {
        if keys.len() < BATCH {
            tokio::time::sleep(GATHER).await;
        }
        while keys.len() < BATCH {
            match inbox.try_recv() {
                Ok(key) => keys.push(key),
                Err(_) => break,
            }
        }
        if let Err(error) = store.finish_outbox(&keys).await {
            tracing::debug!(%error, rows = keys.len(), "relayed rows stay in the outbox until they are swept");
        }
        keys.clear();
    }
}
