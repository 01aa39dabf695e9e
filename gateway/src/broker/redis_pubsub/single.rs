//! A session with one server, as the URL names it or sentinels do: a subscribing and a publishing connection, from the first byte to the error
//! that ends them. Channels are named `<namespace>/<name>/room:<id>` and `.../user:<id>`.

use std::{convert::Infallible, time::Duration};

use redis::{AsyncConnectionConfig, Client, ProtocolVersion, PushInfo, PushKind, aio::MultiplexedConnection};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use super::{
    ANSWER_TIME, BATCH, PROBE, Publishing, RedisPubSubSettings, SWEEP,
    inbox::{Inbox, Outlet, inbox, message},
    reason::SessionError,
};
use crate::{
    broker::{Delivery, Key, bindings::Change, link::Link},
    redis_server::{Place, Way, down, greet},
};

/// How often the sentinels are asked whether they mean another server by now. A failover that this connection survives is one that the server
/// was not told of, for it could not be reached: rare, and found out by receivers within seconds as well.
const SENTINELS: Duration = Duration::from_secs(10);

pub(in crate::broker) struct Session {
    place: Place,
    names: Names,
    subscriber: MultiplexedConnection,
    publisher: MultiplexedConnection,
    outlet: Outlet,
}

/// Names of channels.
#[derive(Clone)]
struct Names(String);

impl Names {
    fn channel(&self, key: Key) -> String {
        format!("{}/{key}", self.0)
    }

    fn key(&self, channel: &str) -> Option<Key> {
        Key::parse(channel.strip_prefix(&self.0)?.strip_prefix('/')?)
    }

    /// Takes what the subscribing connection reads.
    fn take(&self, push: PushInfo, inbox: &Inbox) {
        match push.kind {
            PushKind::Message => {
                if let Some((channel, body)) = message(push.data)
                    && let Some(key) = self.key(&channel)
                {
                    inbox.put(key, body);
                }
            }
            PushKind::Disconnection => inbox.end(),
            // Confirmations are awaited where they were asked for.
            _ => {}
        }
    }
}

/// What publishes go through.
#[derive(Clone)]
pub(in crate::broker) struct Channel {
    names: Names,
    connection: MultiplexedConnection,
}

impl Channel {
    /// Publishes and returns once the server has taken it.
    pub(super) async fn publish(&self, key: Key, body: &[u8]) -> Result<(), SessionError> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(self.names.channel(key)).arg(body);
        command.query_async::<u64>(&mut self.connection.clone()).await?;
        Ok(())
    }
}

impl Session {
    /// Finds the server and connects twice.
    pub(super) async fn open(settings: &RedisPubSubSettings, way: Way) -> Result<Self, SessionError> {
        let no_cluster = || down("InvalidUrl", "the URL of a Redis Cluster leads to no single server");
        let place = Place::find(way, &settings.redis).await?.ok_or_else(no_cluster)?;
        let client = Client::open(place.speaking(ProtocolVersion::RESP3))?;
        let (inbox, outlet) = inbox(settings.held_bytes);
        let names = Names(settings.cluster.clone());
        let taking = names.clone();
        let answering = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_TIME));
        let listening = answering.clone().set_push_sender(move |push| {
            taking.take(push, &inbox);
            Ok::<(), Infallible>(())
        });
        let mut session = Self {
            subscriber: client.get_multiplexed_async_connection_with_config(&listening).await?,
            publisher: client.get_multiplexed_async_connection_with_config(&answering).await?,
            place,
            names,
            outlet,
        };
        for connection in [&mut session.subscriber, &mut session.publisher] {
            probe(&session.place, connection).await?;
        }
        Ok(session)
    }

    /// Serves until something fails; `Ok` means that nobody takes deliveries any more.
    pub(super) async fn serve(
        self,
        link: &Link<RedisPubSubSettings>,
        deliveries: &mpsc::Sender<Delivery>,
    ) -> Result<(), SessionError> {
        let Self { place, names, mut subscriber, publisher, outlet } = self;
        while !link.bindings().try_online() {
            settle(&mut subscriber, &names, link).await?;
        }
        let channel = Channel { names: names.clone(), connection: publisher.clone() };
        let session = link.stands(Publishing::Single(channel));
        tracing::info!(address = %place.connection_info().addr(), "connected to Redis Pub/Sub");
        tokio::select! {
            outcome = outlet.forward(link, deliveries) => outcome,
            outcome = keep(&place, &names, [subscriber, publisher], link) => outcome,
            () = superseded(&place) => Err(SessionError::Moved),
            () = link.suspected(session) => Err(SessionError::Suspected),
        }
    }
}

/// Returns when the sentinels, if there are any, mean another server.
async fn superseded(place: &Place) {
    loop {
        tokio::time::sleep(SENTINELS).await;
        if !place.is_current().await {
            return;
        }
    }
}

/// Asks for a sign of life; a server that sentinels named must also be the primary still.
async fn probe(place: &Place, connection: &mut MultiplexedConnection) -> Result<(), SessionError> {
    match place {
        Place::Named(_) => drop(redis::cmd("PING").query_async::<String>(connection).await?),
        Place::Elected(..) => place.accept(&greet(connection).await?)?,
    }
    Ok(())
}

/// Keeps subscriptions as wanted, and asks for signs of life on both connections.
async fn keep(
    place: &Place,
    names: &Names,
    [mut subscriber, mut publisher]: [MultiplexedConnection; 2],
    link: &Link<RedisPubSubSettings>,
) -> Result<(), SessionError> {
    let mut due = interval(PROBE);
    let mut sweep = interval(SWEEP);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = link.bindings().wait() => while settle(&mut subscriber, names, link).await? {},
            _ = sweep.tick() => link.bindings().sweep(),
            _ = due.tick() => {
                for connection in [&mut subscriber, &mut publisher] {
                    probe(place, connection).await?;
                }
            }
        }
    }
}

/// Brings one batch of subscriptions to the server; false when there was nothing to do.
async fn settle(
    subscriber: &mut MultiplexedConnection,
    names: &Names,
    link: &Link<RedisPubSubSettings>,
) -> Result<bool, SessionError> {
    let changes = link.bindings().take(BATCH);
    if changes.is_empty() {
        return Ok(false);
    }
    let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
    for change in &changes {
        match change {
            Change::Bind(key) => wanted.push(names.channel(*key)),
            Change::Unbind(key) => unwanted.push(names.channel(*key)),
        }
    }
    if !unwanted.is_empty() {
        subscriber.unsubscribe(&unwanted).await?;
    }
    if !wanted.is_empty() {
        subscriber.subscribe(&wanted).await?;
    }
    link.bindings().confirm(&changes);
    Ok(true)
}
