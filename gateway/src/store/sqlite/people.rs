//! Accounts and the lists of their rooms.

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::{
    model::{RoomId, User, UserId},
    store::{NewUser, StoreError},
};

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User { id: UserId(row.get("id")?), name: row.get("name")?, display_name: row.get("display_name")? })
}

/// Makes an account, or finds the same one: the hash is salted, so an equal one is the same request again.
pub(super) fn create(connection: &Connection, new: NewUser) -> Result<User, StoreError> {
    let NewUser { user, password_hash } = new;
    if let Some(there) = credentials(connection, user.id)? {
        return if there == (user, password_hash) { Ok(there.0) } else { Err(StoreError::NameTaken) };
    }
    connection
        .prepare_cached(
            "insert into users (id, name, display_name, password_hash) values (:id, :name, :display, :hash)",
        )?
        .execute(named_params! {
            ":id": user.id.0, ":name": user.name, ":display": user.display_name, ":hash": password_hash,
        })?;
    Ok(user)
}

/// Those of the accounts that are there.
pub(super) fn find(connection: &Connection, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
    let mut statement = connection.prepare_cached("select id, name, display_name from users where id = ?1")?;
    let mut found = Vec::new();
    for id in ids {
        found.extend(statement.query_row([id.0], user).optional()?);
    }
    Ok(found)
}

/// An account with its password hash.
pub(super) fn credentials(connection: &Connection, id: UserId) -> Result<Option<(User, String)>, StoreError> {
    let mut statement =
        connection.prepare_cached("select id, name, display_name, password_hash from users where id = ?1")?;
    Ok(statement.query_row([id.0], |row| Ok((user(row)?, row.get("password_hash")?))).optional()?)
}

/// Brings a room list up to date; an older or equal version changes nothing.
pub(super) fn list(connection: &Connection, listing: (UserId, RoomId, bool, i64)) -> Result<(), StoreError> {
    let (user, room, joined, version) = listing;
    let sql = "insert into user_rooms (user_id, room_id, joined, version) values (?1, ?2, ?3, ?4)
        on conflict (user_id, room_id) do update set joined = excluded.joined, version = excluded.version
        where version < excluded.version";
    connection.prepare_cached(sql)?.execute((user.0, room.0, joined, version))?;
    Ok(())
}
