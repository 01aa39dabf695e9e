//! What both stores must agree on about memberships.

use super::{NewRoom, StoreError, StoredEvent, limits::MAX_MEMBERS};
use crate::model::{RoomId, RoomKind, User, UserId};

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
        StoredEvent::Message { .. } => None,
        StoredEvent::Joined { room, user, version, .. } => Some((*user, *room, true, *version)),
        StoredEvent::Left { room, user, version } => Some((*user, *room, false, *version)),
    }
}
