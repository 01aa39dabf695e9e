//! Members of rooms.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use super::{outbox, requests, rooms};
use crate::{
    model::{Member, RequestId, Role, RoomId, Seq, User, UserId},
    store::{
        Changed, Marks, Standing, StoreError, StoredEvent,
        limits::{MAX_MEMBERS, MAX_PAGE},
        membership::{DIRECT, RoleChange, may_remove, members_page, role_change},
        requests::{Asked, Change},
    },
};

/// A member's role.
pub(super) fn role(connection: &Connection, room: RoomId, user: UserId) -> Result<Option<Role>, StoreError> {
    let sql = "select role from members where room_id = ?1 and user_id = ?2";
    let name: Option<String> =
        connection.prepare_cached(sql)?.query_row((room.0, user.0), |row| row.get(0)).optional()?;
    Ok(name.as_deref().map(Role::of_name))
}

/// Those of the users who are members, in the order of their ids.
pub(super) fn among(connection: &Connection, room: RoomId, users: &[UserId]) -> Result<Vec<UserId>, StoreError> {
    let mut found = Vec::new();
    for user in users {
        if !found.contains(user) && role(connection, room, *user)?.is_some() {
            found.push(*user);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Members after a cursor, for one of them, those who are there longest first; and the cursor of the next page.
pub(super) fn page(
    connection: &Connection,
    room: RoomId,
    user: UserId,
    after: i64,
    limit: u32,
) -> Result<(Vec<Member>, Option<i64>), StoreError> {
    role(connection, room, user)?.ok_or(StoreError::RoomNotFound)?;
    let limit = limit.clamp(1, MAX_PAGE) as usize;
    let sql = "select user_id, name, display_name, role, delivered_seq, read_seq, version
        from members where room_id = ?1 and version > ?2 order by version limit ?3";
    let mut statement = connection.prepare_cached(sql)?;
    // One more than asked for tells whether there are more.
    let rows = statement.query_map((room.0, after, limit as i64 + 1), |row| {
        let member = Member {
            user: UserId(row.get("user_id")?),
            name: row.get("name")?,
            display_name: row.get("display_name")?,
            role: Role::of_name(&row.get::<_, String>("role")?),
            delivered_seq: row.get("delivered_seq")?,
            read_seq: row.get("read_seq")?,
        };
        Ok((member, row.get("version")?))
    })?;
    Ok(members_page(rows.collect::<Result<_, _>>()?, limit))
}

/// Which of some users are members, and at which version of the room.
pub(super) fn standing(connection: &Connection, room: RoomId, users: &[UserId]) -> Result<Standing, StoreError> {
    let sql = "select member_version from rooms where id = ?1";
    let version = connection.prepare_cached(sql)?.query_row([room.0], |row| row.get(0)).optional()?.unwrap_or(0);
    Ok(Standing { version, members: among(connection, room, users)? })
}

pub(super) struct NewMember<'a> {
    pub(super) user: &'a User,
    pub(super) role: Role,
    pub(super) version: i64,
    pub(super) seq: Seq,
}

pub(super) fn insert_member(connection: &Connection, room: RoomId, new: &NewMember<'_>) -> Result<(), StoreError> {
    let sql = "insert into members (room_id, user_id, name, display_name, role, version, delivered_seq, read_seq)
        values (:room, :user, :name, :display, :role, :version, :seq, :seq)";
    connection.prepare_cached(sql)?.execute(named_params! {
        ":room": room.0, ":user": new.user.id.0, ":name": new.user.name, ":display": new.user.display_name,
        ":role": new.role.name(), ":version": new.version, ":seq": new.seq,
    })?;
    Ok(())
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
        return Err(StoreError::Forbidden(DIRECT));
    }
    Ok(group)
}

/// A change of members that has nothing to tell.
const NOTHING: Changed<()> = Changed { value: (), events: Vec::new() };

fn count_members(connection: &Connection, room: RoomId, version: i64, more: i64) -> Result<(), StoreError> {
    let sql = "update rooms set member_version = ?2, member_count = member_count + ?3 where id = ?1";
    connection.prepare_cached(sql)?.execute((room.0, version, more))?;
    Ok(())
}

/// Adds a member; their marks begin at the newest message, so that what was said before is there to read and not unread.
pub(super) fn add_member(
    connection: &Connection,
    (room, actor): (RoomId, UserId),
    member: &User,
    request: Option<RequestId>,
) -> Result<Changed<()>, StoreError> {
    let asked = Asked::new(request, &Change::Add(member.id));
    if requests::done_before(connection, room, actor, asked)?.is_some() {
        return Ok(NOTHING);
    }
    let group = group(connection, room, actor)?;
    requests::keep(connection, room, actor, asked, None)?;
    if role(connection, room, member.id)?.is_some() {
        return Ok(NOTHING);
    }
    if group.count >= MAX_MEMBERS as i64 {
        return Err(StoreError::Limit("members of a room"));
    }
    let version = group.version + 1;
    insert_member(connection, room, &NewMember { user: member, role: Role::Member, version, seq: group.last_seq })?;
    count_members(connection, room, version, 1)?;
    let event = StoredEvent::Joined { room, user: member.id, name: member.name.clone(), version };
    Ok(Changed { value: (), events: vec![outbox::push(connection, room, event)?] })
}

/// Removes a member; when the owner goes, an admin becomes owner, or else who is in the room longest.
pub(super) fn remove_member(
    connection: &Connection,
    (room, actor): (RoomId, UserId),
    member: UserId,
    request: Option<RequestId>,
) -> Result<Changed<()>, StoreError> {
    let asked = Asked::new(request, &Change::Remove(member));
    if requests::done_before(connection, room, actor, asked)?.is_some() {
        return Ok(NOTHING);
    }
    let group = group(connection, room, actor)?;
    let gone = role(connection, room, member)?;
    if actor != member {
        may_remove(group.actor, gone)?;
    }
    requests::keep(connection, room, actor, asked, None)?;
    let Some(gone) = gone else { return Ok(NOTHING) };
    let sql = "delete from members where room_id = ?1 and user_id = ?2";
    connection.prepare_cached(sql)?.execute((room.0, member.0))?;
    let mut version = group.version + 1;
    let event = StoredEvent::Left { room, user: member, version };
    let mut events = vec![outbox::push(connection, room, event)?];
    if gone == Role::Owner {
        let sql = "update members set role = 'owner' where room_id = ?1 and user_id =
            (select user_id from members where room_id = ?1 order by role <> 'admin', version limit 1)
            returning user_id";
        let heir = connection.prepare_cached(sql)?.query_row([room.0], |row| Ok(UserId(row.get(0)?))).optional()?;
        if let Some(user) = heir {
            version += 1;
            let event = StoredEvent::Role { room, user, role: Role::Owner, former_owner: None, version };
            events.push(outbox::push(connection, room, event)?);
        }
    }
    count_members(connection, room, version, -1)?;
    Ok(Changed { value: (), events })
}

/// Gives a member another role; making somebody owner makes the actor admin.
pub(super) fn set_role(
    connection: &Connection,
    (room, actor): (RoomId, UserId),
    (member, wanted): (UserId, Role),
    request: Option<RequestId>,
) -> Result<Changed<()>, StoreError> {
    let asked = Asked::new(request, &Change::SetRole(member, wanted));
    if requests::done_before(connection, room, actor, asked)?.is_some() {
        return Ok(NOTHING);
    }
    let group = group(connection, room, actor)?;
    let change = role_change(group.actor, role(connection, room, member)?, wanted)?;
    requests::keep(connection, room, actor, asked, None)?;
    if change == RoleChange::Nothing {
        return Ok(NOTHING);
    }
    let former_owner = (change == RoleChange::HandedOver).then_some(actor);
    let mut set = connection.prepare_cached("update members set role = ?3 where room_id = ?1 and user_id = ?2")?;
    if let Some(former) = former_owner {
        set.execute((room.0, former.0, Role::Admin.name()))?;
    }
    set.execute((room.0, member.0, wanted.name()))?;
    let version = group.version + 1;
    count_members(connection, room, version, 0)?;
    let event = StoredEvent::Role { room, user: member, role: wanted, former_owner, version };
    Ok(Changed { value: (), events: vec![outbox::push(connection, room, event)?] })
}

/// Notes until when a member wants no notifications; false when a repeat finds that something else was noted since.
pub(super) fn mute(
    connection: &Connection,
    (room, user): (RoomId, UserId),
    until: Option<Timestamp>,
    request: Option<RequestId>,
) -> Result<bool, StoreError> {
    let asked = Asked::new(request, &Change::Mute(until));
    let until = until.map(Timestamp::as_millisecond);
    if requests::done_before(connection, room, user, asked)?.is_some() {
        let sql = "select 1 from members where room_id = ?1 and user_id = ?2 and muted_ms is ?3";
        return Ok(connection.prepare_cached(sql)?.exists((room.0, user.0, until))?);
    }
    let sql = "update members set muted_ms = ?3 where room_id = ?1 and user_id = ?2";
    if connection.prepare_cached(sql)?.execute((room.0, user.0, until))? == 0 {
        return Err(StoreError::RoomNotFound);
    }
    requests::keep(connection, room, user, asked, None)?;
    Ok(true)
}

/// Raises a member's marks; what was read was delivered.
pub(super) fn mark(
    connection: &Connection,
    room: RoomId,
    user: UserId,
    delivered: Option<Seq>,
    read: Option<Seq>,
) -> Result<Marks, StoreError> {
    let before = rooms::view(connection, room, user)?;
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
