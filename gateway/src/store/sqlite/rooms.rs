//! Rooms, and their list as a user sees it.

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use super::{
    members::{NewMember, insert_member},
    now_ms, outbox, people, requests, timestamp,
};
use crate::{
    model::{Newest, RequestId, Role, Room, RoomId, RoomKind, RoomSummary, Seq, UserId},
    store::{
        Changed, NewRoom, Place, StoreError, StoredEvent,
        limits::{MAX_USER_ROOMS, PREVIEW_CHARS, UNREAD_WINDOW},
        membership::members_of,
        requests::{Asked, Change, Made},
    },
};

/// A room as one member sees it, from a row with the columns of both.
pub(super) fn room(row: &Row<'_>) -> rusqlite::Result<Room> {
    Ok(Room {
        id: RoomId(row.get("id")?),
        kind: kind_of(&row.get::<_, String>("kind")?),
        title: row.get("title")?,
        last_seq: row.get("last_seq")?,
        read_seq: row.get("read_seq")?,
        delivered_seq: row.get("delivered_seq")?,
        created_at: timestamp(row.get("created_ms")?),
        member_version: row.get("member_version")?,
    })
}

fn kind_of(name: &str) -> RoomKind {
    if name == "direct" { RoomKind::Direct } else { RoomKind::Group }
}

/// A room's kind.
pub(super) fn kind(connection: &Connection, room: RoomId) -> Result<RoomKind, StoreError> {
    let sql = "select kind from rooms where id = ?1";
    let name: Option<String> = connection.prepare_cached(sql)?.query_row([room.0], |row| row.get(0)).optional()?;
    Ok(kind_of(&name.ok_or(StoreError::RoomNotFound)?))
}

/// One room as its member sees it.
pub(super) fn view(connection: &Connection, id: RoomId, user: UserId) -> Result<Room, StoreError> {
    let sql = "select r.id, r.kind, r.title, r.last_seq, r.created_ms, r.member_version, m.read_seq, m.delivered_seq
        from rooms r join members m on m.room_id = r.id where r.id = ?1 and m.user_id = ?2";
    let found = connection.prepare_cached(sql)?.query_row((id.0, user.0), room).optional()?;
    found.ok_or(StoreError::RoomNotFound)
}

/// The rooms a user is in, newest first.
pub(super) fn of_user(connection: &Connection, user: UserId) -> Result<Vec<Room>, StoreError> {
    let sql = "select r.id, r.kind, r.title, r.last_seq, r.created_ms, r.member_version, m.read_seq, m.delivered_seq
        from user_rooms u
        join members m on m.room_id = u.room_id and m.user_id = u.user_id
        join rooms r on r.id = u.room_id
        where u.user_id = ?1 and u.joined order by u.room_id desc limit ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((user.0, MAX_USER_ROOMS as i64), room)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Ids of the rooms a user is in, newest id first.
pub(super) fn ids_of_user(connection: &Connection, user: UserId) -> Result<Vec<RoomId>, StoreError> {
    let sql = "select room_id from user_rooms where user_id = ?1 and joined order by room_id desc limit ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((user.0, MAX_USER_ROOMS as i64), |row| Ok(RoomId(row.get(0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Rooms as their list shows them; those the user is not in are left out.
pub(super) fn summaries(
    connection: &Connection,
    user: UserId,
    rooms: &[RoomId],
) -> Result<Vec<RoomSummary>, StoreError> {
    let sql =
        "select r.id, r.kind, r.title, r.last_seq, r.created_ms, r.member_version, r.member_count, m.read_seq, m.delivered_seq, m.role,
            m.muted_ms
        from rooms r join members m on m.room_id = r.id where r.id = ?1 and m.user_id = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = Vec::new();
    for id in rooms {
        let summary = statement.query_row((id.0, user.0), |row| {
            Ok(RoomSummary {
                room: room(row)?,
                role: Role::of_name(&row.get::<_, String>("role")?),
                muted_until: row.get::<_, Option<i64>>("muted_ms")?.map(timestamp),
                members: row.get("member_count")?,
                unread: 0,
                mentioned: 0,
                newest: None,
            })
        });
        let Some(mut summary) = summary.optional()? else { continue };
        (summary.unread, summary.mentioned) = unread(connection, *id, user, summary.room.read_seq)?;
        summary.newest = newest(connection, *id)?;
        found.push(summary);
    }
    Ok(found)
}

/// Texts of others after a read mark, and those of them that mention the user.
fn unread(connection: &Connection, room: RoomId, user: UserId, read_seq: Seq) -> Result<(u32, u32), StoreError> {
    let sql = "select mentions from (
            select * from messages where room_id = ?1 and seq > ?2 order by seq limit ?3
        ) where kind = 'text' and sender <> ?4 and not deleted";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((room.0, read_seq, UNREAD_WINDOW, user.0), |row| row.get::<_, Vec<u8>>(0))?;
    let (mut unread, mut mentioned) = (0, 0);
    for mentions in rows {
        unread += 1;
        mentioned += u32::from(mentions?.chunks(16).any(|id| id == user.0.as_bytes()));
    }
    Ok((unread, mentioned))
}

fn newest(connection: &Connection, room: RoomId) -> Result<Option<Newest>, StoreError> {
    let sql = "select seq, sender, sender_name, substr(body, 1, ?3), at_ms, deleted from (
            select * from messages where room_id = ?1 order by seq desc limit ?2
        ) where kind = 'text' order by seq desc limit 1";
    let newest = connection.prepare_cached(sql)?.query_row((room.0, UNREAD_WINDOW, PREVIEW_CHARS as i64), |row| {
        Ok(Newest {
            seq: row.get(0)?,
            sender: UserId(row.get(1)?),
            sender_name: row.get(2)?,
            body: row.get(3)?,
            at: timestamp(row.get(4)?),
            deleted: row.get(5)?,
        })
    });
    Ok(newest.optional()?)
}

