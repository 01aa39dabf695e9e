//! Where rooms, messages and accounts are kept. [`Store`] is the contract; `postgres` keeps it on sharded PostgreSQL, `sqlite` in one file.
//!
//! Guarantees that every implementation gives, and that the conformance suite checks:
//! - A write that returned `Ok` is durable. One that returned `Err` may or may not have happened; repeating it with the same ids is safe.
//! - `seq` of a room counts from 1 in commit order, without gaps.
//! - One [`MessageId`] is one message in a room: a repeat returns the first answer.
//! - One [`RequestId`] of a user is one change of a room, its members or its mute: a repeat returns the first answer and does nothing,
//!   whatever has become of the room since, and whether or not the user is still in it. Who did not use it learns nothing of it.
//! - A write that others must hear of leaves its [`OutboxEvent`]s in the same transaction. They stay until [`Store::finish_outbox`], so a
//!   crash after the commit loses nothing: somebody's sweeper claims them later. An event may therefore be relayed more than once.

mod changes;
pub mod limits;
mod membership;
pub mod memory;
pub mod postgres;
pub mod removals;
mod requests;
pub mod sessions;
pub mod slots;
pub mod sqlite;

use std::time::Duration;

use async_trait::async_trait;
use chat_gateway_config::{slots::SlotsAnswer, stats::ShardStats};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::{
    removals::{Place, Replay, Standing},
    sessions::SessionStore,
    slots::SlotsQuestion,
};
use crate::model::{
    Content, Member, Message, MessageId, Reaction, RequestId, Role, Room, RoomId, RoomKind, RoomSummary, Seq, User,
    UserId,
};

/// An account to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The user.
    pub user: User,
    /// Password hash as a PHC string.
    pub password_hash: String,
}

/// A room to be made.
#[derive(Clone, Debug)]
pub struct NewRoom {
    /// Id, made by the gateway (or derived from `room_key`, the request's id or the pair of a direct room, so that a repeat finds the
    /// first).
    pub id: RoomId,
    /// Kind.
    pub kind: RoomKind,
    /// Title, at most 128 characters.
    pub title: String,
    /// Who makes it and becomes its owner.
    pub creator: UserId,
    /// The others, without the creator.
    pub members: Vec<User>,
}

/// An entry to be stored.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Room.
    pub room: RoomId,
    /// Idempotency key.
    pub message_id: MessageId,
    /// Sender; must be a member.
    pub sender: UserId,
    /// What it says or changes.
    pub content: Content,
}

impl NewMessage {
    /// The entry as it is stored first; `mentions` are those that are members.
    pub(crate) fn stored(self, seq: Seq, sender_name: String, at: Timestamp, mentions: Vec<UserId>) -> Message {
        let (kind, target, reply_to) = (self.content.kind(), self.content.target(), self.content.reply_to());
        let body = match self.content {
            Content::Text { body, .. } | Content::Edit { body, .. } => body,
            Content::React { emoji, .. } | Content::Unreact { emoji, .. } => emoji,
            Content::Delete { .. } => String::new(),
        };
        Message {
            room: self.room,
            seq,
            message_id: self.message_id,
            sender: self.sender,
            sender_name,
            body,
            at,
            kind,
            target,
            reply_to,
            mentions,
            edited_at: None,
            deleted: false,
        }
    }
}

/// What a send came to.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The entry as stored; on a repeat, as it was stored first.
    pub message: Message,
    /// Whether it had been stored before; a reaction that is there already counts as stored, with the entry that made it.
    pub duplicate: bool,
    /// To be relayed and then finished; empty on a repeat.
    pub events: Vec<OutboxEvent>,
}

/// A change together with what others must hear of it.
#[derive(Clone, Debug)]
pub struct Changed<T> {
    /// What the change came to.
    pub value: T,
    /// To be relayed and then finished.
    pub events: Vec<OutboxEvent>,
}

/// One row of an outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEvent {
    /// Which row it is.
    pub key: OutboxKey,
    /// What happened.
    pub event: StoredEvent,
}

/// Names a row of an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OutboxKey {
    /// Slot the row lives in, which leads to its shard.
    pub slot: i32,
    /// Id of the row.
    pub id: Uuid,
}

