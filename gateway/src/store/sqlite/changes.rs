//! What edits, deletions and reactions do to the text that they name.

use rusqlite::{Connection, OptionalExtension as _};

use super::{members, messages, rooms};
use crate::{
    model::{Content, RoomId, Seq},
    store::{
        NewMessage, StoreError,
        changes::{Actor, REACTIONS, check, digest},
        limits::MAX_REACTIONS,
    },
};

/// What became of a change.
pub(super) enum Changed {
    /// The text is another one now.
    Text,
    /// It is as it was: the reaction is there already, by the entry at this seq, or there is none to end.
    Nothing(Option<Seq>),
}

/// Brings the text up to date for the entry that will stand at `seq`.
pub(super) fn apply(connection: &Connection, new: &NewMessage, seq: Seq, at_ms: i64) -> Result<Changed, StoreError> {
    let target = new.content.target().ok_or(StoreError::MessageNotFound("target"))?;
    let text = messages::at(connection, new.room, target)?;
    let role = members::role(connection, new.room, new.sender)?.ok_or(StoreError::RoomNotFound)?;
    let actor = Actor { user: new.sender, role, room: rooms::kind(connection, new.room)? };
    check(&new.content, text.as_ref(), &actor)?;
    match &new.content {
        Content::Text { .. } => {}
        Content::Edit { body, .. } => replace_body(connection, new.room, target, body, false, at_ms)?,
        Content::Delete { .. } => {
            replace_body(connection, new.room, target, "", true, at_ms)?;
            let sql = "delete from reactions where room_id = ?1 and target = ?2";
            connection.prepare_cached(sql)?.execute((new.room.0, target))?;
        }
        Content::React { emoji, .. } => return react(connection, new, target, emoji, seq),
        Content::Unreact { emoji, .. } => {
            let sql = "delete from reactions where room_id = ?1 and target = ?2 and user_id = ?3 and emoji = ?4";
            let gone = connection.prepare_cached(sql)?.execute((new.room.0, target, new.sender.0, emoji))?;
            if gone == 0 {
                return Ok(Changed::Nothing(None));
            }
        }
    }
    Ok(Changed::Text)
}

/// Gives a text another body, and takes theirs from the edits before.
fn replace_body(
    connection: &Connection,
    room: RoomId,
    text: Seq,
    body: &str,
    deleted: bool,
    at_ms: i64,
) -> Result<(), StoreError> {
    let sql = "select seq, body from messages
        where room_id = ?1 and first_body is null and (seq = ?2 or (target = ?2 and kind = 'edit'))";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((room.0, text), |row| Ok((row.get::<_, Seq>(0)?, row.get::<_, String>(1)?)))?;
    let mut keep = connection.prepare_cached("update messages set first_body = ?3 where room_id = ?1 and seq = ?2")?;
    for row in rows.collect::<Result<Vec<_>, _>>()? {
        keep.execute((room.0, row.0, digest(&row.1)))?;
    }
    let sql = "update messages set body = '', deleted = 1 where room_id = ?1 and target = ?2 and kind = 'edit'";
    connection.prepare_cached(sql)?.execute((room.0, text))?;
    let sql = "update messages set body = ?3, deleted = ?4, edited_ms = ?5 where room_id = ?1 and seq = ?2";
    connection.prepare_cached(sql)?.execute((room.0, text, body, deleted, at_ms))?;
    Ok(())
}

fn react(connection: &Connection, new: &NewMessage, target: Seq, emoji: &str, seq: Seq) -> Result<Changed, StoreError> {
    let sql = "select seq from reactions where room_id = ?1 and target = ?2 and user_id = ?3 and emoji = ?4";
    let there = connection
        .prepare_cached(sql)?
        .query_row((new.room.0, target, new.sender.0, emoji), |row| row.get(0))
        .optional()?;
    if there.is_some() {
        return Ok(Changed::Nothing(there));
    }
    let sql = "select count(*) from reactions where room_id = ?1 and target = ?2 and user_id = ?3";
    let count: i64 = connection.prepare_cached(sql)?.query_row((new.room.0, target, new.sender.0), |row| row.get(0))?;
    if count >= MAX_REACTIONS as i64 {
        return Err(StoreError::Limit(REACTIONS));
    }
    let sql = "insert into reactions (room_id, target, user_id, emoji, seq) values (?1, ?2, ?3, ?4, ?5)";
    connection.prepare_cached(sql)?.execute((new.room.0, target, new.sender.0, emoji, seq))?;
    Ok(Changed::Text)
}
