//! Messages.

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use super::{now_ms, outbox, timestamp};
use crate::{
    model::{Message, MessageId, RoomId, UserId},
    store::{NewMessage, Page, Sent, StoreError, StoredEvent, limits::MAX_PAGE},
};

const COLUMNS: &str = "room_id, seq, message_id, sender, sender_name, body, at_ms";

fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        room: RoomId(row.get("room_id")?),
        seq: row.get("seq")?,
        message_id: MessageId(row.get("message_id")?),
        sender: UserId(row.get("sender")?),
        sender_name: row.get("sender_name")?,
        body: row.get("body")?,
        at: timestamp(row.get("at_ms")?),
    })
}

/// Stores a message under the next seq of its room, or finds the one that was stored under this id.
pub(super) fn send(connection: &Connection, new: NewMessage) -> Result<Sent, StoreError> {
    let sql = "select display_name from members where room_id = ?1 and user_id = ?2";
    let name: Option<String> =
        connection.prepare_cached(sql)?.query_row((new.room.0, new.sender.0), |row| row.get(0)).optional()?;
    let sender_name = name.ok_or(StoreError::RoomNotFound)?;

    let sql = format!("select {COLUMNS} from messages where room_id = ?1 and message_id = ?2");
    let first = connection.prepare_cached(&sql)?.query_row((new.room.0, new.message_id.0), message).optional()?;
    if let Some(first) = first {
        if first.sender != new.sender || first.body != new.body {
            return Err(StoreError::MessageIdReused);
        }
        return Ok(Sent { message: first, duplicate: true, events: Vec::new() });
    }

    let sql = "update rooms set last_seq = last_seq + 1 where id = ?1 returning last_seq";
    let seq = connection.prepare_cached(sql)?.query_row([new.room.0], |row| row.get(0))?;
    let at_ms = now_ms();
    let sql = "insert into messages (room_id, seq, message_id, sender, sender_name, body, at_ms)
        values (:room, :seq, :id, :sender, :name, :body, :at)";
    connection.prepare_cached(sql)?.execute(named_params! {
        ":room": new.room.0, ":seq": seq, ":id": new.message_id.0, ":sender": new.sender.0,
        ":name": sender_name, ":body": new.body, ":at": at_ms,
    })?;
    let message = Message {
        room: new.room,
        seq,
        message_id: new.message_id,
        sender: new.sender,
        sender_name,
        body: new.body,
        at: timestamp(at_ms),
    };
    let event = outbox::push(connection, new.room, StoredEvent::Message { message: message.clone() })?;
    Ok(Sent { message, duplicate: false, events: vec![event] })
}

/// A page in ascending seq, and whether there are more in its direction.
pub(super) fn page(
    connection: &Connection,
    room: RoomId,
    page: Page,
    limit: u32,
) -> Result<(Vec<Message>, bool), StoreError> {
    let limit = limit.clamp(1, MAX_PAGE) as usize;
    let (condition, order, bound) = match page {
        Page::After(seq) => ("seq > ?2", "asc", seq),
        Page::Before(seq) => ("seq < ?2", "desc", seq),
        Page::Newest => ("seq < ?2", "desc", i64::MAX),
    };
    // One more than asked for tells whether there are more.
    let sql =
        format!("select {COLUMNS} from messages where room_id = ?1 and {condition} order by seq {order} limit ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map((room.0, bound, limit as i64 + 1), message)?;
    let mut found: Vec<Message> = rows.collect::<Result<_, _>>()?;
    let more = found.len() > limit;
    found.truncate(limit);
    if order == "desc" {
        found.reverse();
    }
    Ok((found, more))
}