/// What an outbox row tells. Its JSON is stored, so a variant or field is only ever added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StoredEvent {
    /// A message was committed.
    Message {
        /// The message.
        message: Message,
        /// The room's newest removal before it, or a later one; see [`removals`]. 0 where a version before did not say.
        #[serde(default)]
        removal: i64,
    },
    /// A user became a member.
    Joined {
        /// The room.
        room: RoomId,
        /// The new member.
        user: UserId,
        /// The new member's sign-in name.
        name: String,
        /// Counts the membership changes of the room; older never overwrites newer in the projection.
        version: i64,
    },
    /// A user ceased to be a member.
    Left {
        /// The room.
        room: RoomId,
        /// The former member.
        user: UserId,
        /// As in `Joined`.
        version: i64,
    },
    /// A member has another role.
    Role {
        /// The room.
        room: RoomId,
        /// The member.
        user: UserId,
        /// The new role.
        role: Role,
        /// Who was owner before and is admin now, if the member became owner in place of somebody who stays.
        former_owner: Option<UserId>,
        /// As in `Joined`.
        version: i64,
    },
}

/// Which entries of a room to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// All of them, as they were written.
    Log,
    /// Texts only, with their reactions.
    Texts,
}

/// A page of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// In ascending seq.
    pub messages: Vec<Message>,
    /// Reactions to these texts, each with the seq of its text; oldest reaction first. Only for [`View::Texts`].
    pub reactions: Vec<(Seq, Vec<Reaction>)>,
    /// Whether there are more in that direction.
    pub more: bool,
    /// Newest seq of the room at the same moment: changes after it are not yet in the texts.
    pub last_seq: Seq,
}

/// Which messages of a room to read. Both bounds are exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The newest ones.
    Newest,
    /// Those just before this seq.
    Before(Seq),
    /// Those just after this seq.
    After(Seq),
}

