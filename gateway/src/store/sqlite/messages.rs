//! Entries of rooms' logs: storing texts, and reading.

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};
use uuid::Uuid;

use super::{
    answers::{self, Answer},
    changes::{self, Changed},
    members, now_ms, outbox, timestamp,
};
use crate::{
    model::{Content, EntryKind, Message, MessageId, Reaction, RoomId, Seq, UserId},
    store::{Entries, NewMessage, Page, Sent, StoreError, StoredEvent, View, changes::is_repeat, limits::MAX_PAGE},
};

const COLUMNS: &str = "room_id, seq, message_id, sender, sender_name, body, at_ms, kind, target, reply_to, mentions,
    edited_ms, deleted, first_body";

fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    let kind: String = row.get("kind")?;
    let mentions: Vec<u8> = row.get("mentions")?;
    Ok(Message {
        room: RoomId(row.get("room_id")?),
        seq: row.get("seq")?,
        message_id: MessageId(row.get("message_id")?),
        sender: UserId(row.get("sender")?),
        sender_name: row.get("sender_name")?,
        body: row.get("body")?,
        at: timestamp(row.get("at_ms")?),
        kind: EntryKind::of_name(&kind),
        target: row.get("target")?,
        reply_to: row.get("reply_to")?,
        mentions: mentions.chunks(16).filter_map(|id| Uuid::from_slice(id).ok()).map(UserId).collect(),
        edited_at: row.get::<_, Option<i64>>("edited_ms")?.map(timestamp),
        deleted: row.get("deleted")?,
    })
}

/// The entry at a place of a room.
pub(super) fn at(connection: &Connection, room: RoomId, seq: Seq) -> Result<Option<Message>, StoreError> {
    let sql = format!("select {COLUMNS} from messages where room_id = ?1 and seq = ?2");
    Ok(connection.prepare_cached(&sql)?.query_row((room.0, seq), message).optional()?)
}

