//! Rooms on the wire.

use jiff::Timestamp;
use serde::Serialize;

use super::time::{milliseconds, optional};
use crate::model::{Newest, Role, Room, RoomId, RoomKind, RoomSummary, Seq, UserId};

/// A room on the wire.
#[derive(Clone, Debug, Serialize)]
pub struct RoomView {
    id: RoomId,
    kind: RoomKind,
    title: String,
    last_seq: Seq,
    read_seq: Seq,
    delivered_seq: Seq,
    #[serde(serialize_with = "milliseconds")]
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
#[derive(Clone, Debug, Serialize)]
pub struct SummaryView {
    #[serde(flatten)]
    room: RoomView,
    role: Role,
    members: u32,
    unread: u32,
    mentioned: u32,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional")]
    muted_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<NewestView>,
}

/// The newest text of a room.
#[derive(Clone, Debug, Serialize)]
pub struct NewestView {
    seq: Seq,
    sender: UserId,
    sender_name: String,
    body: String,
    #[serde(serialize_with = "milliseconds")]
    at: Timestamp,
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
