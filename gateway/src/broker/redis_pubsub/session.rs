//! One session: a subscribing and a publishing connection, from the first byte to the error that ends them.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo as _, ProtocolVersion, aio::MultiplexedConnection,
    io::tcp::TcpSettings,
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use super::{
    RedisPubSubSettings,
    inbox::{Outlet, inbox},
    reason::SessionError,
};
use crate::{
    broker::{Delivery, bindings::Change, link::Link},
    settings,
};

/// Time for both connections, and for each later exchange with the server.
const OPEN_TIME: Duration = Duration::from_secs(5);
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// How often the server is asked for a sign of life. A frozen server is noticed within `PROBE + ANSWER_TIME`, also when nobody publishes.
const PROBE: Duration = Duration::from_secs(3);
/// How often subscriptions without references are looked through.
const SWEEP: Duration = Duration::from_secs(5);
/// An overflow drops many messages; the hub is told once in this time, after it.
const LOSS_PAUSE: Duration = Duration::from_secs(1);
/// Channels in one command. Centrifugo measured 512 as enough to make resubscribing cheap (its blog of 2026-06-29).
const BATCH: usize = 512;

pub(in crate::broker) struct Session {
    subscriber: MultiplexedConnection,
    publisher: MultiplexedConnection,
    outlet: Outlet,
}

impl Session {
    /// Connects twice.
    pub(super) async fn open(settings: &RedisPubSubSettings) -> Result<Self, SessionError> {
        timeout(OPEN_TIME, Self::open_now(settings)).await.unwrap_or(Err(SessionError::Timeout("connecting")))
    }

    async fn open_now(settings: &RedisPubSubSettings) -> Result<Self, SessionError> {
        let url = settings::read(&settings.url_file).map_err(|error| SessionError::Secret(error.to_string()))?;
        let address = url.into_connection_info().map_err(|_| SessionError::Url)?;
        let redis = address.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        // Publishes are small and waited for: Nagle's algorithm would add up to 40 ms to some.
        let at_once = TcpSettings::default().set_nodelay(true);
        let client = Client::open(address.set_redis_settings(redis).set_tcp_settings(at_once))?;
        let (inbox, outlet) = inbox(settings);
        let answering = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_TIME));
        let listening = answering.clone().set_push_sender(move |push| {
            inbox.take(push);
            Ok::<(), std::convert::Infallible>(())
        });
        Ok(Self {
            subscriber: client.get_multiplexed_async_connection_with_config(&listening).await?,
            publisher: client.get_multiplexed_async_connection_with_config(&answering).await?,
            outlet,
        })
    }

    /// Serves until something fails; `Ok` means that nobody takes deliveries any more.
    pub(super) async fn serve(
        self,
        link: &Link<RedisPubSubSettings>,
        deliveries: &mpsc::Sender<Delivery>,
    ) -> Result<(), SessionError> {
        let Self { mut subscriber, publisher, outlet } = self;
        while !link.bindings().try_online() {
            settle(&mut subscriber, link).await?;
        }
        let session = link.stands(publisher.clone());
        tracing::info!("connected to Redis Pub/Sub");
        tokio::select! {
            outcome = forward(outlet, link, deliveries) => outcome,
            outcome = keep(subscriber, publisher, link) => outcome,
            () = link.suspected(session) => Err(SessionError::Suspected),
        }
    }
}

/// Hands messages to the hub, in order, and tells it of losses a moment after it took them up again: the store has what is missing.
async fn forward(
    mut outlet: Outlet,
    link: &Link<RedisPubSubSettings>,
    hub: &mpsc::Sender<Delivery>,
) -> Result<(), SessionError> {
    let mut tell_at: Option<Instant> = None;
    loop {
        tokio::select! {
            next = outlet.next() => {
                let Some(delivery) = next else {
                    return Err(SessionError::Closed);
                };
                if hub.send(delivery).await.is_err() {
                    return Ok(());
                }
                if outlet.has_dropped() {
                    tell_at.get_or_insert_with(|| Instant::now() + LOSS_PAUSE);
                }
            }
            () = sleep_until(tell_at.unwrap_or_else(Instant::now)), if tell_at.is_some() => {
                tell_at = None;
                tracing::warn!("Redis brought messages faster than they could be passed on; some come from the store");
                link.lost_deliveries();
            }
        }
    }
}

/// Keeps subscriptions as wanted, and asks for signs of life on both connections.
async fn keep(
    mut subscriber: MultiplexedConnection,
    mut publisher: MultiplexedConnection,
    link: &Link<RedisPubSubSettings>,
) -> Result<(), SessionError> {
    let mut probe = interval(PROBE);
    let mut sweep = interval(SWEEP);
    probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = link.bindings().wait() => while settle(&mut subscriber, link).await? {},
            _ = sweep.tick() => link.bindings().sweep(),
            _ = probe.tick() => {
                for connection in [&mut subscriber, &mut publisher] {
                    redis::cmd("PING").query_async::<String>(connection).await?;
                }
            }
        }
    }
}

/// Brings one batch of subscriptions to the server; false when there was nothing to do.
async fn settle(
    subscriber: &mut MultiplexedConnection,
    link: &Link<RedisPubSubSettings>,
) -> Result<bool, SessionError> {
    let changes = link.bindings().take(BATCH);
    if changes.is_empty() {
        return Ok(false);
    }
    let channel = |key| link.server().channel(key);
    let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
    for change in &changes {
        match change {
            Change::Bind(key) => wanted.push(channel(*key)),
            Change::Unbind(key) => unwanted.push(channel(*key)),
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
