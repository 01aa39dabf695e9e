//! One session: two connections to the broker, from the first byte to the error that ends them.

use std::{path::Path, time::Duration};

use lapin::{
    Channel,
    options::{BasicQosOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::FieldTable,
    uri::AMQPUri,
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    RabbitSettings,
    certificates::Certificates,
    consumer,
    reason::SessionError,
    topology::{self, Queues},
    wire::Wire,
};
use crate::broker::{
    Delivery,
    bindings::Change,
    link::{self, Link, Publisher},
};

/// Time for a connection with its topology, and for each later exchange with the server.
const OPEN_TIME: Duration = Duration::from_secs(5);
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// How often the server is asked for a sign of life. A frozen server is noticed within `PROBE + ANSWER_TIME`, also when nobody publishes.
const PROBE: Duration = Duration::from_secs(3);
/// Heartbeat in seconds, so that the server frees the queue of a gateway that vanished.
const HEARTBEAT: u16 = 10;
/// How often bindings without references are looked through.
const SWEEP: Duration = Duration::from_secs(5);
/// Deliveries the server may send ahead of their acknowledgement.
const PREFETCH: u16 = 500;
/// Bindings in one exchange with the server.
const BATCH: usize = 512;

pub(in crate::broker) struct Session {
    subscribing: Wire,
    publishing: Wire,
    publisher: Channel,
    /// Declares, binds and probes.
    control: Channel,
    /// Consumes; on a channel of its own, so that a binding is not queued behind acknowledgements.
    consuming: Channel,
    queues: Queues,
}

impl link::Session for Session {
    type Server = RabbitSettings;
    type Error = SessionError;

    async fn open(settings: &RabbitSettings) -> Result<Self, SessionError> {
        timeout(OPEN_TIME, Self::open_now(settings)).await.unwrap_or(Err(SessionError::Timeout("connecting")))
    }

    async fn serve(self, link: &Link<RabbitSettings>, deliveries: &mpsc::Sender<Delivery>) -> Result<(), SessionError> {
        while !link.bindings().try_online() {
            self.settle(link).await?;
        }
        let main = consumer::start(&self.consuming, self.queues.main.clone()).await?;
        let dropped = consumer::start(&self.consuming, self.queues.dropped.clone()).await?;
        let session = link.stands(self.publisher.clone());
        tracing::info!(queue = %self.queues.main, "connected to RabbitMQ");
        let outcome = tokio::select! {
            outcome = consumer::forward(main, &self.consuming, deliveries) => outcome,
            outcome = consumer::watch_dropped(dropped, link) => outcome,
            outcome = self.keep(link, session) => outcome,
            error = self.suspected(link, session) => Err(error),
        };
        if outcome.is_err() {
            [&self.subscribing, &self.publishing].into_iter().for_each(Wire::tear);
        }
        outcome
    }
}

impl Session {
    /// Connects and declares everything.
    async fn open_now(settings: &RabbitSettings) -> Result<Self, SessionError> {
        let text = read(&settings.uri_file).await?;
        let certificates = Certificates::read(settings).await?;
        // Further lines are to come, or on their way out.
        let uri = parse(settings, text.trim().lines().next().unwrap_or_default())?;
        let connect =
            |purpose: &str| Wire::open(uri.clone(), format!("{} {purpose}", settings.gateway), certificates.clone());
        let subscribing = Box::pin(connect("consume")).await?;
        let publishing = Box::pin(connect("publish")).await?;
        let publisher = publishing.amqp().create_channel().await?;
        publisher.confirm_select(ConfirmSelectOptions::default()).await?;
        let control = subscribing.amqp().create_channel().await?;
        let queues = topology::declare(&control, settings).await?;
        let consuming = subscribing.amqp().create_channel().await?;
        consuming.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        Ok(Self { subscribing, publishing, publisher, control, consuming, queues })
    }

    /// Keeps bindings as wanted, and asks the server for signs of life.
    async fn keep(&self, link: &Link<RabbitSettings>, session: u64) -> Result<(), SessionError> {
        let mut probe = interval(PROBE);
        let mut sweep = interval(SWEEP);
        probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = link.bindings().wait() => while self.settle(link).await? {},
                _ = sweep.tick() => link.bindings().sweep(),
                _ = probe.tick() => {
                    self.probe().await?;
                    self.look_at_publishing(link, session);
                }
            }
        }
    }

    /// Brings one batch of bindings to the server; false when there was nothing to do.
    async fn settle(&self, link: &Link<RabbitSettings>) -> Result<bool, SessionError> {
        let changes: Vec<Change> = link.bindings().take(BATCH);
        if changes.is_empty() {
            return Ok(false);
        }
        timeout(ANSWER_TIME, topology::apply(&self.control, &self.queues, &changes))
            .await
            .map_err(|_| SessionError::Timeout("binding"))??;
        link.bindings().confirm(&changes);
        Ok(true)
    }

    /// Returns when publishes go unconfirmed for no good reason. A server that is short of memory does not confirm either, but says so,
    /// and a new connection would not help.
    async fn suspected(&self, link: &Link<RabbitSettings>, session: u64) -> SessionError {
        loop {
            link.suspected(session).await;
            self.look_at_publishing(link, session);
            if link.publisher().is_some() {
                return SessionError::Suspected;
            }
        }
    }

    fn look_at_publishing(&self, link: &Link<RabbitSettings>, session: u64) {
        match (self.publishing.amqp().status().blocked(), link.publisher()) {
            (true, Some(_)) => link.blocked("it is short of memory or disk space"),
            (false, None) => link.unblocked(Publisher { channel: self.publisher.clone(), session }),
            _ => {}
        }
    }

    async fn probe(&self) -> Result<(), SessionError> {
        let passive = QueueDeclareOptions { passive: true, ..Default::default() };
        let asked = self.control.queue_declare(self.queues.main.clone(), passive, FieldTable::default());
        timeout(ANSWER_TIME, asked).await.map_err(|_| SessionError::Timeout("answering a probe"))??;
        // The publishing connection has nothing to ask for; its own state is enough, as heartbeats end it.
        if !self.publisher.status().connected() {
            return Err(SessionError::Timeout("keeping the publishing connection"));
        }
        Ok(())
    }
}

fn parse(settings: &RabbitSettings, text: &str) -> Result<AMQPUri, SessionError> {
    let mut uri: AMQPUri = text.trim().parse().map_err(|_| {
        // The parser's words may repeat the text, password included.
        SessionError::Uri(format!("{} holds no amqp:// or amqps:// URI", settings.uri_file.display()))
    })?;
    uri.query.heartbeat = Some(HEARTBEAT);
    Ok(uri)
}

/// Whether the server lets somebody in who comes by this URI.
pub(in crate::broker) async fn takes(settings: &RabbitSettings, uri: &str) -> bool {
    let visit = async {
        let certificates = Certificates::read(settings).await?;
        let name = format!("{} try", settings.gateway);
        let wire = Box::pin(Wire::open(parse(settings, uri)?, name, certificates)).await?;
        wire.amqp().close(200, "tried".into()).await?;
        Ok::<(), SessionError>(())
    };
    timeout(OPEN_TIME, visit).await.is_ok_and(|outcome| outcome.is_ok())
}

pub(super) async fn read(file: &Path) -> Result<String, SessionError> {
    tokio::fs::read_to_string(file).await.map_err(|error| SessionError::Uri(format!("{}: {error}", file.display())))
}
