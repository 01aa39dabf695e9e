//! Rooms of the fake and who is in them: what is changed, and what a repeat of that is answered.

use jiff::Timestamp;

use super::{State, now, room::RoomState, sessions::Ending};
use crate::{
    model::{RequestId, Role, Room, RoomId, RoomKind, User, UserId},
    store::{
        Changed, NewRoom, StoreError, StoredEvent,
        limits::MAX_MEMBERS,
        membership::{DIRECT, RoleChange, may_remove, members_of, role_change},
        removals::Removal,
        requests::{Asked, Change, Made},
    },
};

/// A change of members that has nothing to tell.
const NOTHING: Changed<()> = Changed { value: (), events: Vec::new() };

impl State {
    /// The room of a request that was carried out before, else nothing.
    fn done_before(
        &self,
        room: RoomId,
        user: UserId,
        asked: Option<Asked>,
    ) -> Result<Option<Option<Made>>, StoreError> {
        self.rooms.get(&room).map_or(Ok(None), |found| found.done_before(user, asked))
    }

    fn group_of(&mut self, room: RoomId, actor: UserId) -> Result<&mut RoomState, StoreError> {
        let state = self.room_of(room, actor)?;
        if state.kind == RoomKind::Direct {
            return Err(StoreError::Forbidden(DIRECT));
        }
        Ok(state)
    }

    pub(super) fn made_before(&self, new: &NewRoom, asked: Option<Asked>) -> Result<Option<(Room, bool)>, StoreError> {
        let Some(room) = self.rooms.get(&new.id) else { return Ok(None) };
        let made = room.done_before(new.creator, asked)?.flatten();
        Ok(made.map(|made| made.answer(room.seen_by_nobody(new.id))))
    }

    pub(super) fn create(
        &mut self,
        new: NewRoom,
        request: Option<RequestId>,
    ) -> Result<Changed<(Room, bool)>, StoreError> {
        let creator = self.users.get(&new.creator).map(|(user, _)| user.clone());
        let creator = creator.ok_or_else(|| StoreError::UserNotFound(new.creator.to_string()))?;
        let users = members_of(creator, &new)?;
        let asked = Asked::new(request, &Change::Create(&new));
        if let Some(value) = self.made_before(&new, asked)? {
            return Ok(Changed { value, events: Vec::new() });
        }
        let mut events = Vec::new();
        let created = !self.rooms.contains_key(&new.id);
        if created {
            let mut room = RoomState::new(new.kind, new.title, now());
            for (n, user) in users.iter().enumerate() {
                room.join(user, if n == 0 { Role::Owner } else { Role::Member });
            }
            self.rooms.insert(new.id, room);
            for (version, user) in (1..).zip(users) {
                let event = StoredEvent::Joined { room: new.id, user: user.id, name: user.name, version };
                events.push(self.push(new.id, event));
            }
        }
        let room = self.room_of(new.id, new.creator)?;
        let member = room.member(new.creator).ok_or(StoreError::RoomNotFound)?;
        let view = room.view(new.id, member);
        room.keep(new.creator, asked, Some(Made::of(&view, created)));
        Ok(Changed { value: (view, created), events })
    }

    pub(super) fn add_member(
        &mut self,
        room: RoomId,
        actor: UserId,
        member: &User,
        request: Option<RequestId>,
    ) -> Result<Changed<()>, StoreError> {
        let asked = Asked::new(request, &Change::Add(member.id));
        if self.done_before(room, actor, asked)?.is_some() {
            return Ok(NOTHING);
        }
        let found = self.group_of(room, actor)?;
        if found.member(member.id).is_some() {
            found.keep(actor, asked, None);
            return Ok(NOTHING);
        }
        if found.seats.len() >= MAX_MEMBERS {
            return Err(StoreError::Limit("members of a room"));
        }
        found.keep(actor, asked, None);
        let version = found.join(member, Role::Member);
        let event = StoredEvent::Joined { room, user: member.id, name: member.name.clone(), version };
        Ok(Changed { value: (), events: vec![self.push(room, event)] })
    }

    pub(super) fn remove_member(
        &mut self,
        room: RoomId,
        actor: UserId,
        member: UserId,
        request: Option<RequestId>,
    ) -> Result<Changed<()>, StoreError> {
        let asked = Asked::new(request, &Change::Remove(member));
        if self.done_before(room, actor, asked)?.is_some() {
            return Ok(NOTHING);
        }
        let found = self.group_of(room, actor)?;
        if actor != member {
            may_remove(found.role(actor).ok_or(StoreError::RoomNotFound)?, found.role(member))?;
        }
        found.keep(actor, asked, None);
        let Some(index) = found.seats.iter().position(|seat| seat.member.user == member) else {
            return Ok(NOTHING);
        };
        let gone = found.seats.remove(index).member;
        found.version += 1;
        found.removal = found.version;
        let removal = Removal { room, user: member, version: found.version };
        let mut happened = vec![StoredEvent::Left { room, user: member, version: found.version }];
        let heir = found.seats.iter_mut().min_by_key(|seat| (seat.member.role != Role::Admin, seat.version));
        if gone.role == Role::Owner
            && let Some(heir) = heir
        {
            heir.member.role = Role::Owner;
            found.version += 1;
            let (user, version) = (heir.member.user, found.version);
            happened.push(StoredEvent::Role { room, user, role: Role::Owner, former_owner: None, version });
        }
        self.endings.push(Ending::Membership(removal));
        Ok(Changed { value: (), events: happened.into_iter().map(|event| self.push(room, event)).collect() })
    }

    pub(super) fn set_role(
        &mut self,
        (room, actor): (RoomId, UserId),
        member: UserId,
        role: Role,
        request: Option<RequestId>,
    ) -> Result<Changed<()>, StoreError> {
        let asked = Asked::new(request, &Change::SetRole(member, role));
        if self.done_before(room, actor, asked)?.is_some() {
            return Ok(NOTHING);
        }
        let found = self.group_of(room, actor)?;
        let acting = found.role(actor).ok_or(StoreError::RoomNotFound)?;
        let change = role_change(acting, found.role(member), role)?;
        found.keep(actor, asked, None);
        if change == RoleChange::Nothing {
            return Ok(NOTHING);
        }
        let former_owner = (change == RoleChange::HandedOver).then_some(actor);
        for seat in &mut found.seats {
            if seat.member.user == member {
                seat.member.role = role;
            } else if Some(seat.member.user) == former_owner {
                seat.member.role = Role::Admin;
            }
        }
        found.version += 1;
        let event = StoredEvent::Role { room, user: member, role, former_owner, version: found.version };
        Ok(Changed { value: (), events: vec![self.push(room, event)] })
    }

    pub(super) fn mute(
        &mut self,
        room: RoomId,
        user: UserId,
        until: Option<Timestamp>,
        request: Option<RequestId>,
    ) -> Result<bool, StoreError> {
        let asked = Asked::new(request, &Change::Mute(until));
        let repeat = self.done_before(room, user, asked)?.is_some();
        let found = match self.room_of(room, user) {
            Err(StoreError::RoomNotFound) if repeat => return Ok(false),
            found => found?,
        };
        if !repeat {
            found.keep(user, asked, None);
            found.seats.iter_mut().filter(|seat| seat.member.user == user).for_each(|seat| seat.muted_until = until);
        }
        Ok(found.seats.iter().any(|seat| seat.member.user == user && seat.muted_until == until))
    }
}
