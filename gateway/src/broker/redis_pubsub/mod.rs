//! The broker on Redis Pub/Sub: Redis 6 or newer, or Valkey.
//!
//! One connection subscribes to the channels that this gateway's clients need (`<namespace>/<name>/room:<id>`, `.../user:<id>`), another publishes.
//! Redis keeps nothing for a subscriber that is away, and cuts off one that reads too slowly; either ends the session, and the next one
//! raises the epoch, so that the hub asks the store. The protocol is RESP3, in which subscriptions are answered one by one and messages are handed
//! over as they are read: what the hub cannot take yet is held up to [`HELD_BYTES`], then dropped, and the epoch is raised when it takes again.

mod inbox;
mod reason;
mod session;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use chat_gateway_config::stats::Component;
use redis::aio::MultiplexedConnection;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use self::{reason::SessionError, session::Session};
use super::{
    Broker, BrokerError, BrokerState, DELIVERIES, Delivery, Key, PUBLISH_BUDGET,
    bindings::LINGER,
    link::{Link, Publisher, Server},
};

/// Publishes that may wait for their answer at once: keeps one connection busy and bounds the memory held for a server that answers slowly.
const WINDOW: usize = 1_000;
/// Bytes of messages that were read and that the hub has not taken: several seconds of a busy gateway.
const HELD_BYTES: usize = 32 * 1024 * 1024;

/// What the broker needs to know.
#[derive(Clone, Debug)]
pub struct RedisPubSubSettings {
    /// File with the URL; read again for every connection.
    pub url_file: PathBuf,
    /// `namespace/name` of the ChatCluster: channels begin with it, since all databases of a Redis share them.
    pub cluster: String,
    /// How long a subscription outlives its last reference.
    pub linger: Duration,
    /// Bytes held for the hub before messages are dropped.
    pub held_bytes: usize,
}

impl RedisPubSubSettings {
    /// The usual settings.
    #[must_use]
    pub fn new(url_file: PathBuf, cluster: &str) -> Self {
        Self { url_file, cluster: cluster.to_owned(), linger: LINGER, held_bytes: HELD_BYTES }
    }

    fn channel(&self, key: Key) -> String {
        format!("{}/{key}", self.cluster)
    }

    fn key(&self, channel: &str) -> Option<Key> {
        Key::parse(channel.strip_prefix(&self.cluster)?.strip_prefix('/')?)
    }
}

impl Server for RedisPubSubSettings {
    const NAME: &'static str = "Redis";
    type Channel = MultiplexedConnection;
    type Session = Session;
    type Error = SessionError;

    async fn open(link: &Link<Self>) -> Result<Session, SessionError> {
        Session::open(link.server()).await
    }

    async fn serve(
        session: Session,
        link: &Link<Self>,
        deliveries: &mpsc::Sender<Delivery>,
    ) -> Result<(), SessionError> {
        session.serve(link, deliveries).await
    }

    fn component(error: &SessionError) -> Component {
        error.component()
    }
}

/// [`Broker`] on Redis Pub/Sub.
pub struct RedisPubSubBroker {
    link: Arc<Link<RedisPubSubSettings>>,
    window: Semaphore,
    stop: CancellationToken,
}

impl RedisPubSubBroker {
    /// Starts connecting in the background, and keeps at it. Deliveries come out of the receiver.
    #[must_use]
    pub fn start(settings: RedisPubSubSettings) -> (Self, mpsc::Receiver<Delivery>) {
        let (sender, deliveries) = mpsc::channel(DELIVERIES);
        let linger = settings.linger;
        let link = Arc::new(Link::new(settings, linger));
        let stop = CancellationToken::new();
        let running = Arc::clone(&link);
        let until = stop.clone();
        tokio::spawn(async move { until.run_until_cancelled_owned(running.run(sender)).await });
        (Self { link, window: Semaphore::new(WINDOW), stop }, deliveries)
    }

    async fn publish_through(
        &self,
        publisher: &Publisher<MultiplexedConnection>,
        key: Key,
        body: &[u8],
    ) -> Result<(), BrokerError> {
        let _place = self.window.acquire().await.map_err(|error| BrokerError::Away(error.to_string()))?;
        let mut command = redis::cmd("PUBLISH");
        command.arg(self.link.server().channel(key)).arg(body);
        let mut channel = publisher.channel.clone();
        command.query_async::<u64>(&mut channel).await.map_err(|error| {
            self.link.suspect(publisher.session);
            BrokerError::Away(SessionError::from(error).to_string())
        })?;
        Ok(())
    }
}

impl Drop for RedisPubSubBroker {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[async_trait]
impl Broker for RedisPubSubBroker {
    async fn publish(&self, key: Key, body: Bytes) -> Result<(), BrokerError> {
        let Some(publisher) = self.link.publisher() else {
            return Err(BrokerError::Away(self.link.component().message));
        };
        match timeout(PUBLISH_BUDGET, self.publish_through(&publisher, key, &body)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                self.link.suspect(publisher.session);
                Err(BrokerError::Away("no answer in time".into()))
            }
        }
    }

    async fn bind(&self, key: Key) -> Result<(), BrokerError> {
        self.link.bindings().bound(key).await;
        Ok(())
    }

    fn unbind(&self, key: Key) {
        self.link.bindings().remove(key);
    }

    fn state(&self) -> watch::Receiver<BrokerState> {
        self.link.state()
    }
}
