//! The broker on Redis Pub/Sub: one Redis 6 or newer, or Valkey; one that sentinels name ([`single`]); or a Redis Cluster ([`cluster`]).
//!
//! Redis keeps nothing for a subscriber that is away, and cuts off one that reads too slowly; either raises the epoch once the subscriptions
//! stand again, so that the hub asks the store. The protocol is RESP3, in which messages are handed over as they are read: what the hub cannot
//! take yet is held up to [`HELD_BYTES`], then dropped, and the epoch is raised when it takes again ([`inbox`]).

mod cluster;
mod inbox;
mod reason;
mod single;

use std::time::Duration;

use chat_gateway_config::{Redis, RedisUrl};
use tokio::{sync::mpsc, time::timeout};

use self::reason::SessionError;
use super::{
    BrokerError, Delivery, Key,
    bindings::LINGER,
    link::{self, Link, Publisher, Server},
    linked::away,
};
use crate::redis_server::Way;

/// Bytes of messages that were read and that the hub has not taken: several seconds of a busy gateway.
const HELD_BYTES: usize = 32 * 1024 * 1024;

/// Time for all connections, and for each later exchange with a server.
const OPEN_TIME: Duration = Duration::from_secs(5);
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// How often servers are asked for a sign of life. A frozen one is noticed within `PROBE` and an answer's time, also when nobody publishes.
const PROBE: Duration = Duration::from_secs(3);
/// How often subscriptions without references are looked through.
const SWEEP: Duration = Duration::from_secs(5);
/// Channels in one command. Centrifugo measured 512 as enough to make resubscribing cheap (its blog of 2026-06-29).
const BATCH: usize = 512;

/// What the broker needs to know.
#[derive(Clone, Debug)]
pub struct RedisPubSubSettings {
    /// Files with the URL and with certificates; read again for every connection.
    pub redis: Redis,
    /// `namespace/name` of the ChatCluster, which stands in the channels' names, since all databases of a Redis share them.
    pub cluster: String,
    /// How long a subscription outlives its last reference.
    pub linger: Duration,
    /// Bytes held for the hub before messages are dropped.
    pub held_bytes: usize,
}

impl RedisPubSubSettings {
    /// The usual settings.
    #[must_use]
    pub fn new(redis: Redis, cluster: &str) -> Self {
        Self { redis, cluster: cluster.to_owned(), linger: LINGER, held_bytes: HELD_BYTES }
    }
}

impl Server for RedisPubSubSettings {
    const NAME: &'static str = "Redis";
    type Channel = Publishing;
    type Session = Session;

    async fn publish(
        link: &Link<Self>,
        publisher: &Publisher<Publishing>,
        key: Key,
        body: &[u8],
    ) -> Result<(), BrokerError> {
        match &publisher.channel {
            Publishing::Single(channel) => channel.publish(key, body).await.map_err(|error| {
                link.suspect(publisher.session);
                away(error)
            }),
            Publishing::Cluster(routes) => routes.publish(key, body).await.map_err(away),
        }
    }

    fn linger(&self) -> Duration {
        self.linger
    }
}

/// What publishes go through.
#[derive(Clone)]
pub(in crate::broker) enum Publishing {
    Single(single::Channel),
    Cluster(cluster::Routes),
}

/// A session with what the URL says at its beginning.
pub(in crate::broker) enum Session {
    Single(Box<single::Session>),
    Cluster(Box<cluster::Session>),
}

impl link::Session for Session {
    type Server = RedisPubSubSettings;
    type Error = SessionError;

    async fn open(settings: &RedisPubSubSettings) -> Result<Self, SessionError> {
        let opened = async {
            let way = Way::read(&settings.redis)?;
            Ok(match way.url {
                RedisUrl::Cluster(_) => Self::Cluster(Box::new(cluster::Session::open(settings).await?)),
                _ => Self::Single(Box::new(single::Session::open(settings, way).await?)),
            })
        };
        timeout(OPEN_TIME, opened).await.unwrap_or(Err(SessionError::Timeout("connecting")))
    }

    async fn serve(self, link: &Link<Self::Server>, deliveries: &mpsc::Sender<Delivery>) -> Result<(), SessionError> {
        match self {
            Self::Single(session) => session.serve(link, deliveries).await,
            Self::Cluster(session) => session.serve(link, deliveries).await,
        }
    }
}
