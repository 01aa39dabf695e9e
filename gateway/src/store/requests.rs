//! What all stores must agree on about requests that are repeated.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{NewRoom, StoreError};
use crate::model::{RequestId, Role, Room, RoomKind, Seq, UserId};

/// A change that a request asks for. The room is not part of it: one id may be used once in each room, as message ids may.
pub(super) enum Change<'a> {
    Create(&'a NewRoom),
    Add(UserId),
    Remove(UserId),
    SetRole(UserId, Role),
    Mute(Option<Timestamp>),
}

/// A request's id and a digest of what it asks for, which is stored: what goes into it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) id: RequestId,
    pub(super) digest: [u8; 32],
}

impl Asked {
    /// Of a request that has an id.
    pub(super) fn new(request: Option<RequestId>, change: &Change<'_>) -> Option<Self> {
        request.map(|id| Self { id, digest: change.digest() })
    }

    /// Whether a request of this id and `digest` is a repeat of this one.
    pub(super) fn check(&self, digest: &[u8]) -> Result<(), StoreError> {
        if self.digest == digest { Ok(()) } else { Err(StoreError::RequestIdReused) }
    }
}

impl Change<'_> {
    /// All parts but the last have a fixed length, so that no two changes are the same bytes.
    fn digest(&self) -> [u8; 32] {
        let hash = Sha256::new();
        let hash = match self {
            Self::Create(NewRoom { kind, title, members, .. }) => {
                let kind = if *kind == RoomKind::Direct { "direct" } else { "group_" };
                let hash =
                    hash.chain_update("create").chain_update(kind).chain_update((members.len() as u64).to_be_bytes());
                let hash = members.iter().fold(hash, |hash, member| hash.chain_update(member.id.0.as_bytes()));
                hash.chain_update(title)
            }
            Self::Add(member) => hash.chain_update("add___").chain_update(member.0.as_bytes()),
            Self::Remove(member) => hash.chain_update("remove").chain_update(member.0.as_bytes()),
            Self::SetRole(member, role) => {
                hash.chain_update("role__").chain_update(member.0.as_bytes()).chain_update(role.name())
            }
            Self::Mute(None) => hash.chain_update("unmute"),
            Self::Mute(Some(until)) => hash.chain_update("mute__").chain_update(until.as_millisecond().to_be_bytes()),
        };
        hash.finalize().into()
    }
}

/// What making a room was answered, beside what never changes about a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) created: bool,
    pub(super) last_seq: Seq,
    pub(super) delivered_seq: Seq,
    pub(super) read_seq: Seq,
}

impl Made {
    /// Of the first answer.
    pub(super) fn of(room: &Room, created: bool) -> Self {
        let Room { last_seq, delivered_seq, read_seq, .. } = *room;
        Self { created, last_seq, delivered_seq, read_seq }
    }

    /// The answer as it was, from the room as it is.
    pub(super) fn answer(self, room: Room) -> (Room, bool) {
        let Self { created, last_seq, delivered_seq, read_seq } = self;
        (Room { last_seq, delivered_seq, read_seq, ..room }, created)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::{RoomId, User};

    fn new(kind: RoomKind, title: &str, members: &[u128]) -> NewRoom {
        let user =
            |id: &u128| User { id: UserId(Uuid::from_u128(*id)), name: String::new(), display_name: String::new() };
        let id = RoomId(Uuid::nil());
        let creator = UserId(Uuid::nil());
        NewRoom { id, kind, title: title.to_owned(), creator, members: members.iter().map(user).collect() }
    }

    #[test]
    fn no_two_changes_look_the_same() {
        let user = UserId(Uuid::from_u128(1));
        let rooms = [
            new(RoomKind::Group, "a", &[1]),
            new(RoomKind::Group, "b", &[1]),
            new(RoomKind::Group, "a", &[2]),
            new(RoomKind::Group, "a", &[1, 2]),
            new(RoomKind::Group, "a", &[]),
            new(RoomKind::Direct, "a", &[1]),
        ];
        let members = [
            Change::Add(user),
            Change::Remove(user),
            Change::Remove(UserId(Uuid::nil())),
            Change::SetRole(user, Role::Admin),
            Change::SetRole(user, Role::Member),
            Change::Mute(None),
            Change::Mute(Some(Timestamp::UNIX_EPOCH)),
            Change::Mute(Some(Timestamp::MAX)),
        ];
        let changes = rooms.iter().map(Change::Create).chain(members);
        let digests: Vec<_> = changes.map(|change| change.digest()).collect();
        let distinct: std::collections::HashSet<_> = digests.iter().collect();
        assert_eq!(distinct.len(), digests.len());
    }

    /// They are stored: with another digest a late repeat would be refused.
    #[test]
    fn digests_stay_what_they_are() {
        let digest = Change::Add(UserId(Uuid::from_u128(1))).digest();
        assert_eq!(digest, <[u8; 32]>::from(Sha256::digest([b"add___".as_slice(), &1_u128.to_be_bytes()].concat())));
    }
}
