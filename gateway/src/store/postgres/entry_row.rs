//! The columns that an entry has in pages and in the outbox.

use uuid::Uuid;

use super::timestamp;
use crate::model::{EntryKind, Message, MessageId, RoomId, Seq, UserId};

/// An entry, or nulls.
#[derive(sqlx::FromRow)]
pub(super) struct EntryRow {
    pub(super) seq: Option<Seq>,
    message_id: Option<Uuid>,
    sender: Option<Uuid>,
    sender_name: Option<String>,
    body: Option<String>,
    at_ms: Option<i64>,
    kind: Option<String>,
    target: Option<Seq>,
    reply_to: Option<Seq>,
    mentions: Option<Vec<Uuid>>,
    edited_ms: Option<i64>,
    deleted: Option<bool>,
}

impl EntryRow {
    /// The entry, unless the columns are null.
    pub(super) fn message(self, room: RoomId) -> Option<Message> {
        Some(Message {
            room,
            seq: self.seq?,
            message_id: MessageId(self.message_id?),
            sender: UserId(self.sender?),
            sender_name: self.sender_name?,
            body: self.body?,
            at: timestamp(self.at_ms?),
            kind: EntryKind::of_name(&self.kind?),
            target: self.target,
            reply_to: self.reply_to,
            mentions: self.mentions.unwrap_or_default().into_iter().map(UserId).collect(),
            edited_at: self.edited_ms.map(timestamp),
            deleted: self.deleted.unwrap_or(false),
        })
    }
}
