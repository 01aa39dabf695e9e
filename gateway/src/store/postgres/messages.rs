//! Entries of rooms' logs, in the room's slot.

use sqlx::PgPool;
use uuid::Uuid;

use super::{
    PostgresStore,
    commits::{Entry, Outcome},
    entry_row::EntryRow,
    timestamp,
};
use crate::{
    model::{Content, Reaction, RoomId, Seq, UserId},
    store::{
        Entries, NewMessage, OutboxEvent, OutboxKey, Page, Sent, StoreError, StoredEvent, View,
        limits::{MAX_PAGE, MAX_REACTIONS},
    },
};

/// seq, sender_name, at_ms, duplicate, mentions, removal_version
pub(super) type Stored = (Seq, String, i64, bool, Vec<Uuid>, i64);

impl PostgresStore {
    pub(super) async fn insert_entry(&self, new: NewMessage) -> Result<Sent, StoreError> {
        let (slot, outbox) = (self.slot(new.room.0), Uuid::now_v7());
        let outcome = match (&new.content, self.member_of(slot)) {
            (Content::Text { .. }, Some(member)) => member.lanes.store(Entry { new, slot, outbox }).await?,
            _ => Outcome::Alone(new),
        };
        let (new, (seq, sender_name, at, duplicate, mentions, removal)) = match outcome {
            Outcome::Stored(new, stored) => (new, stored),
            Outcome::Refused(error) => return Err(error),
            Outcome::Alone(new) => {
                let stored = Box::pin(self.insert_alone(&new, slot, outbox)).await?;
                (new, stored.ok_or(StoreError::MessageNotFound("emoji"))?)
            }
        };
        let mentions = mentions.into_iter().map(UserId).collect();
        let message = new.stored(seq, sender_name, timestamp(at), mentions);
        let event = || OutboxEvent {
            key: OutboxKey { slot, id: outbox },
            event: StoredEvent::Message { message: message.clone(), removal },
        };
        let events = if duplicate { Vec::new() } else { vec![event()] };
        Ok(Sent { message, duplicate, events })
    }

    /// `None` where there is no reaction to end.
    async fn insert_alone(&self, new: &NewMessage, slot: i32, outbox: Uuid) -> Result<Option<Stored>, StoreError> {
        self.on_slot(slot, |pool| async move {
            match &new.content {
                Content::Text { .. } => insert_text(&pool, slot, new, outbox).await.map(Some),
                _ => insert_change(&pool, slot, new, outbox).await,
            }
        })
        .await
    }

    /// Forgets all but the newest entries of a room with one member.
    pub(super) async fn trim_room(&self, room: RoomId, keep: Seq) -> Result<(), StoreError> {
        let slot = self.slot(room.0);
        self.on_slot(slot, |pool| async move {
            sqlx::query("select chat.trim_room($1, $2, $3)").bind(slot).bind(room.0).bind(keep).execute(&pool).await
        })
        .await
        .map(drop)
    }

    /// A page for a member.
    pub(super) async fn page(
        &self,
        room: RoomId,
        user: UserId,
        page: Page,
        view: View,
        limit: u32,
    ) -> Result<Entries, StoreError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            member: bool,
            last_seq: Option<Seq>,
            #[sqlx(flatten)]
            entry: EntryRow,
            reactions: Option<sqlx::types::Json<Vec<(String, u32, bool)>>>,
        }
        let slot = self.slot(room.0);
        let limit = i32::try_from(limit.clamp(1, MAX_PAGE)).unwrap_or(1);
        let (before, after) = match page {
            Page::Newest => (None, None),
            Page::Before(seq) => (Some(seq), None),
            Page::After(seq) => (None, Some(seq)),
        };
        let mut rows: Vec<Row> = self
            .on_slot(slot, |pool| async move {
                // One more than asked for tells whether there are more.
                sqlx::query_as("select * from chat.entries($1, $2, $3, $4, $5, $6, $7)")
                    .bind(slot)
                    .bind(room.0)
                    .bind(user.0)
                    .bind(before)
                    .bind(after)
                    .bind(limit + 1)
                    .bind(view == View::Texts)
                    .fetch_all(&pool)
                    .await
            })
            .await?;
        if rows.iter().any(|row| !row.member) {
            return Err(StoreError::RoomNotFound);
        }
        let last_seq = rows.iter().find_map(|row| row.last_seq).unwrap_or(0);
        rows.retain(|row| row.entry.seq.is_some());
        rows.sort_by_key(|row| row.entry.seq);
        let limit = usize::try_from(limit).unwrap_or(1);
        let more = rows.len() > limit;
        if more && after.is_none() {
            rows.remove(0);
        }
        rows.truncate(limit);
        let mut found = Entries { more, last_seq, ..Entries::default() };
        for Row { entry, reactions, .. } in rows {
            let reaction = |(emoji, count, mine)| Reaction { emoji, count, mine };
            let Some(message) = entry.message(room) else { continue };
            if let Some(sqlx::types::Json(reactions)) = reactions {
                found.reactions.push((message.seq, reactions.into_iter().map(reaction).collect()));
            }
            found.messages.push(message);
        }
        Ok(found)
    }
}

