//! What the gateway answers to a request.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use tokio_tungstenite::tungstenite::{Bytes, Utf8Bytes};
use uuid::Uuid;

use super::{
    encoding::{cbor, json},
    error::WireError,
    rooms::{RoomView, SummaryView},
    schema,
    time::{milliseconds, optional},
};
use crate::model::{EntryKind, Member, Message, MessageId, Reaction, RoomId, Seq, User, UserId};

/// Answers by their `type`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Answer {
    /// To `hello`.
    Welcome(Box<Welcome>),
    /// To `create_room`.
    Room {
        /// The room.
        room: RoomView,
        /// Whether this request made it.
        created: bool,
    },
    /// To `rooms`.
    Rooms {
        /// A page of the user's rooms, newest id first.
        rooms: Vec<SummaryView>,
        /// Rooms are left out because their shard is away.
        incomplete: bool,
        /// `after` of the next page, if there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<RoomId>,
    },
    /// To `members`.
    Members {
        /// The room.
        room: RoomId,
        /// A page of its members, longest-standing first.
        members: Vec<Member>,
        /// `after` of the next page, if there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<i64>,
    },
    /// To `send`, `edit`, `delete`, `react` and `unreact`: it is committed.
    Sent {
        /// The room.
        room: RoomId,
        /// The id that the client chose.
        message_id: MessageId,
        /// Its place.
        seq: Seq,
        /// When it was committed.
        #[serde(serialize_with = "milliseconds")]
        #[schemars(schema_with = "schema::time")]
        at: Timestamp,
        /// Whether an earlier send counted.
        duplicate: bool,
    },
    /// To `history`.
    History {
        /// The room.
        room: RoomId,
        /// Ascending.
        messages: Vec<MessageView>,
        /// Whether there are more in that direction.
        more: bool,
        /// Newest seq of the room at that moment: what changes texts after it is not yet in them.
        last_seq: Seq,
    },
    /// To `presence`.
    PresenceList {
        /// As asked.
        users: Vec<PresenceView>,
        /// Some who are shown as offline may be online on another gateway: ask again some seconds later.
        incomplete: bool,
    },
    /// Done.
    Ok,
    /// To `subscribe` of the Centrifuge door.
    #[schemars(skip)]
    Subscribed {
        /// Where publications go on from.
        position: Seq,
        /// Whether all since the client's position follow; `None` when it did not ask for them.
        recovered: Option<bool>,
    },
    /// To `presence` and `presence_stats` of the Centrifuge door.
    #[schemars(skip)]
    RoomPresence {
        /// The members who are online.
        online: Vec<User>,
    },
    /// To `refresh` of the Centrifuge door.
    #[schemars(skip)]
    Refreshed {
        /// Seconds until the new token ends.
        expires_in: i64,
    },
    /// To `ping`.
    Pong,
    /// Not done.
    Error(WireError),
}

/// The first answer of a connection.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Welcome {
    /// Id of this connection, for traces.
    #[schemars(schema_with = "schema::id")]
    pub session: Uuid,
    /// Who the token belongs to.
    pub user: User,
    /// Name of the gateway.
    pub gateway: String,
    /// Seconds between pings.
    pub ping_seconds: u32,
    /// What a client must keep to.
    pub limits: LimitsView,
    /// Rooms that the connection follows.
    pub rooms: Vec<RoomView>,
    /// What became of the rooms that `hello` named.
    pub resumed: Vec<Resumed>,
    /// Seconds until the token ends.
    #[serde(skip)]
    pub expires_in: i64,
}

/// Limits as clients see them.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Limits")]
pub struct LimitsView {
    /// Bytes of a body.
    pub message_bytes: u32,
    /// Messages a second.
    pub messages_per_second: u32,
    /// Messages at once.
    pub message_burst: u32,
    /// Rooms on one connection.
    pub rooms_per_connection: u32,
}

impl From<chat_gateway_config::Limits> for LimitsView {
    fn from(limits: chat_gateway_config::Limits) -> Self {
        Self {
            message_bytes: limits.message_bytes,
            messages_per_second: limits.messages_per_second,
            message_burst: limits.message_burst,
            rooms_per_connection: limits.rooms_per_connection,
        }
    }
}

/// What became of one entry of `hello.resume`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Resumed {
    /// The room.
    pub room: RoomId,
    /// What the client named.
    pub from: Seq,
    /// Newest seq at that moment.
    pub to: Seq,
    /// Whether the messages between are replayed.
    pub recovered: bool,
}

/// A message on the wire.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Message")]
pub struct MessageView {
    /// The room.
    room: RoomId,
    /// Its place in the room, from 1 and without gaps.
    seq: Seq,
    /// Chosen by who sent it.
    message_id: MessageId,
    /// User id of who sent it.
    sender: UserId,
    /// The sender's display name when it was sent.
    sender_name: String,
    /// Text in its newest state, or the emoji of a reaction.
    body: String,
    /// When it was committed.
    #[serde(serialize_with = "milliseconds")]
    #[schemars(schema_with = "schema::time")]
    at: Timestamp,
    /// Absent for a text; skip a kind that you do not know.
    #[serde(skip_serializing_if = "EntryKind::is_text")]
    kind: EntryKind,
    /// The text that it changes, for anything but a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Seq>,
    /// The text that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<Seq>,
    /// Members whom it addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mentions: Vec<UserId>,
    /// When the body was last changed.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional")]
    #[schemars(schema_with = "schema::time")]
    edited_at: Option<Timestamp>,
    /// The body is gone: a text was deleted, or an edit was superseded.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    /// On a text that was read from the history.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reactions: Vec<Reaction>,
}

impl MessageView {
    /// The room.
    #[must_use]
    pub fn room(&self) -> RoomId {
        self.room
    }

    /// The place in the room.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// The same with the reactions to it.
    #[must_use]
    pub fn with_reactions(self, reactions: Vec<Reaction>) -> Self {
        Self { reactions, ..self }
    }
}

impl From<Message> for MessageView {
    fn from(message: Message) -> Self {
        Self {
            kind: message.kind,
            target: message.target,
            reply_to: message.reply_to,
            mentions: message.mentions,
            edited_at: message.edited_at,
            deleted: message.deleted,
            reactions: Vec::new(),
            room: message.room,
            seq: message.seq,
            message_id: message.message_id,
            sender: message.sender,
            sender_name: message.sender_name,
            body: message.body,
            at: message.at,
        }
    }
}

/// Whether a user is there.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Presence")]
pub struct PresenceView {
    /// The user.
    pub user: UserId,
    /// Online or offline.
    pub state: PresenceState,
}

/// Whether a user is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PresenceState {
    /// At least one session on some gateway.
    Online,
    /// None.
    Offline,
}

#[derive(Serialize)]
struct Frame<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    re: Option<u64>,
    #[serde(flatten)]
    answer: &'a Answer,
}

/// The text frame of an answer; `re` is the number of the request, absent when the frame was too broken to have one.
#[must_use]
pub fn encode_answer(re: Option<u64>, answer: &Answer) -> Utf8Bytes {
    json(&Frame { re, answer })
}

/// The same as a binary frame.
#[must_use]
pub fn encode_answer_cbor(re: Option<u64>, answer: &Answer) -> Bytes {
    cbor(&Frame { re, answer })
}
