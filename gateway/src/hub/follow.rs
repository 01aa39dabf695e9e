//! Which rooms a session follows. A binding stands before the room's position is read, so that nothing falls between the two.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::{StreamExt, stream};

use super::{Hub, worker::Command};
use crate::{
    broker::Key,
    connection::{
        queue::Class,
        session::{Control, Session},
    },
    model::{Room, RoomId, Seq},
    protocol::{ClientEvent, answer::PresenceState},
    store::{Place, StoreError},
};

/// Bindings that one session asks for at once.
const BINDS: usize = 32;

/// Rooms in one question for positions.
pub(super) const POSITIONS: usize = 500;

/// Wait before a membership that could not be checked is checked again.
const CHECK_RETRY: Duration = Duration::from_secs(1);

/// A room that a session is to follow, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Following {
    /// The room.
    pub room: RoomId,
    /// Everything up to this seq the session has.
    pub cursor: Seq,
    /// The room's member version at which the session's user was found to be a member; 0 when it is not known.
    pub member_version: i64,
}

impl Following {
    /// From the place where a member sees the room to stand.
    #[must_use]
    pub fn newest(view: &Room) -> Self {
        Self { room: view.id, cursor: view.last_seq, member_version: view.member_version }
    }
}

impl Hub {
    /// Follows rooms. Those that the session follows already are left as they are.
    pub async fn follow(&self, session: &Arc<Session>, rooms: &[Following]) {
        let new: Vec<_> = rooms.iter().copied().filter(|following| session.note_room(following.room)).collect();
        let ids: Vec<_> = new.iter().map(|following| following.room).collect();
        stream::iter(ids.iter().copied()).for_each_concurrent(BINDS, |room| self.bind(room)).await;
        let stored = self.stored_places(&ids).await;
        for following in new {
            let Following { room, cursor, .. } = following;
            // Where the store did not answer, the regular check of positions will.
            let place = stored.get(&room).copied().unwrap_or(Place { room, last_seq: cursor, removal: 0 });
            self.join_unless_removed(session, following, place).await;
        }
    }

    /// Notes that a session wants to follow one room, and finds out where the room stands; `None` when it follows it already. Unless
    /// it fails, [`Hub::enter`] or [`Hub::unfollow`] must come next.
    ///
    /// # Errors
    /// The store's, as when the user is no member. The room is then not followed.
    pub(crate) async fn open(&self, session: &Session, room: RoomId) -> Result<Option<Room>, StoreError> {
        // Before the store is asked, so that a removal meanwhile finds the room among those that are followed.
        if !session.note_room(room) {
            return Ok(None);
        }
        self.bind(room).await;
        let found = self.services.store.room(room, session.user.id).await;
        if found.is_err() && session.forget_room(room) {
            self.services.broker.unbind(Key::Room(room));
        }
        found.map(Some)
    }

    /// Begins delivery in a room that [`Hub::open`] found at `stored`.
    pub(crate) async fn enter(&self, session: &Arc<Session>, following: Following, stored: Seq) {
        let room = following.room;
        if !self.join_unless_removed(session, following, Place { room, last_seq: stored, removal: 0 }).await {
            // What told the client so came before the answer.
            session.tell(&ClientEvent::RoomRemoved { room }, Class::Kept);
        }
    }

    /// Joins a room; false when the session was removed from it while that was under way. That gave the binding back when there was
    /// nothing to leave yet, so what was just joined is left again.
    async fn join_unless_removed(&self, session: &Arc<Session>, following: Following, place: Place) -> bool {
        let room = following.room;
        self.join(session, following, place).await;
        let stays = session.follows(room);
        if !stays {
            self.dispatch.worker(room).tell(Command::Leave { room, session: session.id }).await;
        }
        stays
    }

    /// Ceases to follow a room; false when it was not followed.
    pub async fn unfollow(&self, session: &Arc<Session>, room: RoomId) -> bool {
        if !session.forget_room(room) {
            return false;
        }
        self.leave(session, room).await;
        true
    }

    async fn leave(&self, session: &Session, room: RoomId) {
        self.dispatch.worker(room).tell(Command::Leave { room, session: session.id }).await;
        self.services.broker.unbind(Key::Room(room));
    }

    pub(super) async fn unfollow_all(&self, session: &Arc<Session>) {
        for room in session.rooms() {
            self.unfollow(session, room).await;
        }
    }

