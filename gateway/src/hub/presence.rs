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
            self.tell_presence(session.user.id, &session.rooms(), PresenceState::Online).await;
        }
    }

    /// Counts a session out, a little later. `rooms` are those it followed.
    pub fn departed(self: &Arc<Self>, user: UserId, rooms: Vec<RoomId>) {
        let hub = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(LINGER).await;
            if hub.services.presence.leave(user).await {
                hub.tell_presence(user, &rooms, PresenceState::Offline).await;
            }
        });
    }

    pub(super) async fn tell_presence(&self, user: UserId, rooms: &[RoomId], state: PresenceState) {
        let change = rand::random();
        for room in rooms {
            self.hint(Key::Room(*room), Event::Presence { user, state, change }).await;
        }
    }
}
