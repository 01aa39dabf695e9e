//! What was read from Redis and not yet taken by the hub, bounded in bytes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use bytes::Bytes;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::{Notify, mpsc};

use super::RedisPubSubSettings;
use crate::broker::Delivery;

/// The reading side of the connection: called for everything that Redis pushes, and must not wait.
pub(super) struct Inbox {
    settings: RedisPubSubSettings,
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

/// Both sides of an empty inbox.
pub(super) fn inbox(settings: &RedisPubSubSettings) -> (Inbox, Outlet) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let shared = Arc::<Shared>::default();
    let inbox = Inbox { settings: settings.clone(), queue: sender, shared: Arc::clone(&shared) };
    (inbox, Outlet { queue: receiver, shared })
}

impl Inbox {
    /// Takes what Redis pushed.
    pub(super) fn take(&self, push: PushInfo) {
        match push.kind {
            PushKind::Message => self.message(push.data),
            PushKind::Disconnection => {
                self.shared.ended.store(true, SeqCst);
                self.shared.woken.notify_one();
            }
            // Confirmations are awaited where they were asked for.
            _ => {}
        }
    }

    fn message(&self, data: Vec<Value>) {
        let mut data = data.into_iter();
        let (Some(Value::BulkString(channel)), Some(Value::BulkString(body))) = (data.next(), data.next()) else {
            return;
        };
        let Some(key) = std::str::from_utf8(&channel).ok().and_then(|channel| self.settings.key(channel)) else {
            return;
        };
        if self.shared.held.load(SeqCst) + body.len() > self.settings.held_bytes {
            self.shared.dropped.store(true, SeqCst);
            return;
        }
        self.shared.held.fetch_add(body.len(), SeqCst);
        // An error means that the session is over, and with it what it held.
        drop(self.queue.send(Delivery { key, body: Bytes::from(body) }));
    }
}

impl Outlet {
    /// The next message; `None` when the connection has ended and everything read was taken.
    pub(super) async fn next(&mut self) -> Option<Delivery> {
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
    pub(super) fn has_dropped(&self) -> bool {
        self.shared.dropped.swap(false, SeqCst)
    }
}
