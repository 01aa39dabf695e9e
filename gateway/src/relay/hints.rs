//! Publishes typing, presence and receipts: as many as are cheap, none that is late.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::{StreamExt, stream};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    broker::Key,
    hub::{Dispatch, event::Event},
    services::{Counters, Services},
};

/// Hints that wait; more are shed.
const WAITING: usize = 2_048;

/// Hints taken at once; those under one key become one publish.
const BATCH: usize = 256;

/// Publishes at the same time.
const KEYS: usize = 32;

/// Age at which a hint is no longer worth its confirm.
const BUDGET: Duration = Duration::from_secs(1);

/// Leads to the task.
pub(super) struct Hints {
    inbox: mpsc::Sender<(Key, Event)>,
    counters: Arc<Counters>,
}

impl Hints {
    /// Offers a hint.
    pub(super) fn offer(&self, key: Key, event: Event) {
        if self.inbox.try_send((key, event)).is_err() {
            self.counters.shed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Starts the task.
pub(super) fn start(services: Arc<Services>, dispatch: Arc<Dispatch>, stop: &CancellationToken) -> Hints {
    let (inbox, hints) = mpsc::channel(WAITING);
    let counters = Arc::clone(&services.counters);
    super::spawn(stop, run(services, dispatch, hints));
    Hints { inbox, counters }
}

async fn run(services: Arc<Services>, dispatch: Arc<Dispatch>, mut hints: mpsc::Receiver<(Key, Event)>) {
    let mut batch = Vec::with_capacity(BATCH);
    while hints.recv_many(&mut batch, BATCH).await > 0 {
        let mut keys: HashMap<Key, Vec<Event>> = HashMap::new();
        for (key, event) in batch.drain(..) {
            keys.entry(key).or_default().push(event);
        }
        if !services.broker.state().borrow().component.available {
            continue;
        }
        stream::iter(keys)
            .for_each_concurrent(KEYS, |(key, events)| {
                let body = dispatch.envelope(events).encode();
                let services = &services;
                async move {
                    // What fails or is late is not missed.
                    let _ = timeout(BUDGET, services.broker.publish(key, body)).await;
                }
            })
            .await;
    }
}