/// Where those of the rooms stand that are there.
pub(super) fn positions(connection: &Connection, rooms: &[RoomId]) -> Result<Vec<Place>, StoreError> {
    let mut statement = connection.prepare_cached("select last_seq, removal_version from rooms where id = ?1")?;
    let mut found = Vec::new();
    for room in rooms.iter().copied() {
        let place = |row: &Row<'_>| Ok(Place { room, last_seq: row.get(0)?, removal: row.get(1)? });
        found.extend(statement.query_row([room.0], place).optional()?);
    }
    Ok(found)
}

/// What making a room was answered, if this request was carried out before.
pub(super) fn made_before(
    connection: &Connection,
    new: &NewRoom,
    request: Option<RequestId>,
) -> Result<Option<(Room, bool)>, StoreError> {
    let asked = Asked::new(request, &Change::Create(new));
    let Some(made) = requests::done_before(connection, new.id, new.creator, asked)?.flatten() else { return Ok(None) };
    let sql = "select id, kind, title, last_seq, created_ms, 0 as read_seq, 0 as delivered_seq, 0 as member_version from rooms where id = ?1";
    Ok(Some(made.answer(connection.prepare_cached(sql)?.query_row([new.id.0], room)?)))
}

/// The version of the newest removal from a room; 0 without a room.
pub(super) fn removal(connection: &Connection, room: RoomId) -> Result<i64, StoreError> {
    let sql = "select removal_version from rooms where id = ?1";
    Ok(connection.prepare_cached(sql)?.query_row([room.0], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Makes a room with its first members, or finds it.
pub(super) fn create(
    connection: &Connection,
    new: &NewRoom,
    request: Option<RequestId>,
) -> Result<Changed<(Room, bool)>, StoreError> {
    let creator = people::find(connection, &[new.creator])?.pop();
    let creator = creator.ok_or_else(|| StoreError::UserNotFound(new.creator.to_string()))?;
    let users = members_of(creator, new)?;
    if let Some(value) = made_before(connection, new, request)? {
        return Ok(Changed { value, events: Vec::new() });
    }
    let sql = "insert into rooms (id, kind, title, created_ms, member_version, member_count)
        values (:id, :kind, :title, :now, :count, :count) on conflict do nothing";
    let made = connection.prepare_cached(sql)?.execute(named_params! {
        ":id": new.id.0, ":kind": if new.kind == RoomKind::Direct { "direct" } else { "group" },
        ":title": new.title, ":now": now_ms(), ":count": users.len() as i64,
    })? == 1;
    let mut events = Vec::new();
    for (version, user) in (1..).zip(&users).filter(|_| made) {
        let role = if version == 1 { Role::Owner } else { Role::Member };
        insert_member(connection, new.id, &NewMember { user, role, version, seq: 0 })?;
        let event = StoredEvent::Joined { room: new.id, user: user.id, name: user.name.clone(), version };
        events.push(outbox::push(connection, new.id, event)?);
    }
    let room = view(connection, new.id, new.creator)?;
    let asked = Asked::new(request, &Change::Create(new));
    requests::keep(connection, new.id, new.creator, asked, Some(Made::of(&room, made)))?;
    Ok(Changed { value: (room, made), events })
}
