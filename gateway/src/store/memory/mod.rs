//! The fake: everything in one process, nothing durable. It keeps the same contract and passes the same conformance suite.

mod entries;
mod members;
mod room;
mod sessions;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chat_gateway_config::stats::{Component, ShardStats};
use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use self::room::RoomState;
use super::{
    Changed, Entries, Marks, NewMessage, NewRoom, NewUser, OutboxEvent, OutboxKey, Page, Place, Replay, Sent, Standing,
    Store, StoreError, StoredEvent, View,
    limits::{CLAIM_HOLD, MAX_PAGE, MAX_USER_ROOMS},
    membership::members_page,
    requests::{Asked, Change},
};
use crate::model::{Member, RequestId, Role, Room, RoomId, RoomSummary, Seq, SessionId, User, UserId};

/// Slots of the fake; any number does.
const SLOTS: u32 = 1024;
/// Name of the fake's only shard.
const SHARD: &str = "memory";

/// A store in memory.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    away: AtomicBool,
}

#[derive(Default)]
struct State {
    users: HashMap<UserId, (User, String)>,
    lists: BTreeMap<(UserId, RoomId), (bool, i64)>,
    rooms: HashMap<RoomId, RoomState>,
    outbox: BTreeMap<Uuid, OutboxRow>,
    sessions: HashMap<(UserId, SessionId), sessions::Row>,
    /// What was ended, in that order.
    endings: Vec<sessions::Ending>,
}

struct OutboxRow {
    slot: i32,
    event: StoredEvent,
    /// By a clock that a test may stop and move: rows grow old in simulated time too.
    created_at: Instant,
    claimed_until: Option<Instant>,
}

impl State {
    /// Rooms of a user's list, newest id first.
    fn ids_of(&self, user: UserId) -> impl Iterator<Item = RoomId> {
        let listed = self.lists.range((user, RoomId(Uuid::nil()))..=(user, RoomId(Uuid::max()))).rev();
        listed.filter(|(_, (joined, _))| *joined).map(|((_, room), _)| *room).take(MAX_USER_ROOMS)
    }

    fn room_of(&mut self, room: RoomId, user: UserId) -> Result<&mut RoomState, StoreError> {
        let state = self.rooms.get_mut(&room).ok_or(StoreError::RoomNotFound)?;
        if state.member(user).is_none() {
            return Err(StoreError::RoomNotFound);
        }
        Ok(state)
    }

    fn push(&mut self, room: RoomId, event: StoredEvent) -> OutboxEvent {
        let key = OutboxKey { slot: chat_shards::slot_of(room.0, SLOTS), id: Uuid::now_v7() };
        let row = OutboxRow { slot: key.slot, event: event.clone(), created_at: Instant::now(), claimed_until: None };
        self.outbox.insert(key.id, row);
        OutboxEvent { key, event }
    }
}

