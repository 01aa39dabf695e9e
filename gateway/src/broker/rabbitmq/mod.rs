//! The broker on RabbitMQ 3.10 or newer.
//!
//! One durable direct exchange for all gateways; one exclusive queue per gateway, bound to the keys its clients need. Bindings are the cost of
//! this design, so they are counted by reference and linger ([`super::bindings`]). Two connections: RabbitMQ stops reading from a connection that
//! publishes while it is short of memory, and consuming must go on then.

mod certificates;
mod consumer;
mod reason;
mod session;
mod topology;
mod wire;

use std::{path::PathBuf, time::Duration};

use chat_gateway_config::{ClientCertificate, RabbitMq};
use lapin::{BasicProperties, Channel, Confirmation, options::BasicPublishOptions};

use self::session::Session;
pub(super) use self::session::takes;
use super::{
    BrokerError, Key,
    bindings::LINGER,
    link::{Link, Publisher, Server},
    linked::away,
};

/// What the broker needs to know.
#[derive(Clone, Debug)]
pub struct RabbitSettings {
    /// File with the URI; read again for every connection.
    pub uri_file: PathBuf,
    /// PEM file of the authorities that `amqps://` trusts besides the public ones; read again for every connection.
    pub ca_file: Option<PathBuf>,
    /// What is shown to a server that asks for a certificate; read again for every connection.
    pub client_certificate: Option<ClientCertificate>,
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
            ca_file: None,
            client_certificate: None,
            gateway: gateway.to_owned(),
            linger: LINGER,
            // About 100,000 messages of the usual size: minutes of a busy gateway, and little for a broker with several gateways.
            queue_bytes: 64 * 1024 * 1024,
        }
    }

    /// Those of a gateway's configuration.
    #[must_use]
    pub fn of(rabbitmq: &RabbitMq, gateway: &str) -> Self {
        Self {
            ca_file: rabbitmq.ca_file.clone(),
            client_certificate: rabbitmq.client_certificate.clone(),
            ..Self::new(rabbitmq.uri_file.clone(), gateway)
        }
    }
}

impl Server for RabbitSettings {
    const NAME: &'static str = "RabbitMQ";
    type Channel = Channel;
    type Session = Session;

    async fn publish(
        _link: &Link<Self>,
        publisher: &Publisher<Channel>,
        key: Key,
        body: &[u8],
    ) -> Result<(), BrokerError> {
        let publish = publisher.channel.basic_publish(
            topology::EXCHANGE.into(),
            key.to_string().into(),
            BasicPublishOptions::default(),
            body,
            // Transient: the store has what must last, and a disk write here would only slow the broker down.
            BasicProperties::default().with_delivery_mode(1),
        );
        match publish.await.map_err(away)?.await.map_err(away)? {
            Confirmation::Ack(_) | Confirmation::NotRequested => Ok(()),
            Confirmation::Nack(_) => Err(away("the broker refused the message")),
        }
    }

    fn linger(&self) -> Duration {
        self.linger
    }
}
