//! What both stores must agree on about memberships.

use super::{NewRoom, StoreError, StoredEvent, limits::MAX_MEMBERS};
use crate::model::{Member, Role, RoomId, RoomKind, User, UserId};

/// The members of a new room, the creator first, nobody twice.
pub(super) fn members_of(creator: User, new: &NewRoom) -> Result<Vec<User>, StoreError> {
    let mut users = vec![creator];
    let mut seen = std::collections::HashSet::from([new.creator]);
    users.extend(new.members.iter().filter(|user| seen.insert(user.id)).cloned());
    if users.len() > MAX_MEMBERS {
        return Err(StoreError::Limit("members of a room"));
    }
    if new.kind == RoomKind::Direct && users.len() != 2 {
        return Err(StoreError::Forbidden("a direct room has exactly two members"));
    }
    Ok(users)
}

/// What a membership event says to the room list of its user: whose list, which room, whether it is in it, and the version.
pub(super) fn listing(event: &StoredEvent) -> Option<(UserId, RoomId, bool, i64)> {
    match event {
        StoredEvent::Message { .. } | StoredEvent::Role { .. } => None,
        StoredEvent::Joined { room, user, version, .. } => Some((*user, *room, true, *version)),
        StoredEvent::Left { room, user, version } => Some((*user, *room, false, *version)),
    }
}

/// Cuts members, each with its cursor, to a page; one more than `limit` tells that there are more.
pub(super) fn members_page(mut found: Vec<(Member, i64)>, limit: usize) -> (Vec<Member>, Option<i64>) {
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().map(|(_, cursor)| *cursor).filter(|_| more);
    (found.into_iter().map(|(member, _)| member).collect(), next)
}

/// Whether a member may remove another one.
pub(super) fn may_remove(actor: Role, other: Option<Role>) -> Result<(), StoreError> {
    match (actor, other.unwrap_or(Role::Member)) {
        (Role::Owner, _) | (Role::Admin, Role::Member) => Ok(()),
        _ => Err(StoreError::Forbidden(REMOVES)),
    }
}

/// What a change of a role comes to: nothing, a new role, or a new role with the actor becoming admin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RoleChange {
    Nothing,
    Given,
    HandedOver,
}

/// Judges a change of a role; `present` is what the member has.
pub(super) fn role_change(actor: Role, present: Option<Role>, wanted: Role) -> Result<RoleChange, StoreError> {
    if actor != Role::Owner {
        return Err(StoreError::Forbidden(GIVES_ROLES));
    }
    match present.ok_or_else(|| StoreError::UserNotFound("not a member of the room".to_owned()))? {
        present if present == wanted => Ok(RoleChange::Nothing),
        Role::Owner => Err(StoreError::Forbidden(OWNERLESS)),
        _ if wanted == Role::Owner => Ok(RoleChange::HandedOver),
        _ => Ok(RoleChange::Given),
    }
}

/// Said when the members of a direct room would change.
pub(super) const DIRECT: &str = "the members of a direct room never change";
/// Said to who may not remove somebody.
pub(super) const REMOVES: &str = "the owner removes others, and admins remove members";
/// Said to who may not give roles.
pub(super) const GIVES_ROLES: &str = "only the owner gives roles";
/// Said to an owner who would leave the room without one.
pub(super) const OWNERLESS: &str = "a room has an owner: make somebody else owner instead";
