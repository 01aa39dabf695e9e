//! Events that wait in a lane or are being published: bounded in number and in bytes, since a broker that stops answering is noticed after
//! seconds, in which a busy gateway takes in what nobody carries on.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::{
    store::{OutboxEvent, StoredEvent},
    traces::Stage,
};

/// Events that wait in one lane; more stay in the outbox only.
const EVENTS: usize = 1_024;

/// Bytes of message bodies in one lane, waiting or being published; more stay in the outbox only.
const BYTES: usize = 2 * 1024 * 1024;

/// An event with its room in the lane, which it gives back when it is dropped.
pub(super) struct Waiting {
    pub(super) event: OutboxEvent,
    /// What it takes of the lane's bytes.
    pub(super) place: OwnedSemaphorePermit,
    /// Ends when the broker has it, of the few that are traced.
    pub(super) publish: Stage,
}

/// Leads into a lane.
pub(super) struct Entrance {
    lane: mpsc::Sender<Waiting>,
    bytes: Arc<Semaphore>,
}

/// A lane, empty.
pub(super) fn lane() -> (Entrance, mpsc::Receiver<Waiting>) {
    let (lane, inbox) = mpsc::channel(EVENTS);
    (Entrance { lane, bytes: Arc::new(Semaphore::new(BYTES)) }, inbox)
}

impl Entrance {
    /// Puts an event in; false when the lane is full and the event stays in the outbox only.
    pub(super) fn offer(&self, event: OutboxEvent, publish: Stage) -> bool {
        let bytes = match &event.event {
            StoredEvent::Message { message, .. } => message.body.len(),
            _ => 0,
        };
        // A body is far shorter than 4 GiB.
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        match Arc::clone(&self.bytes).try_acquire_many_owned(bytes) {
            Ok(place) => self.lane.try_send(Waiting { event, place, publish }).is_ok(),
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::{
        model::{Content, MessageId, RoomId, UserId},
        store::{NewMessage, OutboxKey},
    };

    fn saying(body: &str) -> OutboxEvent {
        let new = NewMessage {
            room: RoomId(Uuid::nil()),
            message_id: MessageId(Uuid::nil()),
            sender: UserId(Uuid::nil()),
            content: Content::text(body),
        };
        let message = new.stored(1, "ann".into(), Timestamp::UNIX_EPOCH, Vec::new());
        OutboxEvent { key: OutboxKey { slot: 0, id: Uuid::nil() }, event: StoredEvent::Message { message, removal: 0 } }
    }

    #[test]
    fn long_bodies_fill_a_lane_before_their_number_does_and_make_room_when_they_are_gone() {
        let (entrance, mut inbox) = lane();
        let long = || saying(&"x".repeat(BYTES / 4));
        for _ in 0..4 {
            assert!(entrance.offer(long(), None));
        }
        assert!(!entrance.offer(long(), None), "the bytes are spent");
        let taken = inbox.try_recv();
        assert!(!entrance.offer(long(), None), "what is being published counts as well");
        drop(taken);
        assert!(entrance.offer(long(), None));
    }

    #[test]
    fn short_bodies_fill_a_lane_by_their_number() {
        let (entrance, _inbox) = lane();
        let offered = (0..2 * EVENTS).filter(|_| entrance.offer(saying("x"), None)).count();
        assert_eq!(offered, EVENTS);
        assert_eq!(entrance.bytes.available_permits(), BYTES - EVENTS, "those that were turned away take no room");
    }
}