/// A member's marks in a room after an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Newest confirmed seq.
    pub delivered_seq: Seq,
    /// Newest read seq.
    pub read_seq: Seq,
    /// Whether this update moved one of them.
    pub changed: bool,
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such room, or the user is not in it: not told apart, so that room ids cannot be probed.
    #[error("no such room")]
    RoomNotFound,
    /// No such user.
    #[error("no such user: {0}")]
    UserNotFound(String),
    /// No such text, or no such reaction of the user; carries the field that named it.
    #[error("no such message: {0}")]
    MessageNotFound(&'static str),
    /// The user's role does not allow it.
    #[error("not allowed: {0}")]
    Forbidden(&'static str),
    /// The sign-in name is taken.
    #[error("the name is taken")]
    NameTaken,
    /// The message id was used for another message.
    #[error("the message id was used for another message")]
    MessageIdReused,
    /// The request id was used by the same user for another change of the same room.
    #[error("the request id was used for another request")]
    RequestIdReused,
    /// Too many members, or another bound of the store.
    #[error("over a limit: {0}")]
    Limit(&'static str),
    /// The slot's shard is away, or the slot is moving; the store has already retried within its budget.
    #[error("shard {shard} is unavailable: {cause}")]
    Unavailable {
        /// The shard's name.
        shard: String,
        /// What the last try said, without credentials.
        cause: String,
    },
    /// The database answered something that this program does not understand.
    #[error("store: {0}")]
    Internal(String),
}

/// The contract; see the module's documentation.
#[async_trait]
pub trait Store: SessionStore + Send + Sync + 'static {
    /// Makes an account. The id is derived from the name, so a taken name is a taken id ([`StoreError::NameTaken`]).
    async fn create_user(&self, new: NewUser) -> Result<User, StoreError>;

    /// Finds accounts; absent ones are left out. At most 200 ids.
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError>;

    /// The account and its password hash.
    async fn credentials(&self, id: UserId) -> Result<Option<(User, String)>, StoreError>;

    /// The rooms a user is in, by the projection in the user's slot, completed from the rooms' slots. Rooms of a shard
    /// that is away are left out and the second value is false.
    async fn user_rooms(&self, user: UserId) -> Result<(Vec<Room>, bool), StoreError>;

    /// Ids of the rooms a user is in, by the projection in the user's slot, newest id first; at most [`limits::MAX_USER_ROOMS`].
    async fn room_ids(&self, user: UserId) -> Result<Vec<RoomId>, StoreError>;

    /// Rooms with what is new in them for a user; those that the user is not in are left out. At most 200 rooms. Rooms of a shard
    /// that is away are left out and the second value is false.
    async fn summaries(&self, user: UserId, rooms: &[RoomId]) -> Result<(Vec<RoomSummary>, bool), StoreError>;

    /// Makes a room, or returns the one that is there under this id (`value.1` is false) if the creator is a member of it. A repeat of
    /// `request` gets the room as it was answered first, without events.
    async fn create_room(&self, new: NewRoom, request: Option<RequestId>) -> Result<Changed<(Room, bool)>, StoreError>;

    /// What [`Store::create_room`] answered to this request; `None` when it was not carried out.
    async fn made_before(&self, new: &NewRoom, request: RequestId) -> Result<Option<(Room, bool)>, StoreError>;

    /// One room as its member sees it.
    async fn room(&self, room: RoomId, user: UserId) -> Result<Room, StoreError>;

    /// The user's role in a room; `None` when there is no such room or the user is not in it.
    async fn membership(&self, room: RoomId, user: UserId) -> Result<Option<Role>, StoreError>;

    /// Members of a room in the order in which they joined, the asking user being one of them: those after the cursor `after` (0: from
    /// the first), at most `limit`. The second value is the cursor of the next page, if there is one.
    async fn members(
        &self,
        room: RoomId,
        user: UserId,
        after: i64,
        limit: u32,
    ) -> Result<(Vec<Member>, Option<i64>), StoreError>;

    /// Adds a member to a group; no event when they were one already, or when `request` is a repeat.
    async fn add_member(
        &self,
        room: RoomId,
        actor: UserId,
        member: User,
        request: Option<RequestId>,
    ) -> Result<Changed<()>, StoreError>;

    /// Removes a member; no event when they were none, or when `request` is a repeat. When the owner goes, the longest-standing admin
    /// becomes owner, or else the longest-standing member; that event may be left to the outbox.
    async fn remove_member(
        &self,
        room: RoomId,
        actor: UserId,
        member: UserId,
        request: Option<RequestId>,
    ) -> Result<Changed<()>, StoreError>;

    /// Gives a member of a group another role, for its owner; no event when they have it, or when `request` is a repeat. Making somebody
    /// owner makes the actor admin.
    async fn set_role(
        &self,
        room: RoomId,
        actor: UserId,
        member: UserId,
        role: Role,
        request: Option<RequestId>,
    ) -> Result<Changed<()>, StoreError>;

    /// Notes until when a member wants no notifications of a room; `None`: wants them. False when `request` is a repeat and something
    /// else was noted since, or the user has left the room.
    async fn mute(
        &self,
        room: RoomId,
        user: UserId,
        until: Option<Timestamp>,
        request: Option<RequestId>,
    ) -> Result<bool, StoreError>;

    /// Stores an entry: seq, entry, what it changes, idempotency key and outbox row in one transaction.
    async fn send(&self, new: NewMessage) -> Result<Sent, StoreError>;

    /// A page of a room, for a member.
    async fn history(
        &self,
        room: RoomId,
        user: UserId,
        page: Page,
        view: View,
        limit: u32,
    ) -> Result<Entries, StoreError>;

    /// Entries after `after` in ascending seq, at most `limit`, for the hub, which fills gaps with them. No membership is checked: who may
    /// have them follows from [`Replay::removal`].
    async fn replay(&self, room: RoomId, after: Seq, limit: u32) -> Result<Replay, StoreError>;

    /// Where each room stands; absent rooms and rooms of shards that are away are left out.
    async fn positions(&self, rooms: &[RoomId]) -> Result<Vec<Place>, StoreError>;

    /// Which of these users are members of a room. At most [`limits::MAX_MEMBERS`] users.
    async fn standing(&self, room: RoomId, users: &[UserId]) -> Result<Standing, StoreError>;

    /// Raises a member's marks; lower values change nothing, values over `last_seq` are cut to it.
    async fn mark(
        &self,
        room: RoomId,
        user: UserId,
        delivered: Option<Seq>,
        read: Option<Seq>,
    ) -> Result<Marks, StoreError>;

    /// Brings the room list of the event's user up to date in the user's slot; idempotent, older versions change nothing.
    async fn apply_membership(&self, event: &StoredEvent) -> Result<(), StoreError>;

    /// Claims up to `limit` outbox rows that are older than `min_age` for 10 s, oldest first, over all reachable shards.
    async fn claim_outbox(&self, min_age: Duration, limit: u32) -> Result<Vec<OutboxEvent>, StoreError>;

    /// Forgets outbox rows that were relayed.
    async fn finish_outbox(&self, keys: &[OutboxKey]) -> Result<(), StoreError>;

    /// Forgets the entries of a room with one member but for the newest `keep`, and those that must be there to be relayed. For the rooms of
    /// the operator's probe, which nobody reads again; no other room ever loses an entry.
    async fn trim(&self, room: RoomId, keep: Seq) -> Result<(), StoreError>;

    /// Asks every shard how it is; bounded to 2 s.
    async fn health(&self) -> Vec<ShardStats>;

    /// What every shard says of its slots, in the order of their names; bounded to 3 s for each, all at once. A shard that does not answer says why.
    async fn slots(&self, _question: SlotsQuestion) -> SlotsAnswer {
        slots::undivided(self.health().await)
    }

    /// The store's clock, for ages and tests.
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
