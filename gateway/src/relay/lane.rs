//! Publishes committed events: those of one room in order and several in one publish, those of different rooms side by side.

use std::{collections::HashMap, sync::Arc};

use futures::{StreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{finisher::Finisher, heard_by, room_of, waiting::Waiting};
use crate::{
    broker::Key,
    delivery::Counted,
    hub::{Dispatch, event::Event},
    model::RoomId,
    services::Services,
    store::{OutboxEvent, OutboxKey, StoredEvent},
    traces::Open,
};

/// Events taken at once.
const BATCH: usize = 256;

/// Rooms whose events are published at the same time: a window of confirms instead of one round trip each.
const ROOMS: usize = 32;

/// Bytes of message bodies in one publish, so that a batch of long messages does not become a frame of megabytes.
const PUBLISH_BYTES: usize = 128 * 1024;

/// What the span of a publish says that the broker did not take: the outbox has the message, and brings it later without a trace.
const LATER: &str = "published_later";

/// Serves one lane.
pub(super) async fn run(
    services: Arc<Services>,
    dispatch: Arc<Dispatch>,
    finisher: Finisher,
    mut inbox: mpsc::Receiver<Waiting>,
) {
    let carrier = Carrier { services, dispatch, finisher };
    let mut batch = Vec::with_capacity(BATCH);
    while inbox.recv_many(&mut batch, BATCH).await > 0 {
        let mut rooms: HashMap<RoomId, Vec<Waiting>> = HashMap::new();
        for waiting in batch.drain(..) {
            rooms.entry(room_of(&waiting.event.event)).or_default().push(waiting);
        }
        stream::iter(rooms).for_each_concurrent(ROOMS, |(room, events)| carrier.carry(room, events)).await;
    }
}

struct Carrier {
    services: Arc<Services>,
    dispatch: Arc<Dispatch>,
    finisher: Finisher,
}

impl Carrier {
    /// Carries the events of one room; after a failure the rest stays in the outbox, so that order is kept.
    async fn carry(&self, room: RoomId, events: Vec<Waiting>) {
        let mut messages = Messages::default();
        for Waiting { event: OutboxEvent { key, event }, place, publish } in events {
            match event {
                StoredEvent::Message { message, removal } => {
                    let bytes = message.body.len();
                    messages.bytes += bytes;
                    messages.keys.push(key);
                    messages.places.push(place);
                    let traceparent = publish.as_ref().and_then(|publish| publish.context());
                    messages.publishes.extend(publish.map(|publish| *publish));
                    messages.events.push(Event::Message { message, removal, traceparent });
                    if messages.bytes >= PUBLISH_BYTES && !self.publish_messages(room, &mut messages).await {
                        return;
                    }
                }
                membership => {
                    if !self.publish_messages(room, &mut messages).await
                        || !self.publish_membership(key, &membership).await
                    {
                        return;
                    }
                }
            }
        }
        self.publish_messages(room, &mut messages).await;
    }

    async fn publish_messages(&self, room: RoomId, messages: &mut Messages) -> bool {
        let Messages { keys, events, places: _places, publishes, .. } = std::mem::take(messages);
        if events.is_empty() {
            return true;
        }
        let published = u32::try_from(events.len()).unwrap_or(u32::MAX);
        if !self.publish(Key::Room(room), events).await {
            publishes.into_iter().for_each(|publish| publish.fail(LATER));
            return false;
        }
        publishes.into_iter().for_each(|publish| publish.end());
        self.services.books.count(room, Counted { published, ..Counted::default() });
        keys.into_iter().for_each(|key| self.finisher.finish(key));
        true
    }

    async fn publish_membership(&self, key: OutboxKey, event: &StoredEvent) -> bool {
        // First the room list, then the news: who hears of a room and asks for the list finds it there.
        let applied = self.services.store.apply_membership(event).await;
        if let Err(error) = &applied {
            tracing::debug!(%error, "a room list is brought up to date later");
        }
        for (routing_key, heard) in heard_by(event, None) {
            if !self.publish(routing_key, vec![heard]).await {
                return false;
            }
        }
        if applied.is_ok() {
            self.finisher.finish(key);
        }
        true
    }

    async fn publish(&self, key: Key, events: Vec<Event>) -> bool {
        // Asked each time: when the connection broke, nothing waits for its time budget again and again.
        if !self.services.broker.state().borrow().component.available {
            return false;
        }
        match self.services.broker.publish(key, self.dispatch.envelope(events).encode()).await {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%key, %error, "published later from the outbox");
                false
            }
        }
    }
}

/// Messages gathered for one publish.
#[derive(Default)]
struct Messages {
    keys: Vec<OutboxKey>,
    events: Vec<Event>,
    /// Held until they were published, or failed to be.
    places: Vec<OwnedSemaphorePermit>,
    /// Spans of those that are traced.
    publishes: Vec<Open>,
    bytes: usize,
}