/// Stores a text in a transaction of its own.
pub(super) async fn insert_text(
    pool: &PgPool,
    slot: i32,
    new: &NewMessage,
    outbox: Uuid,
) -> Result<Stored, sqlx::Error> {
    let mentions: Vec<Uuid> = new.content.mentions().iter().map(|user| user.0).collect();
    sqlx::query_as(
        "select seq, sender_name, at_ms, duplicate, mentions, removal_version \
         from chat.store_text($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(slot)
    .bind(new.room.0)
    .bind(new.message_id.0)
    .bind(new.sender.0)
    .bind(new.content.body())
    .bind(new.content.reply_to())
    .bind(mentions)
    .bind(outbox)
    .fetch_one(pool)
    .await
}

/// Stores texts in one transaction; those that were stored, each with its place from 1.
pub(super) async fn insert_texts(pool: &PgPool, entries: &[Entry]) -> Result<Vec<(i64, Stored)>, sqlx::Error> {
    fn all<'a, T>(entries: &'a [Entry], field: impl Fn(&'a Entry) -> T) -> Vec<T> {
        entries.iter().map(field).collect()
    }
    // An array of arrays would need parts of one length, so each list travels as PostgreSQL writes it.
    let mentions = |entry: &Entry| {
        let mentions = entry.new.content.mentions();
        let ids = || mentions.iter().map(|user| user.0.to_string()).collect::<Vec<_>>().join(",");
        (!mentions.is_empty()).then(|| format!("{{{}}}", ids()))
    };
    let rows: Vec<(i64, Seq, String, i64, Vec<Uuid>, i64)> = sqlx::query_as(
        "select place, seq, sender_name, at_ms, mentions, removal_version \
         from chat.store_texts($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(all(entries, |entry| entry.slot))
    .bind(all(entries, |entry| entry.new.room.0))
    .bind(all(entries, |entry| entry.new.message_id.0))
    .bind(all(entries, |entry| entry.new.sender.0))
    .bind(all(entries, |entry| entry.new.content.body()))
    .bind(all(entries, |entry| entry.new.content.reply_to()))
    .bind(all(entries, mentions))
    .bind(all(entries, |entry| entry.outbox))
    .fetch_all(pool)
    .await?;
    let stored = |(place, seq, name, at, mentions, removal)| (place, (seq, name, at, false, mentions, removal));
    Ok(rows.into_iter().map(stored).collect())
}

/// `None` where there is no reaction to end.
async fn insert_change(
    pool: &PgPool,
    slot: i32,
    new: &NewMessage,
    outbox: Uuid,
) -> Result<Option<Stored>, sqlx::Error> {
    type Row = (Option<Seq>, Option<String>, Option<i64>, bool, i64);
    let (seq, sender_name, at, duplicate, removal): Row = sqlx::query_as(
        "select seq, sender_name, at_ms, duplicate, removal_version \
         from chat.store_change($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(slot)
    .bind(new.room.0)
    .bind(new.message_id.0)
    .bind(new.sender.0)
    .bind(new.content.kind().name())
    .bind(new.content.target())
    .bind(new.content.body())
    .bind(outbox)
    .bind(i32::try_from(MAX_REACTIONS).unwrap_or(i32::MAX))
    .fetch_one(pool)
    .await?;
    let stored = |((seq, sender_name), at)| (seq, sender_name, at, duplicate, Vec::new(), removal);
    Ok(seq.zip(sender_name).zip(at).map(stored))
}
