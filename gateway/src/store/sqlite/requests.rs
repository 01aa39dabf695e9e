//! Requests that were carried out, for their repeats.

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::{
    model::{RoomId, UserId},
    store::{
        StoreError,
        requests::{Asked, Made},
    },
};

/// Whether a request was carried out before, and what making the room was answered then.
pub(super) fn done_before(
    connection: &Connection,
    room: RoomId,
    user: UserId,
    asked: Option<Asked>,
) -> Result<Option<Option<Made>>, StoreError> {
    let Some(asked) = asked else { return Ok(None) };
    let sql = "select asked, created, last_seq, delivered_seq, read_seq from requests
        where room_id = ?1 and user_id = ?2 and request_id = ?3";
    let read = |row: &Row<'_>| Ok((row.get::<_, Vec<u8>>("asked")?, made(row)?));
    let found = connection.prepare_cached(sql)?.query_row((room.0, user.0, asked.id.0), read).optional()?;
    let Some((digest, made)) = found else { return Ok(None) };
    asked.check(&digest)?;
    Ok(Some(made))
}

fn made(row: &Row<'_>) -> rusqlite::Result<Option<Made>> {
    let Some(created) = row.get("created")? else { return Ok(None) };
    Ok(Some(Made {
        created,
        last_seq: row.get("last_seq")?,
        delivered_seq: row.get("delivered_seq")?,
        read_seq: row.get("read_seq")?,
    }))
}

/// Remembers that a request was carried out.
pub(super) fn keep(
    connection: &Connection,
    room: RoomId,
    user: UserId,
    asked: Option<Asked>,
    made: Option<Made>,
) -> Result<(), StoreError> {
    let Some(asked) = asked else { return Ok(()) };
    let sql = "insert into requests (room_id, user_id, request_id, asked, created, last_seq, delivered_seq, read_seq)
        values (:room, :user, :id, :asked, :created, :last, :delivered, :read)";
    connection.prepare_cached(sql)?.execute(named_params! {
        ":room": room.0, ":user": user.0, ":id": asked.id.0, ":asked": asked.digest,
        ":created": made.map(|made| made.created), ":last": made.map(|made| made.last_seq),
        ":delivered": made.map(|made| made.delivered_seq), ":read": made.map(|made| made.read_seq),
    })?;
    Ok(())
}