    /// Finds out what a control is about, and acts on what the store says.
    pub async fn find_out(&self, session: &Arc<Session>, control: Control) {
        let outcome = match control {
            Control::RoomAdded(room) => self.maybe_added(session, room).await,
            Control::RoomRemoved(room) => self.maybe_removed(session, room).await,
            Control::Recheck => self.recheck(session).await,
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "a membership could not be checked yet");
            let session = Arc::downgrade(session);
            tokio::spawn(async move {
                tokio::time::sleep(CHECK_RETRY).await;
                if let Some(session) = session.upgrade() {
                    session.control(control);
                }
            });
        }
    }

    async fn maybe_added(&self, session: &Arc<Session>, room: RoomId) -> Result<(), StoreError> {
        if !session.codec.follows_all() {
            return self.tell_added(session, room).await;
        }
        let limit = self.services.config.get().limits.rooms_per_connection as usize;
        if session.follows(room) || session.room_count() >= limit {
            return Ok(());
        }
        self.bind(room).await;
        let found = self.services.store.room(room, session.user.id).await;
        let mut view = match found {
            Ok(view) if session.note_room(room) => view,
            outcome => {
                self.services.broker.unbind(Key::Room(room));
                return match outcome {
                    Ok(_) | Err(StoreError::RoomNotFound) => Ok(()),
                    Err(error) => Err(error),
                };
            }
        };
        // A client that could not resume here, because the shard was away, goes on where it stood; `last_seq` tells it where that is.
        let (stored, member_version) = (view.last_seq, view.member_version);
        let cursor = session.kept_cursor(room).map_or(stored, |kept| kept.min(stored));
        view.last_seq = cursor;
        session.tell(&ClientEvent::RoomAdded { room: view.into() }, Class::Kept);
        let following = Following { room, cursor, member_version };
        self.join(session, following, Place { room, last_seq: stored, removal: 0 }).await;
        // The members could not hear of the arrival, which was before the room.
        self.tell_presence(session.user.id, &[room], PresenceState::Online).await;
        Ok(())
    }

    /// Tells of a room that the user is in and that this connection follows only if it asks for it.
    async fn tell_added(&self, session: &Session, room: RoomId) -> Result<(), StoreError> {
        match self.services.store.room(room, session.user.id).await {
            Ok(view) => {
                session.tell(&ClientEvent::RoomAdded { room: view.into() }, Class::Kept);
                Ok(())
            }
            Err(StoreError::RoomNotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn maybe_removed(&self, session: &Arc<Session>, room: RoomId) -> Result<(), StoreError> {
        if !session.follows(room) {
            return Ok(());
        }
        match self.services.store.room(room, session.user.id).await {
            Ok(Room { member_version, .. }) => {
                self.dispatch.worker(room).tell(Command::Resume { room, session: session.id, member_version }).await;
                Ok(())
            }
            Err(StoreError::RoomNotFound) => {
                if self.unfollow(session, room).await {
                    session.tell(&ClientEvent::RoomRemoved { room }, Class::Kept);
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Compares all rooms: the broker may have lost a change.
    async fn recheck(&self, session: &Arc<Session>) -> Result<(), StoreError> {
        let follows_all = session.codec.follows_all();
        if !follows_all && session.room_count() == 0 {
            return Ok(());
        }
        let (rooms, complete) = self.services.store.user_rooms(session.user.id).await?;
        for room in rooms.iter().filter(|_| follows_all) {
            self.maybe_added(session, room.id).await?;
        }
        for room in session.rooms() {
            // A room may be missing in the list because its shard is away or the projection is behind: ask for it alone.
            if !rooms.iter().any(|known| known.id == room) {
                self.maybe_removed(session, room).await?;
            }
        }
        if complete || !follows_all {
            return Ok(());
        }
        Err(StoreError::Unavailable { shard: "some".to_owned(), cause: "rooms are missing in the list".to_owned() })
    }

    async fn bind(&self, room: RoomId) {
        if let Err(error) = self.services.broker.bind(Key::Room(room)).await {
            tracing::debug!(%room, %error, "a room's key could not be bound yet");
        }
    }

    async fn join(&self, session: &Arc<Session>, following: Following, place: Place) {
        let session = Arc::clone(session);
        self.dispatch.worker(following.room).tell(Command::Join { session, following, place }).await;
    }

    /// Where the store says that rooms stand; rooms it could not be asked for are left out.
    pub(super) async fn stored_places(&self, rooms: &[RoomId]) -> HashMap<RoomId, Place> {
        let mut found = HashMap::with_capacity(rooms.len());
        for chunk in rooms.chunks(POSITIONS) {
            match self.services.store.positions(chunk).await {
                Ok(places) => found.extend(places.into_iter().map(|place| (place.room, place))),
                Err(error) => tracing::debug!(%error, "positions could not be read"),
            }
        }
        found
    }
}