/// The present, in the milliseconds that clients see.
fn now() -> Timestamp {
    Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes every call fail with [`StoreError::Unavailable`] until it is called with false.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    fn lock(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable { shard: SHARD.to_owned(), cause: "switched off".to_owned() });
        }
        Ok(self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn create_user(&self, new: NewUser) -> Result<User, StoreError> {
        let mut state = self.lock()?;
        if let Some((user, hash)) = state.users.get(&new.user.id)
            && (user != &new.user || hash != &new.password_hash)
        {
            return Err(StoreError::NameTaken);
        }
        state.users.insert(new.user.id, (new.user.clone(), new.password_hash));
        Ok(new.user)
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
        let state = self.lock()?;
        Ok(ids.iter().filter_map(|id| state.users.get(id)).map(|(user, _)| user.clone()).collect())
    }

    async fn credentials(&self, id: UserId) -> Result<Option<(User, String)>, StoreError> {
        Ok(self.lock()?.users.get(&id).cloned())
    }

    async fn user_rooms(&self, user: UserId) -> Result<(Vec<Room>, bool), StoreError> {
        let state = self.lock()?;
        let view = |id: RoomId| {
            let room = state.rooms.get(&id)?;
            Some(room.view(id, room.member(user)?))
        };
        Ok((state.ids_of(user).filter_map(view).collect(), true))
    }

    async fn room_ids(&self, user: UserId) -> Result<Vec<RoomId>, StoreError> {
        Ok(self.lock()?.ids_of(user).collect())
    }

    async fn summaries(&self, user: UserId, rooms: &[RoomId]) -> Result<(Vec<RoomSummary>, bool), StoreError> {
        let state = self.lock()?;
        let summary = |id: &RoomId| state.rooms.get(id)?.summary(*id, user);
        Ok((rooms.iter().filter_map(summary).collect(), true))
    }

    async fn create_room(&self, new: NewRoom, request: Option<RequestId>) -> Result<Changed<(Room, bool)>, StoreError> {
        let mut state = self.lock()?;
        state.create(new, request)
    }

    async fn made_before(&self, new: &NewRoom, request: RequestId) -> Result<Option<(Room, bool)>, StoreError> {
        self.lock()?.made_before(new, Asked::new(Some(request), &Change::Create(new)))
    }

    async fn room(&self, room: RoomId, user: UserId) -> Result<Room, StoreError> {
        let mut state = self.lock()?;
        let found = state.room_of(room, user)?;
        let member = found.member(user).ok_or(StoreError::RoomNotFound)?;
        Ok(found.view(room, member))
    }

    async fn membership(&self, room: RoomId, user: UserId) -> Result<Option<Role>, StoreError> {
        Ok(self.lock()?.rooms.get(&room).and_then(|room| room.role(user)))
    }

    async fn members(
        &self,
        room: RoomId,
        user: UserId,
        after: i64,
        limit: u32,
    ) -> Result<(Vec<Member>, Option<i64>), StoreError> {
        let mut state = self.lock()?;
        let seats = state.room_of(room, user)?.seats.iter().filter(|seat| seat.version > after);
        let limit = limit.clamp(1, MAX_PAGE) as usize;
        let found = seats.take(limit + 1).map(|seat| (seat.member.clone(), seat.version)).collect();
        Ok(members_page(found, limit))
    }

    async fn add_member(
        &self,
        room: RoomId,
        actor: UserId,
        member: User,
        request: Option<RequestId>,
    ) -> Result<Changed<()>, StoreError> {
        self.lock()?.add_member(room, actor, &member, request)
    }

    async fn remove_member(
        &self,
        room: RoomId,
        actor: UserId,
        member: UserId,
        request: Option<RequestId>,
    ) -> Result<Changed<()>, StoreError> {
        self.lock()?.remove_member(room, actor, member, request)
    }

    async fn set_role(
        &self,
        room: RoomId,
        actor: UserId,
        member: UserId,
        role: Role,
        request: Option<RequestId>,
    ) -> Result<Changed<()>, StoreError> {
        self.lock()?.set_role((room, actor), member, role, request)
    }

    async fn mute(
        &self,
        room: RoomId,
        user: UserId,
        until: Option<Timestamp>,
        request: Option<RequestId>,
    ) -> Result<bool, StoreError> {
        self.lock()?.mute(room, user, until, request)
    }

    async fn send(&self, new: NewMessage) -> Result<Sent, StoreError> {
        let mut state = self.lock()?;
        let found = state.room_of(new.room, new.sender)?;
        let (message, duplicate) = found.send(new, now())?;
        let (room, removal) = (message.room, found.removal);
        let event = || StoredEvent::Message { message: message.clone(), removal };
        let events = if duplicate { Vec::new() } else { vec![state.push(room, event())] };
        Ok(Sent { message, duplicate, events })
    }

    async fn history(
        &self,
        room: RoomId,
        user: UserId,
        page: Page,
        view: View,
        limit: u32,
    ) -> Result<Entries, StoreError> {
        Ok(self.lock()?.room_of(room, user)?.page(user, page, view, limit.clamp(1, MAX_PAGE) as usize))
    }

    async fn replay(&self, room: RoomId, after: Seq, limit: u32) -> Result<Replay, StoreError> {
        let state = self.lock()?;
        let Some(found) = state.rooms.get(&room) else { return Ok(Replay::default()) };
        let limit = limit.clamp(1, MAX_PAGE) as usize;
        let messages = found.messages.iter().filter(|m| m.seq > after).take(limit).cloned().collect();
        Ok(Replay { messages, removal: found.removal })
    }

    async fn positions(&self, rooms: &[RoomId]) -> Result<Vec<Place>, StoreError> {
        let state = self.lock()?;
        let place = |id: &RoomId| {
            let room = state.rooms.get(id)?;
            Some(Place { room: *id, last_seq: room.last_seq(), removal: room.removal })
        };
        Ok(rooms.iter().filter_map(place).collect())
    }

    async fn standing(&self, room: RoomId, users: &[UserId]) -> Result<Standing, StoreError> {
        let state = self.lock()?;
        let Some(found) = state.rooms.get(&room) else { return Ok(Standing { version: 0, members: Vec::new() }) };
        let members = users.iter().copied().filter(|user| found.role(*user).is_some()).collect();
        Ok(Standing { version: found.version, members })
    }

    async fn mark(
        &self,
        room: RoomId,
        user: UserId,
        delivered: Option<Seq>,
        read: Option<Seq>,
    ) -> Result<Marks, StoreError> {
        let mut state = self.lock()?;
        let found = state.room_of(room, user)?;
        let last = found.last_seq();
        let mut members = found.seats.iter_mut().map(|seat| &mut seat.member);
        let member = members.find(|member| member.user == user).ok_or(StoreError::RoomNotFound)?;
        let before = (member.delivered_seq, member.read_seq);
        let read = read.unwrap_or(0).min(last);
        member.read_seq = member.read_seq.max(read);
        member.delivered_seq = member.delivered_seq.max(delivered.unwrap_or(0).min(last)).max(read);
        let changed = before != (member.delivered_seq, member.read_seq);
        Ok(Marks { delivered_seq: member.delivered_seq, read_seq: member.read_seq, changed })
    }

    async fn apply_membership(&self, event: &StoredEvent) -> Result<(), StoreError> {
        let mut state = self.lock()?;
        if let Some((user, room, joined, version)) = super::membership::listing(event) {
            let entry = state.lists.entry((user, room)).or_insert((joined, version));
            if entry.1 < version {
                *entry = (joined, version);
            }
        }
        Ok(())
    }

    async fn claim_outbox(&self, min_age: Duration, limit: u32) -> Result<Vec<OutboxEvent>, StoreError> {
        let mut state = self.lock()?;
        let present = Instant::now();
        let free = |row: &OutboxRow| {
            row.claimed_until.is_none_or(|until| until < present) && present.duration_since(row.created_at) >= min_age
        };
        let due = state.outbox.iter_mut().filter(|(_, row)| free(row)).take(limit as usize);
        let claim = |(id, row): (&Uuid, &mut OutboxRow)| {
            row.claimed_until = Some(present + CLAIM_HOLD);
            OutboxEvent { key: OutboxKey { slot: row.slot, id: *id }, event: row.event.clone() }
        };
        Ok(due.map(claim).collect())
    }

    async fn finish_outbox(&self, keys: &[OutboxKey]) -> Result<(), StoreError> {
        let mut state = self.lock()?;
        for key in keys {
            state.outbox.remove(&key.id);
        }
        Ok(())
    }

    async fn trim(&self, _: RoomId, _: Seq) -> Result<(), StoreError> {
        // It lives as long as a test, and a seq is a place in its list.
        Ok(())
    }

    async fn health(&self) -> Vec<ShardStats> {
        let available = !self.away.load(Ordering::SeqCst);
        let (reason, message) =
            if available { ("Connected", "in memory") } else { ("ConnectionRefused", "switched off") };
        let component = Component { available, reason: reason.to_owned(), message: message.to_owned() };
        vec![ShardStats { name: SHARD.to_owned(), slots: SLOTS, component, uris: Vec::new() }]
    }
}
