//! Leads events to those on this gateway whom they concern: room events to room workers, user events to that user's sessions.

use std::{sync::Arc, time::SystemTime};

use tokio::sync::Notify;

use super::{
    event::{Envelope, Event},
    registry::Registry,
    revocation::Suspects,
    worker::{Command, WorkerHandle},
};
use crate::{
    broker::{Delivery, Key},
    codec::Shared,
    connection::{queue::Class, session::Control},
    model::{RoomId, UserId},
    protocol::ClientEvent,
    traces::Tracer,
};

/// Shared by the hub, the broker's pump and the relay.
pub(crate) struct Dispatch {
    pub(super) registry: Registry,
    /// Users of whom sessions may have ended.
    pub(super) suspects: Suspects,
    /// Wakes the comparison of rooms with the store before its time.
    pub(super) compare: Notify,
    pub(super) workers: Vec<WorkerHandle>,
    /// Number of this process among all gateways, drawn at start: a restarted gateway keeps its name but not its number.
    pub(super) origin: u64,
    pub(super) tracer: Tracer,
}

impl Dispatch {
    /// The worker that owns a room. Always the same one, which keeps the room's events in order.
    pub(super) fn worker(&self, room: RoomId) -> &WorkerHandle {
        let hash = room.0.as_u64_pair().1;
        let count = self.workers.len() as u64;
        // The remainder is below the number of workers, so it fits.
        &self.workers[usize::try_from(hash % count).unwrap_or(0)]
    }

    /// An envelope of this gateway.
    pub(crate) fn envelope(&self, events: Vec<Event>) -> Envelope {
        Envelope { origin: self.origin, events }
    }

    /// Takes what the broker brought. A body that cannot be read is dropped: the store has what matters.
    pub(super) async fn delivery(&self, Delivery { key, body }: Delivery) {
        let received = self.tracer.clock();
        match Envelope::decode(&body) {
            Ok(Envelope { origin, mut events }) => {
                let own = origin == self.origin;
                if own {
                    if let Key::User(user) = key {
                        self.tell_again(user, &events);
                    }
                    // They took effect here when they were published; messages are kept in case that copy was dropped.
                    events.retain_mut(|event| match event {
                        // Its trace has what became of it here.
                        Event::Message { traceparent, .. } => {
                            *traceparent = None;
                            true
                        }
                        _ => false,
                    });
                }
                self.give(key, own, events, received).await;
            }
            Err(error) => tracing::warn!(%key, %error, "the broker brought something that is no envelope"),
        }
    }

    /// Gives events of a key to those whom they concern.
    pub(crate) async fn deliver(&self, key: Key, own: bool, events: Vec<Event>) {
        self.give(key, own, events, None).await;
    }

    /// The same for what came out of the broker at `received`, where traces want that known.
    async fn give(&self, key: Key, own: bool, events: Vec<Event>, received: Option<SystemTime>) {
        if events.is_empty() {
            return;
        }
        match key {
            Key::Room(room) => self.worker(room).tell(Command::Events { room, own, events, received }).await,
            Key::User(user) => self.tell_user(user, &events),
        }
    }

    /// Tells a user's connections once more what rooms they are in now. One that was made after the news and before the room list was
    /// brought up to date has heard of the room from neither; whoever follows it already does nothing.
    fn tell_again(&self, user: UserId, events: &[Event]) {
        let added = events.iter().filter_map(|event| match event {
            Event::RoomAdded { room } => Some(*room),
            _ => None,
        });
        for room in added {
            for session in self.registry.of(user).into_iter().filter(|session| session.codec.follows_all()) {
                session.control(Control::RoomAdded(room));
            }
        }
    }

    fn tell_user(&self, user: UserId, events: &[Event]) {
        let sessions: Vec<Arc<_>> = self.registry.of(user);
        for event in events {
            let control = match event {
                Event::RoomAdded { room } => Control::RoomAdded(*room),
                Event::RoomRemoved { room } => Control::RoomRemoved(*room),
                Event::Muted { room, until } => {
                    let event = Shared::new(ClientEvent::Muted { room: *room, until: *until });
                    for session in &sessions {
                        session.push(event.frame(session.codec).clone(), Class::Kept);
                    }
                    continue;
                }
                Event::SessionsEnded => {
                    if !sessions.is_empty() {
                        self.suspects.add(user);
                    }
                    continue;
                }
                _ => continue,
            };
            sessions.iter().for_each(|session| session.control(control));
        }
    }
}