/// Stores an entry under the next seq of its room, or finds the one that was stored under this id.
pub(super) fn send(connection: &Connection, new: NewMessage) -> Result<Answer, StoreError> {
    let sql = "select display_name from members where room_id = ?1 and user_id = ?2";
    let name: Option<String> =
        connection.prepare_cached(sql)?.query_row((new.room.0, new.sender.0), |row| row.get(0)).optional()?;
    let sender_name = name.ok_or(StoreError::RoomNotFound)?;

    let sql = format!("select {COLUMNS} from messages where room_id = ?1 and message_id = ?2");
    let read = |row: &Row<'_>| Ok((message(row)?, row.get::<_, Option<Vec<u8>>>("first_body")?));
    let first = connection.prepare_cached(&sql)?.query_row((new.room.0, new.message_id.0), read).optional()?;
    if let Some((first, first_body)) = first {
        if !is_repeat(&first, first_body.as_deref(), &new) {
            return Err(StoreError::MessageIdReused);
        }
        // As it was stored first, whatever has become of it.
        let first = new.stored(first.seq, first.sender_name, first.at, first.mentions);
        return Ok(Ok(Sent { message: first, duplicate: true, events: Vec::new() }));
    }
    if let Some(answer) = answers::find(connection, &new)? {
        return Ok(answer);
    }

    let sql = "select last_seq + 1, removal_version from rooms where id = ?1";
    let (seq, removal): (Seq, i64) =
        connection.prepare_cached(sql)?.query_row([new.room.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let at_ms = now_ms();
    let mentions = match &new.content {
        Content::Text { reply_to, mentions, .. } => {
            if let Some(reply_to) = reply_to {
                at(connection, new.room, *reply_to)?
                    .filter(|text| text.kind == EntryKind::Text)
                    .ok_or(StoreError::MessageNotFound("reply_to"))?;
            }
            members::among(connection, new.room, mentions)?
        }
        _ => {
            if let Changed::Nothing(there) = changes::apply(connection, &new, seq, at_ms)? {
                return answers::keep(connection, new, there);
            }
            Vec::new()
        }
    };
    connection.prepare_cached("update rooms set last_seq = ?2 where id = ?1")?.execute((new.room.0, seq))?;
    let message = new.stored(seq, sender_name, timestamp(at_ms), mentions);
    insert(connection, &message)?;
    let event = outbox::push(connection, message.room, StoredEvent::Message { message: message.clone(), removal })?;
    Ok(Ok(Sent { message, duplicate: false, events: vec![event] }))
}

fn insert(connection: &Connection, message: &Message) -> Result<(), StoreError> {
    let mentions: Vec<u8> = message.mentions.iter().flat_map(|user| *user.0.as_bytes()).collect();
    let sql = "insert into messages
        (room_id, seq, message_id, sender, sender_name, body, at_ms, kind, target, reply_to, mentions)
        values (:room, :seq, :id, :sender, :name, :body, :at, :kind, :target, :reply_to, :mentions)";
    connection.prepare_cached(sql)?.execute(named_params! {
        ":room": message.room.0, ":seq": message.seq, ":id": message.message_id.0, ":sender": message.sender.0,
        ":name": message.sender_name, ":body": message.body, ":at": message.at.as_millisecond(),
        ":kind": message.kind.name(), ":target": message.target, ":reply_to": message.reply_to, ":mentions": mentions,
    })?;
    Ok(())
}

/// A page; `user` decides which reactions are the reader's own.
pub(super) fn page(
    connection: &Connection,
    room: RoomId,
    user: Option<UserId>,
    page: Page,
    view: View,
    limit: u32,
) -> Result<Entries, StoreError> {
    let limit = limit.clamp(1, MAX_PAGE) as usize;
    let (condition, order, bound) = match page {
        Page::After(seq) => ("seq > ?2", "asc", seq),
        Page::Before(seq) => ("seq < ?2", "desc", seq),
        Page::Newest => ("seq < ?2", "desc", i64::MAX),
    };
    let texts = if view == View::Texts { "and kind = 'text'" } else { "" };
    let sql = "select last_seq from rooms where id = ?1";
    let last_seq = connection.prepare_cached(sql)?.query_row([room.0], |row| row.get(0)).optional()?.unwrap_or(0);
    // One more than asked for tells whether there are more.
    let sql = format!(
        "select {COLUMNS} from messages where room_id = ?1 and {condition} {texts} order by seq {order} limit ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map((room.0, bound, limit as i64 + 1), message)?;
    let mut messages: Vec<Message> = rows.collect::<Result<_, _>>()?;
    let more = messages.len() > limit;
    messages.truncate(limit);
    if order == "desc" {
        messages.reverse();
    }
    let mut reactions = Vec::new();
    if view == View::Texts {
        for text in &messages {
            let found = reactions_to(connection, room, text.seq, user)?;
            if !found.is_empty() {
                reactions.push((text.seq, found));
            }
        }
    }
    Ok(Entries { messages, reactions, more, last_seq })
}

/// Forgets all but the newest entries of a room with one member.
pub(super) fn trim(connection: &Connection, room: RoomId, keep: Seq) -> Result<(), StoreError> {
    let sql = "delete from messages where room_id = ?1 and seq <= (select last_seq from rooms where id = ?1) - ?2
        and (select count(*) from members where room_id = ?1) = 1";
    connection.prepare_cached(sql)?.execute((room.0, keep))?;
    Ok(())
}

fn reactions_to(
    connection: &Connection,
    room: RoomId,
    text: Seq,
    user: Option<UserId>,
) -> Result<Vec<Reaction>, StoreError> {
    let sql = "select emoji, count(*), max(user_id = ?3) from reactions where room_id = ?1 and target = ?2
        group by emoji order by min(seq)";
    let mut statement = connection.prepare_cached(sql)?;
    let user = user.map_or(Uuid::nil(), |user| user.0);
    let rows = statement.query_map((room.0, text, user), |row| {
        Ok(Reaction { emoji: row.get(0)?, count: row.get(1)?, mine: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
