//! Rooms on the wire.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    schema,
    time::{milliseconds, optional},
};
use crate::model::{Newest, Role, Room, RoomId, RoomKind, RoomSummary, Seq, UserId};

/// A room on the wire.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Room")]
pub struct RoomView {
    /// Id.
    id: RoomId,
    /// Of two, or a group.
    kind: RoomKind,
    /// Empty in a direct room.
    title: String,
    /// Seq of the newest entry.
    last_seq: Seq,
    /// The user's own read mark.
    read_seq: Seq,
    /// The user's own delivered mark.
    delivered_seq: Seq,
    /// When it was made.
    #[serde(serialize_with = "milliseconds")]
    #[schemars(schema_with = "schema::time")]
    created_at: Timestamp,
}

impl From<Room> for RoomView {
    fn from(room: Room) -> Self {
        Self {
            id: room.id,
            kind: room.kind,
            title: room.title,
            last_seq: room.last_seq,
            read_seq: room.read_seq,
            delivered_seq: room.delivered_seq,
            created_at: room.created_at,
        }
    }
}

/// A room in the list of rooms.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Summary")]
pub struct SummaryView {
    #[serde(flatten)]
    room: RoomView,
    /// The user's role.
    role: Role,
    /// How many there are.
    members: u32,
    /// Texts of others after the read mark, counted over 1,000 entries.
    unread: u32,
    /// Those of them that mention the user.
    mentioned: u32,
    /// Until when the user wants no notifications.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional")]
    #[schemars(schema_with = "schema::time")]
    muted_until: Option<Timestamp>,
    /// The newest text, if there is one among the newest 1,000 entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<NewestView>,
}

/// The newest text of a room.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Newest")]
pub struct NewestView {
    /// Its place.
    seq: Seq,
    /// User id of who sent it.
    sender: UserId,
    /// The sender's display name when it was sent.
    sender_name: String,
    /// Its first 200 characters.
    body: String,
    /// When it was sent.
    #[serde(serialize_with = "milliseconds")]
    #[schemars(schema_with = "schema::time")]
    at: Timestamp,
    /// Whether it was deleted.
    deleted: bool,
}

impl SummaryView {
    /// The summary as it is at this moment: a mute that has ended is none.
    #[must_use]
    pub fn new(summary: RoomSummary, now: Timestamp) -> Self {
        let RoomSummary { room, role, muted_until, members, unread, mentioned, newest } = summary;
        let newest = newest.map(|Newest { seq, sender, sender_name, body, at, deleted }| NewestView {
            seq,
            sender,
            sender_name,
            body,
            at,
            deleted,
        });
        let muted_until = muted_until.filter(|until| *until > now);
        Self { room: room.into(), role, members, unread, mentioned, muted_until, newest }
    }
}
