//! Who was a member of which room when: noted in the moment in which the store changes it, so that the oracle knows no less than the store.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chat_gateway::{
    model::{RoomId, Seq, UserId},
    store::{OutboxEvent, StoredEvent},
};

#[derive(Default)]
pub(crate) struct Chronicle {
    rooms: Mutex<HashMap<RoomId, Vec<Change>>>,
}

/// A change of members.
struct Change {
    user: UserId,
    joined: bool,
    /// The room's newest entry at that moment.
    seq: Seq,
}

impl Chronicle {
    /// Takes what a write of the store came to, when the newest entry of its room was `seq`.
    pub(crate) fn note(&self, events: &[OutboxEvent], seq: Seq) {
        let mut rooms = self.lock();
        for OutboxEvent { event, .. } in events {
            let (room, user, joined) = match event {
                StoredEvent::Joined { room, user, .. } => (*room, *user, true),
                StoredEvent::Left { room, user, .. } => (*room, *user, false),
                StoredEvent::Message { .. } | StoredEvent::Role { .. } => continue,
            };
            rooms.entry(room).or_default().push(Change { user, joined, seq });
        }
    }

    pub(crate) fn is_member(&self, room: RoomId, user: UserId) -> bool {
        self.lock().get(&room).and_then(|changes| newest(changes, user)).is_some_and(|change| change.joined)
    }

    /// Whether an entry may reach a user now: a member has the whole log to read, and who was removed what was said before.
    pub(crate) fn may_have(&self, room: RoomId, user: UserId, seq: Seq) -> bool {
        let rooms = self.lock();
        let change = rooms.get(&room).and_then(|changes| newest(changes, user));
        change.is_some_and(|change| change.joined || seq <= change.seq)
    }

    /// How often somebody came to a room and went from one, the first members left out.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let rooms = self.lock();
        let changes = || rooms.values().flatten().filter(|change| change.seq > 0);
        (changes().filter(|change| change.joined).count(), changes().filter(|change| !change.joined).count())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RoomId, Vec<Change>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn newest(changes: &[Change], user: UserId) -> Option<&Change> {
    changes.iter().rev().find(|change| change.user == user)
}
