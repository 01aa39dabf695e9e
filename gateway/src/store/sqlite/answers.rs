//! What was answered to reactions that changed nothing.

use rusqlite::{Connection, OptionalExtension as _, named_params};
use uuid::Uuid;

use super::messages;
use crate::{
    model::{EntryKind, Seq},
    store::{NewMessage, Sent, StoreError},
};

/// How a send ends. A refusal that must be kept commits as well, so it is no error of the transaction.
pub(super) type Answer = Result<Sent, StoreError>;

/// The first answer, if an entry of this id changed nothing before.
pub(super) fn find(connection: &Connection, new: &NewMessage) -> Result<Option<Answer>, StoreError> {
    if new.content.kind() == EntryKind::Text {
        return Ok(None);
    }
    type Row = (Uuid, String, Seq, String, Option<Seq>);
    let sql = "select sender, kind, target, emoji, seq from answers where room_id = ?1 and message_id = ?2";
    let row: Option<Row> = connection
        .prepare_cached(sql)?
        .query_row((new.room.0, new.message_id.0), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })
        .optional()?;
    let Some((sender, kind, target, emoji, seq)) = row else { return Ok(None) };
    let same = sender == new.sender.0
        && kind == new.content.kind().name()
        && Some(target) == new.content.target()
        && emoji == new.content.body();
    if !same {
        return Err(StoreError::MessageIdReused);
    }
    answer(connection, new.clone(), seq).map(Some)
}

/// Keeps the answer to one that changes nothing, and gives it.
pub(super) fn keep(connection: &Connection, new: NewMessage, seq: Option<Seq>) -> Result<Answer, StoreError> {
    let sql = "insert into answers (room_id, message_id, sender, kind, target, emoji, seq)
        values (:room, :id, :sender, :kind, :target, :emoji, :seq)";
    connection.prepare_cached(sql)?.execute(named_params! {
        ":room": new.room.0, ":id": new.message_id.0, ":sender": new.sender.0, ":kind": new.content.kind().name(),
        ":target": new.content.target(), ":emoji": new.content.body(), ":seq": seq,
    })?;
    answer(connection, new, seq)
}

fn answer(connection: &Connection, new: NewMessage, seq: Option<Seq>) -> Result<Answer, StoreError> {
    let there = match seq {
        Some(seq) => messages::at(connection, new.room, seq)?,
        None => None,
    };
    Ok(there.ok_or(StoreError::MessageNotFound("emoji")).map(|there| {
        let message = new.stored(there.seq, there.sender_name, there.at, Vec::new());
        Sent { message, duplicate: true, events: Vec::new() }
    }))
}
