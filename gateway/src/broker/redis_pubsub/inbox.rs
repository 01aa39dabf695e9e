//! What was read from Redis and not yet taken by the hub, bounded in bytes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use redis::Value;
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep_until},
};

use super::{RedisPubSubSettings, reason::SessionError};
use crate::broker::{Delivery, Key, link::Link};

/// An overflow drops many messages; the hub is told once in this time, after it.
const LOSS_PAUSE: Duration = Duration::from_secs(1);

/// The reading side: filled by the connections, which must not wait.
#[derive(Clone)]
pub(super) struct Inbox {
    limit: usize,
    queue: mpsc::UnboundedSender<Delivery>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    held: AtomicUsize,
    dropped: AtomicBool,
    ended: AtomicBool,
    woken: Notify,
}

/// The taking side.
pub(super) struct Outlet {
    queue: mpsc::UnboundedReceiver<Delivery>,
    shared: Arc<Shared>,
}

/// Both sides of an empty inbox that holds so many bytes.
pub(super) fn inbox(limit: usize) -> (Inbox, Outlet) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let shared = Arc::<Shared>::default();
    (Inbox { limit, queue: sender, shared: Arc::clone(&shared) }, Outlet { queue: receiver, shared })
}

/// Channel and body of a message that Redis pushed.
pub(super) fn message(data: Vec<Value>) -> Option<(String, Bytes)> {
    let mut data = data.into_iter();
    match (data.next()?, data.next()?) {
        (Value::BulkString(channel), Value::BulkString(body)) => {
            Some((String::from_utf8(channel).ok()?, Bytes::from(body)))
        }
        _ => None,
    }
}

impl Inbox {
    /// Takes a message, or notes that it had no room.
    pub(super) fn put(&self, key: Key, body: Bytes) {
        if self.shared.held.load(SeqCst) + body.len() > self.limit {
            self.shared.dropped.store(true, SeqCst);
            return;
        }
        self.shared.held.fetch_add(body.len(), SeqCst);
        // An error means that the session is over, and with it what it held.
        drop(self.queue.send(Delivery { key, body }));
    }

    /// Nothing will follow.
    pub(super) fn end(&self) {
        self.shared.ended.store(true, SeqCst);
        self.shared.woken.notify_one();
    }
}

impl Outlet {
    /// The next message; `None` when nothing will follow and everything read was taken.
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            tokio::select! {
                biased;
                delivery = self.queue.recv() => {
                    let delivery = delivery?;
                    self.shared.held.fetch_sub(delivery.body.len(), SeqCst);
                    return Some(delivery);
                }
                () = self.shared.woken.notified() => if self.shared.ended.load(SeqCst) && self.queue.is_empty() {
                    return None;
                }
            }
        }
    }

    /// Whether messages were dropped since this was last asked.
    fn has_dropped(&self) -> bool {
        self.shared.dropped.swap(false, SeqCst)
    }

    /// Hands messages to the hub, in order, and tells it of losses a moment after it took them up again: the store has what is missing.
    /// `Ok` means that nobody takes deliveries any more.
    pub(super) async fn forward(
        mut self,
        link: &Link<RedisPubSubSettings>,
        hub: &mpsc::Sender<Delivery>,
    ) -> Result<(), SessionError> {
        let mut tell_at: Option<Instant> = None;
        loop {
            tokio::select! {
                next = self.next() => {
                    let Some(delivery) = next else {
                        return Err(SessionError::Closed);
                    };
                    if hub.send(delivery).await.is_err() {
                        return Ok(());
                    }
                    if self.has_dropped() {
                        tell_at.get_or_insert_with(|| Instant::now() + LOSS_PAUSE);
                    }
                }
                () = sleep_until(tell_at.unwrap_or_else(Instant::now)), if tell_at.is_some() => {
                    tell_at = None;
                    tracing::warn!("Redis brought messages faster than they could be passed on; some come from the store");
                    link.lost_deliveries();
                }
            }
        }
    }
}
