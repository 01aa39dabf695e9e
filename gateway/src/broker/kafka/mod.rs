//! The broker on Apache Kafka 3.9 or newer, tested on 4.
//!
//! One topic for all gateways of a cluster, partitioned by routing key. There is no consumer group: a group would hand each record to one
//! gateway, and all of them must see it. So **every gateway reads the whole topic**, from its end when a session begins, and filters by its
//! own bindings; a binding costs nothing and stands at once.
//!
//! What that means:
//! - Publishes go by an idempotent producer and wait for all in-sync replicas. Order holds within a key while the number of partitions stays;
//!   when it grows, a key may move, and what was written before and after may overtake each other. Receivers order by seq.
//! - A publish that timed out may still be written, and the outbox publishes it again: a duplicate, dropped by seq at the receiver.
//! - A hub that is slow loses nothing: its gateway reads on later, as long as the topic keeps the records (ten minutes, [`topic`]). Past that
//!   the session ends and the next one raises the epoch.
//! - Where each partition is read on is the gateway's own knowledge ([`positions`]), and each record must be the next one. A partition whose
//!   records do not arrive ([`stalls`]) is read on new connections, and then ends the session.
//! - New partitions are noticed within `PROBE` and read from their beginning.
//! - A body that the topic does not take for its size is dropped with a warning and counts as published. It would be refused each time, with
//!   everything after it in its room waiting; receivers find the gap by their regular look at the store.
//! - A partition without a leader is a broker that is away, for all rooms.
//!
//! The cost: with `g` gateways, Kafka sends out `g` times what is published, and each gateway parses all of it. At 1 kB a record, 10,000
//! records a second and 50 gateways that is 500 MB a second, which is where a broker with queues of its own for each gateway (RabbitMQ, Redis)
//! is wiser; docs/adr/0007-kafka-without-groups.md has the reasons.

mod client;
mod positions;
mod readers;
mod reason;
mod session;
mod stalls;
mod taker;
mod topic;

use std::time::Duration;

use bytes::Bytes;
use chat_gateway_config::Kafka;
use krafka::{Record, error::ErrorCode, error::KrafkaError};

use self::{client::Publishing, reason::SessionError, session::Session};
use super::{
    BrokerError, Key,
    bindings::LINGER,
    link::{Link, Publisher, Server},
    linked::away,
};

/// What the broker needs to know.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    /// Servers, credentials, and how to create the topic.
    pub kafka: Kafka,
    /// The topic.
    pub topic: String,
    /// Name of the gateway, under which Kafka knows its connections.
    pub gateway: String,
    /// How long a binding outlives its last reference.
    pub linger: Duration,
}

impl KafkaSettings {
    /// The usual settings; `cluster` is `namespace/name`.
    #[must_use]
    pub fn new(kafka: Kafka, cluster: &str, gateway: &str) -> Self {
        let topic = kafka.topic(cluster);
        Self { kafka, topic, gateway: gateway.to_owned(), linger: LINGER }
    }
}

impl Server for KafkaSettings {
    const NAME: &'static str = "Kafka";
    type Channel = Publishing;
    type Session = Session;

    async fn publish(
        link: &Link<Self>,
        publisher: &Publisher<Publishing>,
        key: Key,
        body: &[u8],
    ) -> Result<(), BrokerError> {
        let topic = &link.server().topic;
        let record = Record::new(topic.as_str(), Bytes::copy_from_slice(body)).key(key.to_string());
        match publisher.channel.send(record).await {
            Ok(()) => Ok(()),
            Err(error) if is_too_large(&error) => {
                let bytes = body.len();
                tracing::warn!(%key, bytes, topic, "Kafka takes no record of this size; raise the topic's max.message.bytes");
                Ok(())
            }
            Err(error) => {
                link.suspect(publisher.session);
                Err(away(SessionError::from(error)))
            }
        }
    }

    fn linger(&self) -> Duration {
        self.linger
    }
}

fn is_too_large(error: &KrafkaError) -> bool {
    matches!(error, KrafkaError::Broker { code: ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge, .. })
}
