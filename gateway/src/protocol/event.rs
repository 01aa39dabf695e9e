//! What the gateway tells without being asked.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_tungstenite::tungstenite::{Bytes, Utf8Bytes};

use super::{
    answer::{MessageView, PresenceState},
    encoding::{cbor, json},
    rooms::RoomView,
    schema,
    time::optional,
};
use crate::model::{Role, RoomId, Seq, UserId};

/// Events by their `type`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientEvent {
    /// A message was committed.
    Message {
        /// The message.
        message: MessageView,
    },
    /// A member's marks moved.
    Receipt {
        /// The room.
        room: RoomId,
        /// The member.
        user: UserId,
        /// Newest confirmed seq.
        delivered_seq: Seq,
        /// Newest read seq.
        read_seq: Seq,
    },
    /// A member began or ceased to type.
    Typing {
        /// The room.
        room: RoomId,
        /// The member.
        user: UserId,
        /// Name to show.
        name: String,
        /// Which of the two.
        state: TypingState,
    },
    /// Somebody came or went.
    Presence {
        /// Who.
        user: UserId,
        /// Which of the two.
        state: PresenceState,
    },
    /// The user was added to a room.
    RoomAdded {
        /// The room.
        room: RoomView,
    },
    /// The user was removed from a room.
    RoomRemoved {
        /// The room.
        room: RoomId,
    },
    /// Somebody became a member.
    MemberAdded {
        /// The room.
        room: RoomId,
        /// Who.
        user: UserId,
        /// Sign-in name.
        name: String,
    },
    /// Somebody ceased to be a member.
    MemberRemoved {
        /// The room.
        room: RoomId,
        /// Who.
        user: UserId,
    },
    /// A member has another role.
    RoleChanged {
        /// The room.
        room: RoomId,
        /// Who.
        user: UserId,
        /// The new role.
        role: Role,
    },
    /// The user muted a room on another connection, or wants its notifications again.
    Muted {
        /// The room.
        room: RoomId,
        /// Until when; absent: wants them.
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional")]
        #[schemars(schema_with = "schema::time")]
        until: Option<Timestamp>,
    },
    /// This gateway wants to be left.
    Reconnect {
        /// When to connect again.
        after_ms: u64,
        /// Why, in a word.
        reason: &'static str,
    },
}

/// Whether somebody types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TypingState {
    /// Begins or goes on.
    Start,
    /// Ceases.
    Stop,
}

/// The text frame of an event.
#[must_use]
pub fn encode_event(event: &ClientEvent) -> Utf8Bytes {
    json(event)
}

/// The same as a binary frame.
#[must_use]
pub fn encode_event_cbor(event: &ClientEvent) -> Bytes {
    cbor(event)
}
