//! One room of the fake: its members, and what its list shows.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::{
    model::{
        Content, EntryKind, Member, Message, MessageId, Newest, RequestId, Role, Room, RoomId, RoomKind, RoomSummary,
        Seq, User, UserId,
    },
    store::{
        StoreError,
        limits::{PREVIEW_CHARS, UNREAD_WINDOW},
        requests::{Asked, Made},
    },
};

pub(super) struct RoomState {
    pub(super) kind: RoomKind,
    title: String,
    created_at: Timestamp,
    /// Counts changes of members.
    pub(super) version: i64,
    /// The version of the newest removal.
    pub(super) removal: i64,
    /// In the order of joining.
    pub(super) seats: Vec<Seat>,
    /// Each at its seq less one.
    pub(super) messages: Vec<Message>,
    /// Digests of first bodies that are gone.
    pub(super) first_bodies: HashMap<Seq, [u8; 32]>,
    pub(super) reactions: Vec<Given>,
    /// Reactions and ends of them that changed nothing, and the entry that each was answered with; an end may have found none.
    pub(super) idle: HashMap<MessageId, (UserId, Content, Option<Seq>)>,
    /// Digests of the requests that were carried out, and what making the room was answered.
    requests: HashMap<(UserId, RequestId), ([u8; 32], Option<Made>)>,
}

/// A member and what only the store knows of them.
pub(super) struct Seat {
    pub(super) member: Member,
    /// The room's version at which they joined.
    pub(super) version: i64,
    pub(super) muted_until: Option<Timestamp>,
}

/// A reaction that somebody gave.
pub(super) struct Given {
    pub(super) target: Seq,
    pub(super) user: UserId,
    pub(super) emoji: String,
    /// The entry that made it.
    pub(super) seq: Seq,
}

impl RoomState {
    pub(super) fn new(kind: RoomKind, title: String, created_at: Timestamp) -> Self {
        Self {
            kind,
            title,
            created_at,
            version: 0,
            removal: 0,
            seats: Vec::new(),
            messages: Vec::new(),
            first_bodies: HashMap::new(),
            reactions: Vec::new(),
            idle: HashMap::new(),
            requests: HashMap::new(),
        }
    }

    /// Whether a request was carried out before, and what making the room was answered then.
    pub(super) fn done_before(&self, user: UserId, asked: Option<Asked>) -> Result<Option<Option<Made>>, StoreError> {
        let Some(asked) = asked else { return Ok(None) };
        let Some((digest, made)) = self.requests.get(&(user, asked.id)) else { return Ok(None) };
        asked.check(digest)?;
        Ok(Some(*made))
    }

    /// Remembers that a request was carried out.
    pub(super) fn keep(&mut self, user: UserId, asked: Option<Asked>, made: Option<Made>) {
        if let Some(asked) = asked {
            self.requests.insert((user, asked.id), (asked.digest, made));
        }
    }

    /// Adds a member; their marks begin at the newest entry.
    pub(super) fn join(&mut self, user: &User, role: Role) -> i64 {
        self.version += 1;
        let last = self.last_seq();
        let member = Member {
            user: user.id,
            name: user.name.clone(),
            display_name: user.display_name.clone(),
            role,
            delivered_seq: last,
            read_seq: last,
        };
        self.seats.push(Seat { member, version: self.version, muted_until: None });
        self.version
    }

    pub(super) fn last_seq(&self) -> Seq {
        Seq::try_from(self.messages.len()).unwrap_or(Seq::MAX)
    }

    pub(super) fn member(&self, user: UserId) -> Option<&Member> {
        self.seat(user).map(|seat| &seat.member)
    }

    pub(super) fn role(&self, user: UserId) -> Option<Role> {
        self.member(user).map(|member| member.role)
    }

    fn seat(&self, user: UserId) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.member.user == user)
    }

    pub(super) fn view(&self, id: RoomId, member: &Member) -> Room {
        Room {
            read_seq: member.read_seq,
            delivered_seq: member.delivered_seq,
            member_version: self.version,
            ..self.seen_by_nobody(id)
        }
    }

    /// The room without anybody's marks.
    pub(super) fn seen_by_nobody(&self, id: RoomId) -> Room {
        Room {
            id,
            kind: self.kind,
            title: self.title.clone(),
            last_seq: self.last_seq(),
            read_seq: 0,
            delivered_seq: 0,
            created_at: self.created_at,
            member_version: 0,
        }
    }

    pub(super) fn summary(&self, id: RoomId, user: UserId) -> Option<RoomSummary> {
        let seat = self.seat(user)?;
        let window = UNREAD_WINDOW as usize;
        let after = self.messages.iter().filter(|entry| entry.seq > seat.member.read_seq).take(window);
        let unread: Vec<&Message> =
            after.filter(|e| e.kind == EntryKind::Text && e.sender != user && !e.deleted).collect();
        let mentioned = unread.iter().filter(|entry| entry.mentions.contains(&user)).count();
        let newest = self.messages.iter().rev().take(window).find(|entry| entry.kind == EntryKind::Text);
        Some(RoomSummary {
            room: self.view(id, &seat.member),
            role: seat.member.role,
            muted_until: seat.muted_until,
            members: u32::try_from(self.seats.len()).unwrap_or(u32::MAX),
            unread: u32::try_from(unread.len()).unwrap_or(u32::MAX),
            mentioned: u32::try_from(mentioned).unwrap_or(u32::MAX),
            newest: newest.map(|entry| Newest {
                seq: entry.seq,
                sender: entry.sender,
                sender_name: entry.sender_name.clone(),
                body: entry.body.chars().take(PREVIEW_CHARS).collect(),
                at: entry.at,
                deleted: entry.deleted,
            }),
        })
    }
}
