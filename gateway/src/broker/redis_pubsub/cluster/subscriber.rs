//! The subscribing connection to one node.
//!
//! The client library takes every confirmation for the answer to its oldest question, and so one that nobody asked for: a node unsubscribes
//! clients by itself when a slot leaves it. So this connection asks one thing at a time, counts the confirmations as they are pushed, and is
//! given up, and made anew, after the first unsubscription that it did not ask for.

use std::{
    collections::HashSet,
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, Value, aio::MultiplexedConnection};
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};

use super::{NODE_ANSWER, partitions::Partitions};
use crate::broker::redis_pubsub::{
    inbox::{Inbox, message},
    reason::SessionError,
};

/// Something that befell a subscribing connection, known by its number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// It is closed.
    Closed(u64),
    /// The node unsubscribed it from a channel of this partition.
    Unsubscribed(u64, usize),
}

/// See the module's documentation.
pub(super) struct Subscriber {
    /// Distinguishes it from those before it.
    pub(super) number: u64,
    connection: MultiplexedConnection,
    taker: Arc<Taker>,
    asked: u64,
}

/// What all subscribing connections of a session feed.
#[derive(Clone)]
pub(super) struct Sinks {
    pub(super) partitions: Arc<Partitions>,
    pub(super) inbox: Inbox,
    pub(super) events: mpsc::UnboundedSender<Event>,
}

struct Taker {
    number: u64,
    sinks: Sinks,
    confirmed: AtomicU64,
    news: Notify,
    leaving: Mutex<HashSet<String>>,
}

impl Taker {
    fn leaving(&self) -> MutexGuard<'_, HashSet<String>> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn confirm(&self) {
        self.confirmed.fetch_add(1, SeqCst);
        self.news.notify_one();
    }

    fn tell(&self, event: Event) {
        // An error means that the session is over.
        let _ = self.sinks.events.send(event);
    }

    fn take(&self, push: PushInfo) {
        match push.kind {
            PushKind::SMessage => {
                if let Some((channel, body)) = message(push.data)
                    && let Some(key) = self.sinks.partitions.key(&channel)
                {
                    self.sinks.inbox.put(key, body);
                }
            }
            PushKind::SSubscribe => self.confirm(),
            PushKind::SUnsubscribe => self.unsubscribed(push.data),
            PushKind::Disconnection => self.tell(Event::Closed(self.number)),
            _ => {}
        }
    }

    fn unsubscribed(&self, data: Vec<Value>) {
        let Some(Value::BulkString(channel)) = data.into_iter().next() else { return };
        let Ok(channel) = String::from_utf8(channel) else { return };
        if self.leaving().remove(&channel) {
            self.confirm();
        } else if let Some(key) = self.sinks.partitions.key(&channel) {
            self.tell(Event::Unsubscribed(self.number, Partitions::of(key)));
        }
    }
}

impl Subscriber {
    /// Connects.
    pub(super) async fn open(client: &Client, number: u64, sinks: Sinks) -> Result<Self, SessionError> {
        let (confirmed, leaving) = (AtomicU64::new(0), Mutex::default());
        let taker = Arc::new(Taker { number, sinks, confirmed, news: Notify::new(), leaving });
        let taking = Arc::clone(&taker);
        let config =
            AsyncConnectionConfig::new().set_response_timeout(Some(NODE_ANSWER)).set_push_sender(move |push| {
                taking.take(push);
                Ok::<(), Infallible>(())
            });
        let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Self { number, connection, taker, asked: 0 })
    }

    /// Subscribes to channels of one partition.
    pub(super) async fn subscribe(&mut self, channels: &[String]) -> Result<(), SessionError> {
        self.ask("SSUBSCRIBE", channels).await
    }

    /// Unsubscribes from channels of one partition.
    pub(super) async fn unsubscribe(&mut self, channels: &[String]) -> Result<(), SessionError> {
        self.taker.leaving().extend(channels.iter().cloned());
        let outcome = self.ask("SUNSUBSCRIBE", channels).await;
        self.taker.leaving().clear();
        outcome
    }

    async fn ask(&mut self, command: &str, channels: &[String]) -> Result<(), SessionError> {
        let mut command = redis::cmd(command);
        // The answer is the first confirmation, or the only word of a refusal.
        command.arg(channels).query_async::<Value>(&mut self.connection).await?;
        self.asked += channels.len() as u64;
        let all = async {
            while self.taker.confirmed.load(SeqCst) < self.asked {
                self.taker.news.notified().await;
            }
        };
        timeout(NODE_ANSWER, all).await.map_err(|_| SessionError::Timeout("confirming subscriptions"))
    }

    /// Asks for a sign of life, and checks that answers still belong to their questions.
    pub(super) async fn probe(&mut self) -> Result<(), SessionError> {
        let token = rand::random::<u64>().to_string();
        let mut command = redis::cmd("PING");
        match command.arg(&token).query_async::<Value>(&mut self.connection).await? {
            Value::BulkString(answer) if answer == token.as_bytes() => Ok(()),
            _ => Err(SessionError::OutOfStep),
        }
    }
}
