//! Messages, in the room's slot.

use uuid::Uuid;

use super::{PostgresStore, timestamp};
use crate::{
    model::{Message, MessageId, RoomId, Seq, UserId},
    store::{NewMessage, OutboxEvent, OutboxKey, Page, Sent, StoreError, StoredEvent, limits::MAX_PAGE},
};

impl PostgresStore {
    pub(super) async fn insert_message(&self, new: NewMessage) -> Result<Sent, StoreError> {
        let (slot, outbox) = (self.slot(new.room.0), Uuid::now_v7());
        let (seq, sender_name, at, duplicate): (Seq, String, i64, bool) = self
            .on_slot(slot, |pool| {
                let new = &new;
                async move {
                    sqlx::query_as(
                        "select seq, sender_name, at_ms, duplicate from chat.send_message($1, $2, $3, $4, $5, $6)",
                    )
                    .bind(slot)
                    .bind(new.room.0)
                    .bind(new.message_id.0)
                    .bind(new.sender.0)
                    .bind(&new.body)
                    .bind(outbox)
                    .fetch_one(&pool)
                    .await
                }
            })
            .await?;
        let message = Message {
            room: new.room,
            seq,
            message_id: new.message_id,
            sender: new.sender,
            sender_name,
            body: new.body,
            at: timestamp(at),
        };
        let event = || OutboxEvent {
            key: OutboxKey { slot, id: outbox },
            event: StoredEvent::Message { message: message.clone() },
        };
        let events = if duplicate { Vec::new() } else { vec![event()] };
        Ok(Sent { message, duplicate, events })
    }

    /// A page; without a user no membership is checked, and an absent room is an empty page.
    pub(super) async fn page(
        &self,
        room: RoomId,
        user: Option<UserId>,
        page: Page,
        limit: u32,
    ) -> Result<(Vec<Message>, bool), StoreError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            member: bool,
            seq: Option<Seq>,
            message_id: Option<Uuid>,
            sender: Option<Uuid>,
            sender_name: Option<String>,
            body: Option<String>,
            at_ms: Option<i64>,
        }
        let slot = self.slot(room.0);
        let limit = i32::try_from(limit.clamp(1, MAX_PAGE)).unwrap_or(1);
        let (before, after) = match page {
            Page::Newest => (None, None),
            Page::Before(seq) => (Some(seq), None),
            Page::After(seq) => (None, Some(seq)),
        };
        let rows: Vec<Row> = self
            .on_slot(slot, |pool| async move {
                // One more than asked for tells whether there are more.
                sqlx::query_as("select * from chat.history($1, $2, $3, $4, $5, $6)")
                    .bind(slot)
                    .bind(room.0)
                    .bind(user.map(|user| user.0))
                    .bind(before)
                    .bind(after)
                    .bind(limit + 1)
                    .fetch_all(&pool)
                    .await
            })
            .await?;
        if rows.iter().any(|row| !row.member) {
            return Err(StoreError::RoomNotFound);
        }
        let message = |row: Row| {
            Some(Message {
                room,
                seq: row.seq?,
                message_id: MessageId(row.message_id?),
                sender: UserId(row.sender?),
                sender_name: row.sender_name?,
                body: row.body?,
                at: timestamp(row.at_ms?),
            })
        };
        let mut messages: Vec<Message> = rows.into_iter().filter_map(message).collect();
        let limit = usize::try_from(limit).unwrap_or(1);
        let more = messages.len() > limit;
        messages.truncate(limit);
        if after.is_none() {
            messages.reverse();
        }
        Ok((messages, more))
    }
}
