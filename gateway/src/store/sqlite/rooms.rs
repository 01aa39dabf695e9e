//! Rooms and their members.

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use super::{now_ms, outbox, people, timestamp};
use crate::{
    model::{Member, Role, Room, RoomId, RoomKind, Seq, User, UserId},
    store::{
        Changed, Marks, NewRoom, StoreError, StoredEvent,
        limits::{MAX_MEMBERS, MAX_USER_ROOMS},
        membership::members_of,
    },
};

/// A room as one member sees it, from a row with the columns of both.
pub(super) fn room(row: &Row<'_>) -> rusqlite::Result<Room> {
    let kind: String = row.get("kind")?;
    Ok(Room {
        id: RoomId(row.get("id")?),
        kind: if kind == "direct" { RoomKind::Direct } else { RoomKind::Group },
        title: row.get("title")?,
        last_seq: row.get("last_seq")?,
        read_seq: row.get("read_seq")?,
        delivered_seq: row.get("delivered_seq")?,
        created_at: timestamp(row.get("created_ms")?),
    })
}

fn role_of(name: &str) -> Role {
    if name == "owner" { Role::Owner } else { Role::Member }
}

/// One room as its member sees it.
pub(super) fn view(connection: &Connection, id: RoomId, user: UserId) -> Result<Room, StoreError> {
    let sql = "select r.id, r.kind, r.title, r.last_seq, r.created_ms, m.read_seq, m.delivered_seq
        from rooms r join members m on m.room_id = r.id where r.id = ?1 and m.user_id = ?2";
    let found = connection.prepare_cached(sql)?.query_row((id.0, user.0), room).optional()?;
    found.ok_or(StoreError::RoomNotFound)
}

