//! The broker on RabbitMQ 3.10 or newer.
//!
//! One durable direct exchange for all gateways; one exclusive queue per gateway, bound to the keys its clients need. Bindings are the cost of
//! this design, so they are counted by reference and linger ([`super::bindings`]). Two connections: RabbitMQ stops reading from a connection that
//! publishes while it is short of memory, and consuming must go on then.

mod consumer;
mod reason;
mod session;
mod topology;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use chat_gateway_config::stats::Component;
use lapin::{BasicProperties, Channel, Confirmation, options::BasicPublishOptions};
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

impl Server for RabbitSettings {
    const NAME: &'static str = "RabbitMQ";
    type Channel = Channel;
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

/// [`Broker`] on RabbitMQ.
pub struct RabbitBroker {
    link: Arc<Link<RabbitSettings>>,
    window: Semaphore,
    stop: CancellationToken,
}

impl RabbitBroker {
    /// Starts connecting in the background, and keeps at it. Deliveries come out of the receiver.
    #[must_use]
    pub fn start(settings: RabbitSettings) -> (Self, mpsc::Receiver<Delivery>) {
        let (sender, deliveries) = mpsc::channel(DELIVERIES);
        let linger = settings.linger;
        let link = Arc::new(Link::new(settings, linger));
        let stop = CancellationToken::new();
        let running = Arc::clone(&link);
        let until = stop.clone();
        tokio::spawn(async move { until.run_until_cancelled_owned(running.run(sender)).await });
        let broker = Self { link, window: Semaphore::new(WINDOW), stop };
        (broker, deliveries)
    }

    async fn publish_through(&self, publisher: &Publisher<Channel>, key: Key, body: &[u8]) -> Result<(), BrokerError> {
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
