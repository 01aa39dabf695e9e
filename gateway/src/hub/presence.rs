//! Tells the members of a user's rooms that the user came or went.

use std::{sync::Arc, time::Duration};

use super::{Hub, event::Event};
use crate::{
    broker::Key,
    connection::session::Session,
    model::{RoomId, UserId},
    protocol::answer::PresenceState,
};

/// How long a user stays online after the last connection ended: a reconnect within it is silent.
const LINGER: Duration = Duration::from_secs(3);

impl Hub {
    /// Counts a session in.
    pub async fn arrived(&self, session: &Session) {
        if self.services.presence.arrive(session.user.id).await {
            let rooms = self.rooms_to_tell(session.user.id, Self::known_rooms(session)).await;
            self.tell_presence(session.user.id, &rooms, PresenceState::Online).await;
        }
    }

    /// The rooms of the session's user, where its connection follows them all.
    #[must_use]
    pub(crate) fn known_rooms(session: &Session) -> Option<Vec<RoomId>> {
        session.codec.follows_all().then(|| session.rooms())
    }

    /// Counts a session out, a little later. `rooms` are those it followed; `None` when that says nothing about its user's rooms.
    pub fn departed(self: &Arc<Self>, user: UserId, rooms: Option<Vec<RoomId>>) {
        let hub = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(LINGER).await;
            if hub.services.presence.leave(user).await {
                let rooms = hub.rooms_to_tell(user, rooms).await;
                hub.tell_presence(user, &rooms, PresenceState::Offline).await;
            }
        });
    }

    /// The rooms that hear of a user. While the store cannot say which those are, they do not: presence is worth no error.
    pub(super) async fn rooms_to_tell(&self, user: UserId, known: Option<Vec<RoomId>>) -> Vec<RoomId> {
        match known {
            Some(rooms) => rooms,
            None => self.services.store.room_ids(user).await.unwrap_or_default(),
        }
    }

    pub(super) async fn tell_presence(&self, user: UserId, rooms: &[RoomId], state: PresenceState) {
        let change = rand::random();
        for room in rooms {
            self.hint(Key::Room(*room), Event::Presence { user, state, change }).await;
        }
    }
}
