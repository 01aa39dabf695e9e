//! What the rest of the gateway knows of one signed-in connection.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering},
    },
};

use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    Source,
    queue::{Class, Pushed, Queue},
};
use crate::{
    codec::{Codec, Frame},
    http::ClientAddress,
    model::{RoomId, Seq, SessionId, User},
    protocol::{ClientEvent, CloseCode},
    services::Counters,
    traces::FanOut,
};

/// Something that the connection has to find out about its user's rooms. Each is checked against the store before it counts, so a
/// repeat or an old one does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// The user may have become a member.
    RoomAdded(RoomId),
    /// The user may have ceased to be one.
    RoomRemoved(RoomId),
    /// Anything may have changed: compare all.
    Recheck,
}

/// Controls that wait before they are replaced by one [`Control::Recheck`].
const CONTROLS: usize = 128;

/// One signed-in connection. Cheap to share; everything in it can be called from any task and never waits.
#[derive(Debug)]
pub struct Session {
    /// Id, for traces and for the room workers.
    pub id: Uuid,
    /// Who it is.
    pub user: User,
    /// What its frames look like, and whether it follows all rooms of its user.
    pub codec: Codec,
    /// The sign-in that its token belongs to; none when the token was signed elsewhere.
    pub sign_in: Option<SessionId>,
    /// Where it comes from; none where limits by address have nothing to do.
    pub address: Option<ClientAddress>,
    /// Who opened the connection: the client, or a proxy before it.
    peer: Option<IpAddr>,
    /// When the token ends, seconds since the Unix epoch.
    expires_at: AtomicI64,
    /// What waits to be sent.
    pub queue: Arc<Queue>,
    counters: Arc<Counters>,
    /// Whether it was asked to connect elsewhere.
    asked: AtomicBool,
    /// Second of the hub's clock when the client last gave a sign of life.
    seen: AtomicU32,
    /// Second of the hub's clock from which it may be moved for the sake of evenness.
    settles: AtomicU32,
    /// When sending would be within ten times the rate again, microseconds of the Unix epoch; see `pipeline::rate_limit`.
    pub(crate) flood: AtomicU64,
    /// When the connection's own bucket of marks and typing notices would be full again, in the same way.
    pub(crate) hints: AtomicU64,
    /// The followed rooms in the order of their ids: a few, in as many bytes as they have.
    rooms: Mutex<Vec<RoomId>>,
    /// Where the client stands in rooms whose shard was away when it resumed.
    unresolved: Mutex<Vec<(RoomId, Seq)>>,
    controls: Mutex<VecDeque<Control>>,
    controls_wake: Notify,
}

impl Session {
    /// A session that follows no room yet.
    #[must_use]
    pub fn new(user: User, expires_at: i64, queue: Arc<Queue>, counters: Arc<Counters>) -> Self {
        Self {
            id: Uuid::now_v7(),
            user,
            codec: Codec::default(),
            sign_in: None,
            address: None,
            peer: None,
            expires_at: AtomicI64::new(expires_at),
            queue,
            counters,
            asked: AtomicBool::new(false),
            seen: AtomicU32::new(0),
            settles: AtomicU32::new(0),
            flood: AtomicU64::new(0),
            hints: AtomicU64::new(0),
            rooms: Mutex::default(),
            unresolved: Mutex::default(),
            controls: Mutex::default(),
            controls_wake: Notify::new(),
        }
    }

    /// The same, closed when this sign-in ends.
    #[must_use]
    pub fn of_sign_in(self, sign_in: Option<SessionId>) -> Self {
        Self { sign_in, ..self }
    }

    /// The same, counted among the writers of the client's address.
    #[must_use]
    pub fn from(self, Source { client, peer }: Source) -> Self {
        Self { address: Some(client), peer: Some(peer.to_canonical()), ..self }
    }

    /// The same with another codec than `chat.v1`'s.
    #[must_use]
    pub fn speaking(self, codec: Codec) -> Self {
        Self { codec, ..self }
    }

    /// When the token ends, seconds since the Unix epoch.
    #[must_use]
    pub fn expires_at(&self) -> i64 {
        self.expires_at.load(Ordering::Relaxed)
    }

    /// Goes on under another token of the same user, which ends at this second of the Unix epoch.
    pub(crate) fn renew(&self, expires_at: i64) {
        self.expires_at.store(expires_at, Ordering::Relaxed);
    }

    /// Whether its client was asked to connect elsewhere.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Notes that its client is asked to connect elsewhere.
    pub(crate) fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Notes that its client has come from another connection: it is let alone until that second of the hub's clock.
    pub(crate) fn settle_at(&self, second: u32) {
        self.settles.store(second, Ordering::Relaxed);
    }

    /// Whether its client has been here for long enough at that second of the hub's clock.
    pub(crate) fn is_settled(&self, second: u32) -> bool {
        self.settles.load(Ordering::Relaxed) <= second
    }

