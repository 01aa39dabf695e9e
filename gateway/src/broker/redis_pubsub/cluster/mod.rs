//! A session with a Redis Cluster of version 7 or newer, or Valkey, over sharded Pub/Sub: a message goes to the node that owns its channel's
//! slot and to nobody else, so that nodes share the load.
//!
//! - Keys are divided into partitions, each in one slot ([`partitions`]), and the unit of everything here is the partition.
//! - Each node that owns one has two connections of this gateway: one subscribes ([`subscriber`]), one publishes.
//! - A node that dies, a slot that moves and an unsubscription by the server are followed within the session: whoever owns the slot then is
//!   subscribed to, and the epoch rises once all bindings stand. Meanwhile the other nodes go on, and `/stats` says which is away.
//! - The session ends only when no node is left, or nobody names the owners of slots.

mod fleet;
mod node;
mod partitions;
mod routes;
mod slot;
mod subscriber;
mod topology;
mod work;

use std::{sync::Arc, time::Duration};

use chat_gateway_config::stats::Component;
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};

pub(in crate::broker) use self::routes::Routes;
use self::{
    fleet::Fleet,
    partitions::Partitions,
    subscriber::{Event, Sinks},
};
use super::{
    PROBE, Publishing, RedisPubSubSettings, SWEEP,
    inbox::{Outlet, inbox},
    reason::SessionError,
};
use crate::broker::{Delivery, bindings::Bindings, link::Link};

/// Time for one node's answer. Shorter than with a single server, since all others wait while one is asked.
const NODE_ANSWER: Duration = Duration::from_secs(3);
/// Time for the connections to one node.
const NODE_OPEN: Duration = Duration::from_secs(2);
/// Slots often move several at a time; what happens within this time is followed together.
const GATHER: Duration = Duration::from_millis(50);
/// First and longest pause before the cluster is looked at again while something is missing.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

pub(in crate::broker) struct Session {
    fleet: Fleet,
    outlet: Outlet,
    events: mpsc::UnboundedReceiver<Event>,
    doubt: Arc<Notify>,
    missing: Option<Component>,
}

impl Session {
    /// Finds the nodes and connects to all that answer.
    pub(super) async fn open(settings: &RedisPubSubSettings) -> Result<Self, SessionError> {
        let (inbox, outlet) = inbox(settings.held_bytes);
        let (sender, events) = mpsc::unbounded_channel();
        let partitions = Arc::new(Partitions::new(&settings.cluster));
        let mut fleet = Fleet::new(settings.redis.clone(), Sinks { partitions, inbox, events: sender });
        // No binding was made yet, so none has to be made again.
        let (missing, _) = fleet.look(&Bindings::new(Duration::ZERO)).await?;
        Ok(Self { fleet, outlet, events, doubt: Arc::default(), missing })
    }

    /// Serves until no node is left; `Ok` means that nobody takes deliveries any more.
    pub(super) async fn serve(
        self,
        link: &Link<RedisPubSubSettings>,
        deliveries: &mpsc::Sender<Delivery>,
    ) -> Result<(), SessionError> {
        let Self { mut fleet, outlet, events, doubt, mut missing } = self;
        while !link.bindings().try_online() {
            missing = fleet.settle(link.bindings()).await.or(missing);
        }
        let partitions = Arc::clone(fleet.partitions());
        let routes = Routes { partitions, table: fleet.table(), doubt: Arc::clone(&doubt) };
        let is_whole = missing.is_none();
        let session = match missing {
            None => link.stands(Publishing::Cluster(routes)),
            Some(missing) => link.stands_in_part(Publishing::Cluster(routes), missing),
        };
        tracing::info!(nodes = fleet.nodes(), "connected to Redis Pub/Sub on a cluster");
        let mut keeper = Keeper { fleet, link, events, doubt, is_whole, was_lost: false };
        tokio::select! {
            outcome = outlet.forward(link, deliveries) => outcome,
            outcome = keeper.keep(session) => outcome,
        }
    }
}

/// Keeps connections and subscriptions as wanted.
struct Keeper<'a> {
    fleet: Fleet,
    link: &'a Link<RedisPubSubSettings>,
    events: mpsc::UnboundedReceiver<Event>,
    /// Somebody had a publish refused.
    doubt: Arc<Notify>,
    is_whole: bool,
    /// Whether partitions were without a subscription since the hub was last told.
    was_lost: bool,
}

impl Keeper<'_> {
    async fn keep(&mut self, session: u64) -> Result<(), SessionError> {
        let (mut probe, mut sweep) = (interval(PROBE), interval(SWEEP));
        probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pause = FIRST_PAUSE;
        let mut again_at = Instant::now() + pause;
        loop {
            let mut is_due = false;
            tokio::select! {
                () = self.link.bindings().wait() => {}
                _ = sweep.tick() => self.link.bindings().sweep(),
                Some(event) = self.events.recv() => is_due = self.fleet.note(event),
                () = self.doubt.notified() => is_due = true,
                // Publishes go unanswered: the probe tells where.
                () = self.link.suspected(session) => {
                    self.fleet.probe().await;
                    is_due = true;
                }
                _ = probe.tick() => {
                    self.fleet.probe().await;
                    is_due = true;
                }
                () = sleep_until(again_at), if !self.is_whole => is_due = true,
            }
            if is_due {
                self.look().await?;
            } else {
                self.settle(None).await;
            }
            if self.is_whole {
                pause = FIRST_PAUSE;
            } else if is_due {
                pause = (pause * 2).min(LONGEST_PAUSE);
                again_at = Instant::now() + pause;
            } else {
                again_at = again_at.min(Instant::now() + pause);
            }
        }
    }

    async fn look(&mut self) -> Result<(), SessionError> {
        sleep(GATHER).await;
        while let Ok(event) = self.events.try_recv() {
            self.fleet.note(event);
        }
        let (missing, has_moved) = self.fleet.look(self.link.bindings()).await?;
        self.was_lost |= has_moved;
        self.settle(Some(missing)).await;
        Ok(())
    }

    /// Makes what is due, and tells how things stand; `looked` is what a look at the cluster found missing.
    async fn settle(&mut self, looked: Option<Option<Component>>) {
        let trouble = self.fleet.settle(self.link.bindings()).await;
        match (trouble, looked) {
            (Some(missing), _) | (None, Some(Some(missing))) => {
                self.is_whole = false;
                self.link.in_part(missing);
            }
            (None, Some(None)) => {
                if self.was_lost || !self.is_whole {
                    self.link.whole_again();
                }
                (self.is_whole, self.was_lost) = (true, false);
            }
            // Nobody looked: what was missing still is.
            (None, None) => {}
        }
    }
}
