//! The broker on Redis Pub/Sub: Redis 6 or newer, or Valkey.
//!
//! One connection subscribes to the channels that this gateway's clients need (`<namespace>/<name>/room:<id>`, `.../user:<id>`), another publishes.
//! Redis keeps nothing for a subscriber that is away, and cuts off one that reads too slowly; either ends the session, and the next one
//! raises the epoch, so that the hub asks the store. The protocol is RESP3, in which subscriptions are answered one by one and messages are handed
//! over as they are read: what the hub cannot take yet is held up to [`HELD_BYTES`], then dropped, and the epoch is raised when it takes again.

mod inbox;
mod reason;
mod session;

use std::{path::PathBuf, time::Duration};

use chat_gateway_config::stats::Component;
use redis::aio::MultiplexedConnection;
use tokio::sync::mpsc;

use self::{reason::SessionError, session::Session};
use super::{
    BrokerError, Delivery, Key,
    bindings::LINGER,
    link::{Link, Publisher, Server},
    linked::away,
};

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

    async fn publish(
        link: &Link<Self>,
        publisher: &Publisher<MultiplexedConnection>,
        key: Key,
        body: &[u8],
    ) -> Result<(), BrokerError> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(link.server().channel(key)).arg(body);
        let mut channel = publisher.channel.clone();
        command.query_async::<u64>(&mut channel).await.map_err(|error| {
            link.suspect(publisher.session);
            away(SessionError::from(error))
        })?;
        Ok(())
    }

    fn linger(&self) -> Duration {
        self.linger
    }

    fn component(error: &SessionError) -> Component {
        error.component()
    }
}
