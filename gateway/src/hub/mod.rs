//! The hub: who is connected here, which rooms they follow, and the fan-out to them.
//!
//! Each connection gets every message of the rooms it follows exactly once and in seq order. The broker is a hint about what to
//! send; the store is the truth that gaps are filled from (see [`room`]), and the only one that says who is a member (see
//! [`membership`]). Room workers own the rooms and never wait for anything.

pub(crate) mod bounds;
mod census;
mod dispatch;
mod drain;
mod endings;
mod ephemera;
mod estates;
pub mod event;
mod follow;
mod heartbeat;
mod membership;
mod positions;
mod presence;
mod registry;
mod revocation;
mod room;
mod worker;

use std::sync::Arc;

use tokio::{
    sync::{Notify, Semaphore, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::dispatch::Dispatch;
pub use self::{drain::Whom, follow::Following};
use self::{event::Event, registry::Registry};
use crate::{
    broker::{Delivery, Key},
    connection::session::Session,
    delivery::audit,
    pipeline::RecentSends,
    relay::Relay,
    services::Services,
    store::OutboxEvent,
    traces::Sending,
};

/// Room workers. They only copy pointers into queues, so a few keep up with any broker connection.
const WORKERS: usize = 4;

/// Fills of gaps that run at once over all rooms: a restart of the broker must not take every connection of the store's pool.
const FILLS: usize = 16;

/// The hub of one gateway.
pub struct Hub {
    services: Arc<Services>,
    dispatch: Arc<Dispatch>,
    relay: Relay,
    /// Answers to the last sends over all connections.
    pub(crate) recent: RecentSends,
    started: Instant,
}

impl Hub {
    /// Starts the hub's tasks, which end with `stop`. `deliveries` is what the broker's constructor returned.
    #[must_use]
    pub fn start(services: Arc<Services>, deliveries: mpsc::Receiver<Delivery>, stop: &CancellationToken) -> Arc<Self> {
        let fills = Arc::new(Semaphore::new(FILLS));
        let dispatch = Arc::new(Dispatch {
            registry: Registry::new(),
            suspects: revocation::Suspects::default(),
            compare: Notify::new(),
            workers: (0..WORKERS)
                .map(|_| worker::start(Arc::clone(&services), Arc::clone(&fills), stop.clone()))
                .collect(),
            origin: rand::random(),
            tracer: services.tracer.clone(),
        });
        let relay = Relay::start(Arc::clone(&services), Arc::clone(&dispatch), stop);
        let hub = Arc::new(Self { services, dispatch, relay, recent: RecentSends::new(), started: Instant::now() });
        spawn(stop, pump(Arc::clone(&hub.dispatch), deliveries));
        spawn(stop, heartbeat::run(Arc::clone(&hub)));
        spawn(stop, revocation::watch_suspects(Arc::clone(&hub)));
        spawn(stop, revocation::compare_regularly(Arc::clone(&hub)));
        spawn(stop, endings::read_all(Arc::clone(&hub)));
        spawn(stop, estates::beat(Arc::clone(&hub)));
        spawn(stop, estates::inherit(Arc::clone(&hub)));
        spawn(stop, positions::watch_broker(Arc::clone(&hub)));
        spawn(stop, positions::check_regularly(Arc::clone(&hub)));
        spawn(stop, audit::run(Arc::clone(&hub.services.store), Arc::clone(&hub.services.books)));
        hub
    }

    /// Second of the hub's clock, for signs of life.
    #[must_use]
    pub fn second(&self) -> u32 {
        u32::try_from(self.started.elapsed().as_secs()).unwrap_or(u32::MAX)
    }

    /// Makes a session known, so that it hears of its user's rooms. From here on [`Hub::forget`] must follow.
    pub async fn register(&self, session: &Arc<Session>) {
        session.see(self.second());
        self.dispatch.registry.add(session);
        // While the broker is away it keeps the wish; there is nothing else to do about an error.
        if let Err(error) = self.services.broker.bind(Key::User(session.user.id)).await {
            tracing::debug!(%error, "a user's key could not be bound yet");
        }
    }

    /// Forgets a session whose connection has ended.
    pub async fn forget(&self, session: &Arc<Session>) {
        self.unfollow_all(session).await;
        self.dispatch.registry.remove(session);
        self.services.broker.unbind(Key::User(session.user.id));
    }

    /// Tells everyone what was committed: those here at once, the others through the relay.
    /// `sending` is the trace of the message that brought them.
    pub async fn announce(&self, events: Vec<OutboxEvent>, sending: Option<&Sending>) {
        self.relay.announce(events, sending).await;
    }

    /// Tells everyone under a key something that is worth nothing later. Dropped when there is too much of it or the broker is away.
    pub async fn hint(&self, key: Key, event: Event) {
        if !self.services.broker.is_alone() {
            self.relay.hint(key, event.clone());
        }
        self.dispatch.deliver(key, true, vec![event]).await;
    }
}

fn spawn(stop: &CancellationToken, task: impl Future<Output = ()> + Send + 'static) {
    let stop = stop.clone();
    tokio::spawn(async move { stop.run_until_cancelled(task).await });
}

/// Carries deliveries to the workers; while a worker is full it waits, and with it the broker's consumer.
async fn pump(dispatch: Arc<Dispatch>, mut deliveries: mpsc::Receiver<Delivery>) {
    while let Some(delivery) = deliveries.recv().await {
        dispatch.delivery(delivery).await;
    }
}
