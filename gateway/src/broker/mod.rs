//! How gateways reach each other. [`Broker`] is the contract; `rabbitmq` keeps it on RabbitMQ, `redis_pubsub` on Redis Pub/Sub, `kafka` on Apache
//! Kafka, `memory` inside one process.
//!
//! Guarantees, which the conformance suite checks on every implementation:
//! - While the connection lasts, what is published under a key reaches every gateway that has the key bound, at least once,
//!   in the order of one publisher's confirmed publishes. Nothing more: a broker may lose what it confirmed when it dies.
//! - Whenever deliveries may have been lost (a new connection, a queue that overflowed), [`BrokerState::epoch`] rises **after** all
//!   bindings stand again. The store is the truth: the hub then asks it what the broker did not bring.
//! - A broker that is away never blocks the caller for longer than [`PUBLISH_BUDGET`]; memory stays bounded.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use chat_gateway_config::{GatewayConfig, RabbitMq, stats::Component};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::model::{RoomId, UserId};

mod bindings;
mod io_reason;
mod kafka;
mod link;
mod linked;
mod memory;
mod rabbitmq;
mod redis_pubsub;

pub use kafka::KafkaSettings;
pub use memory::{MemoryBroker, MemoryExchange};
pub use rabbitmq::RabbitSettings;
pub use redis_pubsub::RedisPubSubSettings;

/// How long one publish may wait for its confirmation before it counts as failed.
pub const PUBLISH_BUDGET: Duration = Duration::from_secs(5);

/// Deliveries that wait for the hub in the receiver of a [`Broker`].
const DELIVERIES: usize = 1_024;

/// A routing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// `room:<id>`: everyone in the room.
    Room(RoomId),
    /// `user:<id>`: every session of one user.
    User(UserId),
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Room(id) => write!(f, "room:{id}"),
            Self::User(id) => write!(f, "user:{id}"),
        }
    }
}

impl Key {
    /// Reads a routing key back; `None` for a key of a kind that this version does not know.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once(':')?;
        let id = Uuid::try_parse(id).ok()?;
        match kind {
            "room" => Some(Self::Room(RoomId(id))),
            "user" => Some(Self::User(UserId(id))),
            _ => None,
        }
    }
}

/// Something the broker brought.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The key it was published under.
    pub key: Key,
    /// The body, as it was published: JSON of `hub::Event`.
    pub body: Bytes,
}

/// How the connection stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerState {
    /// Rises each time after which deliveries may be missing; 0 until the first connection stands.
    pub epoch: u64,
    /// For `/stats` and conditions.
    pub component: Component,
}

/// Why something could not be published or bound.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// No connection, or none that confirmed in time. The outbox still has what matters.
    #[error("the broker is away: {0}")]
    Away(String),
}

/// The contract; see the module's documentation. Deliveries come out of the receiver that the constructor returns
/// (bounded: when it is full an implementation stops reading from its server, or drops and raises the epoch).
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Publishes and returns once the broker has confirmed.
    async fn publish(&self, key: Key, body: Bytes) -> Result<(), BrokerError>;

    /// Adds a reference to a binding and returns once it stands. While the broker is away the wish is kept, the call
    /// returns `Ok`, and the binding is made before the next epoch is announced.
    async fn bind(&self, key: Key) -> Result<(), BrokerError>;

    /// Drops a reference; the binding lingers for a while before it is removed, since people reload pages.
    fn unbind(&self, key: Key);

    /// How the connection stands, now and in future.
    fn state(&self) -> watch::Receiver<BrokerState>;

    /// Whether it is certain that no other gateway hears what is published.
    fn is_alone(&self) -> bool {
        false
    }
}

/// Connects to the broker that the configuration names; deliveries come out of the receiver.
#[must_use]
pub fn start(config: &GatewayConfig, gateway: &str) -> (Arc<dyn Broker>, mpsc::Receiver<Delivery>) {
    let cluster = &config.cluster;
    match &config.broker {
        chat_gateway_config::Broker::Rabbitmq(rabbitmq) => {
            let (broker, deliveries) = on_rabbitmq(RabbitSettings::of(rabbitmq, gateway));
            (Arc::new(broker), deliveries)
        }
        chat_gateway_config::Broker::RedisPubSub(redis) => {
            let (broker, deliveries) = on_redis_pubsub(RedisPubSubSettings::new(redis.clone(), cluster));
            (Arc::new(broker), deliveries)
        }
        chat_gateway_config::Broker::Kafka(kafka) => {
            let (broker, deliveries) = on_kafka(KafkaSettings::new(kafka.clone(), cluster, gateway));
            (Arc::new(broker), deliveries)
        }
        chat_gateway_config::Broker::InProcess(_) => {
            let (broker, deliveries) = MemoryExchange::new().join();
            (Arc::new(broker), deliveries)
        }
    }
}

/// Whether RabbitMQ lets somebody in who comes by this URI.
pub(crate) async fn rabbitmq_takes(rabbitmq: &RabbitMq, uri: &str) -> bool {
    rabbitmq::takes(&RabbitSettings::of(rabbitmq, "gateway"), uri).await
}

/// A broker on RabbitMQ. It connects in the background and keeps at it; deliveries come out of the receiver.
#[must_use]
pub fn on_rabbitmq(settings: RabbitSettings) -> (impl Broker, mpsc::Receiver<Delivery>) {
    linked::start(settings)
}

/// A broker on Redis Pub/Sub, as [`on_rabbitmq`].
#[must_use]
pub fn on_redis_pubsub(settings: RedisPubSubSettings) -> (impl Broker, mpsc::Receiver<Delivery>) {
    linked::start(settings)
}

/// A broker on Apache Kafka, as [`on_rabbitmq`].
#[must_use]
pub fn on_kafka(settings: KafkaSettings) -> (impl Broker, mpsc::Receiver<Delivery>) {
    linked::start(settings)
}

/// A component that answers.
pub(crate) fn connected(message: &str) -> Component {
    Component { available: true, reason: "Connected".into(), message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_way_as_text() {
        let id = Uuid::from_u128(7);
        for key in [Key::Room(RoomId(id)), Key::User(UserId(id))] {
            assert_eq!(Key::parse(&key.to_string()), Some(key));
        }
        for bad in ["", "room", "room:", "room:x", "topic:00000000-0000-0000-0000-000000000007"] {
            assert_eq!(Key::parse(bad), None, "{bad}");
        }
    }
}
