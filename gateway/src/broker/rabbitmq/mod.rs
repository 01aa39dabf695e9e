//! The broker on RabbitMQ 3.10 or newer.
//!
//! One durable direct exchange for all gateways; one exclusive queue per gateway, bound to the keys its clients need. Bindings are the cost of
//! this design, so they are counted by reference and linger ([`super::bindings`]). Two connections: RabbitMQ stops reading from a connection that
//! publishes while it is short of memory, and consuming must go on then.
//!
//! The library's own recovery is not used: it would bring connections back before all bindings stand, and with the URI of yesterday.

mod consumer;
mod link;
mod reason;
mod session;
mod topology;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use chat_gateway_config::stats::Component;
use lapin::{BasicProperties, Confirmation, options::BasicPublishOptions};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use self::link::{Link, Publisher};
use super::{Broker, BrokerError, BrokerState, DELIVERIES, Delivery, Key, PUBLISH_BUDGET, bindings::LINGER};

/// Publishes that may wait for their confirmation at once. Confirmations come in batches, so a window of this size keeps one connection busy;
/// it also bounds the memory held for a broker that answers slowly.
const WINDOW: usize = 1_000;

/// What the broker needs to know.
#[derive(Clone, Debug)]
pub struct RabbitSettings {
    /// File with the URI; read again for every connection.
    pub uri_file: PathBuf,
    /// Name of the gateway, for the names of queue and connections.
    pub gateway: String,
    /// How long a binding outlives its last reference.
    pub linger: Duration,
    /// Bytes that the gateway's queue holds before the oldest are dropped.
    pub queue_bytes: i64,
}

impl RabbitSettings {
    /// The usual settings.
    #[must_use]
    pub fn new(uri_file: PathBuf, gateway: &str) -> Self {
        Self {
            uri_file,
            gateway: gateway.to_owned(),
            linger: LINGER,
            // About 100,000 messages of the usual size: minutes of a busy gateway, and little for a broker with several gateways.
            queue_bytes: 64 * 1024 * 1024,
        }
    }
}

/// [`Broker`] on RabbitMQ.
pub struct RabbitBroker {
    link: Arc<Link>,
    window: Semaphore,
    stop: CancellationToken,
}

impl RabbitBroker {
    /// Starts connecting in the background, and keeps at it. Deliveries come out of the receiver.
    #[must_use]
    pub fn start(settings: RabbitSettings) -> (Self, mpsc::Receiver<Delivery>) {
        let (sender, deliveries) = mpsc::channel(DELIVERIES);
        let link = Arc::new(Link::new(settings));
        let stop = CancellationToken::new();
        let running = Arc::clone(&link);
        let until = stop.clone();
        tokio::spawn(async move { until.run_until_cancelled_owned(running.run(sender)).await });
        let broker = Self { link, window: Semaphore::new(WINDOW), stop };
        (broker, deliveries)
    }

    async fn publish_through(&self, publisher: &Publisher, key: Key, body: &[u8]) -> Result<(), BrokerError> {
        let away = |cause: &dyn std::fmt::Display| BrokerError::Away(cause.to_string());
        let _place = self.window.acquire().await.map_err(|error| away(&error))?;
        let publish = publisher.channel.basic_publish(
            topology::EXCHANGE.into(),
            key.to_string().into(),
            BasicPublishOptions::default(),
            body,
            // Transient: the store has what must last, and a disk write here would only slow the broker down.
            BasicProperties::default().with_delivery_mode(1),
        );
        match publish.await.map_err(|error| away(&error))?.await.map_err(|error| away(&error))? {
            Confirmation::Ack(_) | Confirmation::NotRequested => Ok(()),
            Confirmation::Nack(_) => Err(away(&"the broker refused the message")),
        }
    }
}

impl Drop for RabbitBroker {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[async_trait]
impl Broker for RabbitBroker {
    async fn publish(&self, key: Key, body: Bytes) -> Result<(), BrokerError> {
        // While it is known to be away nobody waits at all.
        let Some(publisher) = self.link.publisher() else {
            return Err(BrokerError::Away(self.link.component().message));
        };
        match timeout(PUBLISH_BUDGET, self.publish_through(&publisher, key, &body)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                // A broker that stopped confirming would cost every publisher the whole budget: have the session looked at.
                self.link.suspect(publisher.session);
                Err(BrokerError::Away("no confirmation in time".into()))
            }
        }
    }

    async fn bind(&self, key: Key) -> Result<(), BrokerError> {
        if let Some(stands) = self.link.bindings().add(key) {
            // An error means that the table was dropped, and with it everyone who could care. Unbounded waiting is not possible either:
            // the session answers its batches within its own time limit or ends, and ending answers too.
            let _ = stands.await;
        }
        Ok(())
    }

    fn unbind(&self, key: Key) {
        self.link.bindings().remove(key);
    }

    fn state(&self) -> watch::Receiver<BrokerState> {
        self.link.state()
    }
}

/// The component before the first connection stood.
fn starting() -> Component {
    Component {
        available: false,
        reason: "Connecting".into(),
        message: "connecting to RabbitMQ for the first time".into(),
    }
}