/// The rooms a user is in, newest first.
pub(super) fn of_user(connection: &Connection, user: UserId) -> Result<Vec<Room>, StoreError> {
    let sql = "select r.id, r.kind, r.title, r.last_seq, r.created_ms, m.read_seq, m.delivered_seq
        from user_rooms u
        join members m on m.room_id = u.room_id and m.user_id = u.user_id
        join rooms r on r.id = u.room_id
        where u.user_id = ?1 and u.joined order by u.room_id desc limit ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((user.0, MAX_USER_ROOMS as i64), room)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A member's role.
pub(super) fn role(connection: &Connection, room: RoomId, user: UserId) -> Result<Option<Role>, StoreError> {
    let sql = "select role from members where room_id = ?1 and user_id = ?2";
    let name: Option<String> =
        connection.prepare_cached(sql)?.query_row((room.0, user.0), |row| row.get(0)).optional()?;
    Ok(name.as_deref().map(role_of))
}

/// All members, for one of them, those who are there longest first.
pub(super) fn members(connection: &Connection, room: RoomId, user: UserId) -> Result<Vec<Member>, StoreError> {
    role(connection, room, user)?.ok_or(StoreError::RoomNotFound)?;
    let sql = "select user_id, name, display_name, role, delivered_seq, read_seq
        from members where room_id = ?1 order by version";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([room.0], |row| {
        let role: String = row.get("role")?;
        Ok(Member {
            user: UserId(row.get("user_id")?),
            name: row.get("name")?,
            display_name: row.get("display_name")?,
            role: role_of(&role),
            delivered_seq: row.get("delivered_seq")?,
            read_seq: row.get("read_seq")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Newest seq of those of the rooms that are there.
pub(super) fn positions(connection: &Connection, rooms: &[RoomId]) -> Result<Vec<(RoomId, Seq)>, StoreError> {
    let mut statement = connection.prepare_cached("select last_seq from rooms where id = ?1")?;
    let mut found = Vec::new();
    for id in rooms {
        let seq = statement.query_row([id.0], |row| row.get(0)).optional()?;
        found.extend(seq.map(|seq| (*id, seq)));
    }
    Ok(found)
}

struct NewMember<'a> {
    user: &'a User,
    role: &'static str,
    version: i64,
    seq: Seq,
}

fn insert_member(connection: &Connection, room: RoomId, new: &NewMember<'_>) -> Result<(), StoreError> {
    let sql = "insert into members (room_id, user_id, name, display_name, role, version, delivered_seq, read_seq)
        values (:room, :user, :name, :display, :role, :version, :seq, :seq)";
    connection.prepare_cached(sql)?.execute(named_params! {
        ":room": room.0, ":user": new.user.id.0, ":name": new.user.name, ":display": new.user.display_name,
        ":role": new.role, ":version": new.version, ":seq": new.seq,
    })?;
    Ok(())
}

/// Makes a room with its first members, or finds it.
pub(super) fn create(connection: &Connection, new: &NewRoom) -> Result<Changed<(Room, bool)>, StoreError> {
    let creator = people::find(connection, &[new.creator])?.pop();
    let creator = creator.ok_or_else(|| StoreError::UserNotFound(new.creator.to_string()))?;
    let users = members_of(creator, new)?;
    let sql = "insert into rooms (id, kind, title, created_ms, member_version, member_count)
        values (:id, :kind, :title, :now, :count, :count) on conflict do nothing";
    let made = connection.prepare_cached(sql)?.execute(named_params! {
        ":id": new.id.0, ":kind": if new.kind == RoomKind::Direct { "direct" } else { "group" },
        ":title": new.title, ":now": now_ms(), ":count": users.len() as i64,
    })? == 1;
    let mut events = Vec::new();
    for (version, user) in (1..).zip(&users).filter(|_| made) {
        let role = if version == 1 { "owner" } else { "member" };
        insert_member(connection, new.id, &NewMember { user, role, version, seq: 0 })?;
        let event = StoredEvent::Joined { room: new.id, user: user.id, name: user.name.clone(), version };
        events.push(outbox::push(connection, new.id, event)?);
    }
    Ok(Changed { value: (view(connection, new.id, new.creator)?, made), events })
}

/// What a change of members must know of its group.
struct Group {
    last_seq: Seq,
    version: i64,
    count: i64,
    actor: Role,
}

fn group(connection: &Connection, room: RoomId, actor: UserId) -> Result<Group, StoreError> {
    let actor = role(connection, room, actor)?.ok_or(StoreError::RoomNotFound)?;
    let sql = "select kind, last_seq, member_version, member_count from rooms where id = ?1";
    let read = |row: &Row<'_>| {
        let kind: String = row.get(0)?;
        Ok((kind, Group { last_seq: row.get(1)?, version: row.get(2)?, count: row.get(3)?, actor }))
    };
    let (kind, group) = connection.prepare_cached(sql)?.query_row([room.0], read)?;
    if kind == "direct" {
        return Err(StoreError::Forbidden("the members of a direct room never change"));
    }
    Ok(group)
}

fn count_members(connection: &Connection, room: RoomId, version: i64, more: i64) -> Result<(), StoreError> {
    let sql = "update rooms set member_version = ?2, member_count = member_count + ?3 where id = ?1";
    connection.prepare_cached(sql)?.execute((room.0, version, more))?;
    Ok(())
}

/// Adds a member; their marks begin at the newest message, so that what was said before is there to read and not unread.
pub(super) fn add_member(
    connection: &Connection,
    room: RoomId,
    actor: UserId,
    member: &User,
) -> Result<Changed<()>, StoreError> {
    let group = group(connection, room, actor)?;
    if role(connection, room, member.id)?.is_some() {
        return Ok(Changed { value: (), events: Vec::new() });
    }
    if group.count >= MAX_MEMBERS as i64 {
        return Err(StoreError::Limit("members of a room"));
    }
    let version = group.version + 1;
    insert_member(connection, room, &NewMember { user: member, role: "member", version, seq: group.last_seq })?;
    count_members(connection, room, version, 1)?;
    let event = StoredEvent::Joined { room, user: member.id, name: member.name.clone(), version };
    Ok(Changed { value: (), events: vec![outbox::push(connection, room, event)?] })
}

/// Removes a member; when the owner goes, who is in the room longest becomes owner.
pub(super) fn remove_member(
    connection: &Connection,
    room: RoomId,
    actor: UserId,
    member: UserId,
) -> Result<Changed<()>, StoreError> {
    let group = group(connection, room, actor)?;
    if actor != member && group.actor != Role::Owner {
        return Err(StoreError::Forbidden("only the owner removes others"));
    }
    let Some(gone) = role(connection, room, member)? else {
        return Ok(Changed { value: (), events: Vec::new() });
    };
    let sql = "delete from members where room_id = ?1 and user_id = ?2";
    connection.prepare_cached(sql)?.execute((room.0, member.0))?;
    if gone == Role::Owner {
        let sql = "update members set role = 'owner' where room_id = ?1 and user_id =
            (select user_id from members where room_id = ?1 order by version limit 1)";
        connection.prepare_cached(sql)?.execute([room.0])?;
    }
    let version = group.version + 1;
    count_members(connection, room, version, -1)?;
    let event = StoredEvent::Left { room, user: member, version };
    Ok(Changed { value: (), events: vec![outbox::push(connection, room, event)?] })
}

/// Raises a member's marks; what was read was delivered.
pub(super) fn mark(
    connection: &Connection,
    room: RoomId,
    user: UserId,
    delivered: Option<Seq>,
    read: Option<Seq>,
) -> Result<Marks, StoreError> {
    let before = view(connection, room, user)?;
    let read = read.unwrap_or(0).min(before.last_seq);
    let delivered = delivered.unwrap_or(0).min(before.last_seq).max(read);
    let after = (before.delivered_seq.max(delivered), before.read_seq.max(read));
    let changed = after != (before.delivered_seq, before.read_seq);
    if changed {
        let sql = "update members set delivered_seq = ?3, read_seq = ?4 where room_id = ?1 and user_id = ?2";
        connection.prepare_cached(sql)?.execute((room.0, user.0, after.0, after.1))?;
    }
    Ok(Marks { delivered_seq: after.0, read_seq: after.1, changed })
}