    /// Whether it comes from one of these.
    pub(crate) fn is_through(&self, peers: &[IpAddr]) -> bool {
        self.peer.is_some_and(|peer| peers.contains(&peer))
    }

    /// Queues an event for this connection alone.
    pub fn tell(&self, event: &ClientEvent, class: Class) -> Pushed {
        self.push(self.codec.event(event), class)
    }

    /// Queues a frame and counts what is shed.
    pub fn push(&self, frame: Frame, class: Class) -> Pushed {
        self.count(self.queue.push(frame, class))
    }

    /// Queues a message event.
    pub fn push_message(&self, frame: Frame) -> Pushed {
        let pushed = self.push(frame, Class::Kept);
        if pushed == Pushed::Queued {
            self.counters.delivered.fetch_add(1, Ordering::Relaxed);
        }
        pushed
    }

    /// Queues a message event that is traced.
    pub(crate) fn push_traced(&self, frame: Frame, fan_out: &mut FanOut) -> Pushed {
        let pushed = self.count(self.queue.push_traced(frame, fan_out.write(self.id)));
        if pushed == Pushed::Queued {
            self.counters.delivered.fetch_add(1, Ordering::Relaxed);
            fan_out.queued();
        }
        pushed
    }

    /// Queues a presence event unless another room brought the same change.
    pub fn push_presence(&self, frame: Arc<Frame>, change: u64) -> Pushed {
        self.count(self.queue.push_presence(frame, change))
    }

    fn count(&self, pushed: Pushed) -> Pushed {
        match pushed {
            Pushed::Shed => self.counters.shed.fetch_add(1, Ordering::Relaxed),
            Pushed::Overflowed => self.counters.slow_closed.fetch_add(1, Ordering::Relaxed),
            Pushed::Queued | Pushed::Closed => 0,
        };
        pushed
    }

    /// Closes the connection.
    pub fn close(&self, code: CloseCode) {
        self.queue.close(code);
    }

    /// Notes a sign of life at this second of the hub's clock.
    pub fn see(&self, second: u32) {
        self.seen.store(second, Ordering::Relaxed);
    }

    /// Second of the last sign of life.
    #[must_use]
    pub fn seen(&self) -> u32 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Whether the connection follows a room.
    #[must_use]
    pub fn follows(&self, room: RoomId) -> bool {
        lock(&self.rooms).binary_search(&room).is_ok()
    }

    /// Number of followed rooms.
    #[must_use]
    pub fn room_count(&self) -> usize {
        lock(&self.rooms).len()
    }

    /// The followed rooms.
    #[must_use]
    pub fn rooms(&self) -> Vec<RoomId> {
        lock(&self.rooms).clone()
    }

    /// Notes that the room is followed; false when it was already.
    pub(crate) fn note_room(&self, room: RoomId) -> bool {
        let mut rooms = lock(&self.rooms);
        let Err(at) = rooms.binary_search(&room) else { return false };
        rooms.insert(at, room);
        true
    }

    /// Notes that the room is no longer followed; false when it was not.
    pub(crate) fn forget_room(&self, room: RoomId) -> bool {
        let mut rooms = lock(&self.rooms);
        rooms.binary_search(&room).map(|at| rooms.remove(at)).is_ok()
    }

    /// Keeps where the client stands in a room that could not be asked for.
    pub(crate) fn keep_cursor(&self, room: RoomId, seq: Seq) {
        let mut unresolved = lock(&self.unresolved);
        unresolved.retain(|(known, _)| *known != room);
        unresolved.push((room, seq));
    }

    /// Takes out what [`Session::keep_cursor`] kept.
    pub(crate) fn kept_cursor(&self, room: RoomId) -> Option<Seq> {
        let mut unresolved = lock(&self.unresolved);
        let at = unresolved.iter().position(|(known, _)| *known == room)?;
        Some(unresolved.swap_remove(at).1)
    }

    /// Hands the connection something to find out.
    pub fn control(&self, control: Control) {
        let mut controls = lock(&self.controls);
        // A removal is never replaced: the room's worker has stopped delivery and waits for its outcome. Nor is it dropped while the room
        // is not followed yet: a connection that is just made may be about to follow it, by a list from before the removal.
        let replaced = !matches!(control, Control::RoomRemoved(_)) && controls.contains(&Control::Recheck);
        if replaced || controls.contains(&control) {
            return;
        }
        match control {
            Control::RoomAdded(_) if controls.len() >= CONTROLS => controls.push_back(Control::Recheck),
            _ => controls.push_back(control),
        }
        if controls.contains(&Control::Recheck) {
            controls.retain(|waiting| !matches!(waiting, Control::RoomAdded(_)));
        }
        drop(controls);
        self.controls_wake.notify_one();
    }

    /// Takes the next control, if there is one.
    pub(crate) fn take_control(&self) -> Option<Control> {
        lock(&self.controls).pop_front()
    }

    /// Waits until there may be a control.
    pub(crate) async fn controls_waiting(&self) {
        loop {
            if !lock(&self.controls).is_empty() {
                return;
            }
            self.controls_wake.notified().await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
