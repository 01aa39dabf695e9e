//! One room on this gateway, as a state machine without I/O: who follows it, how far each has come, and what is missing.
//!
//! Every follower has a cursor, the last seq it was sent. A message goes to exactly those followers whose cursor is just before it,
//! so each gets every message once and in order, whatever the broker drops, repeats or reorders, and whatever is replayed to others
//! meanwhile. It goes to none who is not known to be a member by then (see [`super::membership`]). What a follower lacks comes from the store: at once when the store is known to have it, after [`GAP_GRACE`] when the
//! broker may still bring it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chat_gateway_config::delivery::Breach;
use tokio::time::Instant;
use uuid::Uuid;

use super::{census::Followed, ephemera::Ephemera, follow::Following, membership::Membership};
use crate::{
    codec::Shared,
    connection::{
        queue::Pushed,
        session::{Control, Session},
    },
    model::{Message, RoomId, Seq, UserId},
    protocol::ClientEvent,
    store::{Place, Replay, Standing, removals::Removal},
    traces::FanOut,
};

/// How long a gap may stay open before the store is asked: two gateways that commit at once publish in either order, and the
/// broker needs some milliseconds.
const GAP_GRACE: Duration = Duration::from_millis(50);

/// Wait before a failed fill is repeated.
const FILL_RETRY: Duration = Duration::from_millis(500);

/// Empty answers after which the store is believed.
const EMPTY_FILLS: u32 = 3;

/// Followers here up to which a room tells them of each other's coming and going: with more, a crowd of N would cost N x N events, and nobody
/// watches so many names.
const PRESENCE: usize = 500;

/// Followers and position of one room.
pub(super) struct Room {
    followers: Vec<Follower>,
    /// Highest seq that somebody here was sent, or that the store had when somebody joined: beyond it, the broker should bring all.
    head: Seq,
    /// Highest seq that is known to exist.
    target: Seq,
    /// Up to here the store is known to have everything and the broker will not bring it: no grace.
    stored: Seq,
    /// Messages that came ahead of what some follower lacks.
    ahead: BTreeMap<Seq, Shared>,
    /// Of those, at most.
    most_ahead: usize,
    filling: bool,
    /// The seq before the oldest gap, and since when it is one.
    gap: Option<(Seq, Instant)>,
    retry_at: Option<Instant>,
    /// Fills in a row that found nothing although something was thought to be there.
    empty_fills: u32,
    /// The newest message that the store lacks and that was told of; 0 for none.
    lost: Seq,
    /// Message events queued for connections since somebody asked.
    delivered: u32,
    membership: Membership,
    pub(super) ephemera: Ephemera,
}

struct Follower {
    session: Arc<Session>,
    cursor: Seq,
    /// The room's member version up to which the user is known to be a member.
    member_version: i64,
    /// Removed as far as the room's own events say; the connection is finding out.
    suspended: bool,
}

impl Follower {
    /// Whether it gets what is said now.
    fn is_served(&self, membership: &Membership) -> bool {
        !self.suspended && membership.admits(self.member_version)
    }
}

/// Counts for the hub's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Messages that nobody here needed any more.
    pub(super) duplicates: u64,
    /// Messages that came from the store and not from the broker.
    pub(super) backfilled: u64,
    /// Messages of other gateways that came at all, each once however many are here.
    pub(super) taken: u64,
    /// A message that the store certainly lacks, told once.
    pub(super) lost: Option<(Breach, Seq)>,
}

/// Read the store after this seq, please.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fill {
    pub(super) after: Seq,
}

impl Room {
    /// A room that nobody follows yet, and how many messages may wait in it ahead of a gap.
    pub(super) fn new(most_ahead: usize) -> Self {
        Self {
            followers: Vec::new(),
            head: 0,
            target: 0,
            stored: 0,
            ahead: BTreeMap::new(),
            most_ahead,
            filling: false,
            gap: None,
            retry_at: None,
            empty_fills: 0,
            lost: 0,
            delivered: 0,
            membership: Membership::default(),
            ephemera: Ephemera::default(),
        }
    }

    /// Whether nobody follows it any more.
    pub(super) fn is_empty(&self) -> bool {
        self.followers.is_empty()
    }

    /// Whether time alone may change something.
    pub(super) fn is_timed(&self) -> bool {
        self.retry_at.is_some() || self.is_behind() || self.membership.is_waiting() || !self.ephemera.is_empty()
    }

    /// What a census tells of it.
    pub(super) fn followed(&self, room: RoomId) -> Followed {
        Followed { room, connections: self.followers.len(), head: self.head }
    }

    /// Adds a follower; `place` is where the store had the room after the binding stood.
    pub(super) fn join(&mut self, session: Arc<Session>, following: Following, place: Place) {
        let Following { cursor, member_version, .. } = following;
        let stored = place.last_seq;
        self.head = self.head.max(cursor).max(stored);
        self.target = self.target.max(stored).max(cursor);
        self.stored = self.stored.max(stored);
        self.membership.note(place.removal);
        let member_version = self.membership.reached(session.user.id, member_version);
        self.membership.joined(member_version);
        if let Some(known) = self.followers.iter_mut().find(|f| f.session.id == session.id) {
            known.suspended = false;
            known.member_version = known.member_version.max(member_version);
            return;
        }
        self.followers.push(Follower { session, cursor, member_version, suspended: false });
        self.pull();
    }

    /// Removes a follower.
    pub(super) fn leave(&mut self, session: Uuid) {
        self.followers.retain(|f| f.session.id != session);
    }

    /// Stops delivery to a user's sessions, unless they are known to be a member's again, and has their connections find out whether that
    /// is right.
    pub(super) fn suspend(&mut self, Removal { room, user, version }: Removal) {
        let removed = |f: &&mut Follower| f.session.user.id == user && f.member_version < version;
        for follower in self.followers.iter_mut().filter(removed) {
            follower.suspended = true;
            follower.session.control(Control::RoomRemoved(room));
        }
        self.membership.note(version);
    }

    /// Takes a change of members that came from the broker, after [`Room::suspend`] if it `removed` somebody.
    pub(super) fn changed(&mut self, version: i64, removed: Option<UserId>) {
        self.membership.changed(version, removed);
        for follower in &mut self.followers {
            follower.member_version = self.membership.reached(follower.session.user.id, follower.member_version);
        }
        if self.membership.is_waiting() {
            self.catch_up();
        }
    }

    /// Goes on with a session that turned out to be a member's at this version.
    pub(super) fn resume(&mut self, session: Uuid, member_version: i64) {
        if let Some(follower) = self.followers.iter_mut().find(|f| f.session.id == session) {
            follower.suspended = false;
            follower.member_version = follower.member_version.max(member_version);
        }
        self.membership.joined(member_version);
        self.catch_up();
    }

    /// The users whose membership must be asked for now, if any. [`Room::told`] must follow.
    pub(super) fn doubtful(&mut self, now: Instant) -> Option<Vec<UserId>> {
        if !self.membership.is_waiting() {
            return None;
        }
        let unsure = self.active().filter(|f| !f.is_served(&self.membership));
        let mut users: Vec<UserId> = unsure.map(|f| f.session.user.id).collect();
        if !self.membership.is_due(now, !users.is_empty()) {
            return None;
        }
        users.sort_unstable();
        users.dedup();
        Some(users)
    }

    /// Takes what the store says of those users; an `Err` is repeated later.
    pub(super) fn told(&mut self, room: RoomId, asked: &[UserId], found: Result<Standing, ()>, now: Instant) {
        self.membership.answered(found.is_ok(), now);
        let Ok(Standing { version, mut members }) = found else { return };
        members.sort_unstable();
        for follower in self.followers.iter_mut().filter(|f| !f.suspended && f.member_version < version) {
            let user = follower.session.user.id;
            if members.binary_search(&user).is_ok() {
                follower.member_version = version;
            } else if asked.binary_search(&user).is_ok() {
                follower.suspended = true;
                follower.session.control(Control::RoomRemoved(room));
            }
        }
        self.catch_up();
    }

    /// What passed by those who get everything again comes from the store.
    fn catch_up(&mut self) {
        self.stored = self.stored.max(self.head);
        self.pull();
    }

    /// Whether presence is told here.
    pub(super) fn tells_presence(&self) -> bool {
        self.followers.len() <= PRESENCE
    }

    /// The sessions that get events now.
    pub(super) fn sessions(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.followers.iter().filter(|f| f.is_served(&self.membership)).map(|f| &f.session)
    }

    /// Takes a message that came live, and the newest removal before it; `own` when this gateway's own publish comes back.
    pub(super) fn message(
        &mut self,
        message: Message,
        removal: i64,
        own: bool,
        tally: &mut Tally,
        mut fan_out: Option<&mut FanOut>,
    ) {
        let seq = message.seq;
        self.membership.note(removal);
        self.target = self.target.max(seq);
        if self.followers.iter().all(|f| f.cursor >= seq) || self.ahead.contains_key(&seq) {
            tally.duplicates += u64::from(!own);
            return;
        }
        tally.taken += u64::from(!own);
        let event = shared(message);
        let mut lacking = false;
        for follower in self.followers.iter_mut().filter(|f| !f.suspended) {
            if follower.cursor == seq - 1 && follower.is_served(&self.membership) {
                // Live frames are never held back: a client that cannot take them is closed and resumes.
                let (session, frame) = (&follower.session, event.frame(follower.session.codec).clone());
                let pushed = match &mut fan_out {
                    None => session.push_message(frame),
                    Some(fan_out) => session.push_traced(frame, fan_out),
                };
                self.delivered += u32::from(pushed == Pushed::Queued);
                follower.cursor = seq;
                self.head = self.head.max(seq);
            } else {
                lacking |= follower.cursor < seq;
            }
        }
        if lacking && self.ahead.len() < self.most_ahead {
            self.ahead.insert(seq, event);
        }
        if !self.ahead.is_empty() {
            self.pull();
        }
    }

    /// Takes where the store said that the room stands, some moments ago.
    pub(super) fn position(&mut self, place: Place) {
        self.target = self.target.max(place.last_seq);
        self.membership.note(place.removal);
    }

    /// Takes the answer to a [`Fill`]; an `Err` is repeated later.
    pub(super) fn filled(&mut self, fill: Fill, found: Result<Replay, ()>, now: Instant, tally: &mut Tally) {
        self.filling = false;
        let Ok(Replay { messages: found, removal }) = found else {
            self.retry_at = Some(now + FILL_RETRY);
            return;
        };
        self.membership.note(removal);
        if found.is_empty() {
            self.nothing_found(fill, now, tally);
            return;
        }
        self.empty_fills = 0;
        let before = std::iter::once(fill.after).chain(found.iter().map(|message| message.seq));
        if let Some((last, _)) = before.zip(&found).find(|(last, message)| message.seq != last + 1) {
            self.tell_lost(Breach::Hole, last + 1, tally);
        }
        for message in found {
            let seq = message.seq;
            // What waits ahead came from the broker.
            let missed = u64::from(seq > self.head && !self.ahead.contains_key(&seq));
            tally.backfilled += missed;
            tally.taken += missed;
            self.target = self.target.max(seq);
            let event = shared(message);
            let mut lacking = false;
            for follower in self.followers.iter_mut().filter(|f| !f.suspended && f.cursor < seq) {
                let frame = event.frame(follower.session.codec);
                let next = follower.cursor == seq - 1 && follower.is_served(&self.membership);
                if next && follower.session.queue.takes_replay(frame.len()) {
                    let pushed = follower.session.push_message(frame.clone());
                    self.delivered += u32::from(pushed == Pushed::Queued);
                    follower.cursor = seq;
                    self.head = self.head.max(seq);
                } else {
                    lacking = true;
                }
            }
            if lacking && self.ahead.len() < self.most_ahead {
                self.ahead.insert(seq, event);
            }
        }
        self.pull();
    }

    /// The store has nothing where something was thought to be: asked again, and believed when no live message contradicts it.
    fn nothing_found(&mut self, fill: Fill, now: Instant, tally: &mut Tally) {
        self.empty_fills += 1;
        self.retry_at = Some(now + FILL_RETRY);
        if self.empty_fills < EMPTY_FILLS {
            return;
        }
        if let Some(seq) = self.ahead.keys().find(|seq| **seq > fill.after).copied() {
            // Whoever published it had it from the store.
            self.tell_lost(Breach::Unstored, seq, tally);
        }
        if self.ahead.is_empty() {
            self.empty_fills = 0;
            self.target = self.active().map(|f| f.cursor).max().unwrap_or(0);
            self.stored = self.stored.min(self.target);
        }
    }

    fn tell_lost(&mut self, breach: Breach, seq: Seq, tally: &mut Tally) {
        if self.lost < seq {
            self.lost = seq;
            tally.lost = Some((breach, seq));
        }
    }

    /// Message events queued for connections since this was asked last.
    pub(super) fn take_delivered(&mut self) -> u32 {
        std::mem::take(&mut self.delivered)
    }

    /// Sends what waits ahead to those who have come up to it, and forgets what nobody lacks.
    fn pull(&mut self) {
        if self.ahead.is_empty() {
            return;
        }
        for follower in self.followers.iter_mut().filter(|f| f.is_served(&self.membership)) {
            while let Some(event) = self.ahead.get(&(follower.cursor + 1)) {
                let frame = event.frame(follower.session.codec);
                if !follower.session.queue.takes_replay(frame.len()) {
                    break;
                }
                let pushed = follower.session.push_message(frame.clone());
                self.delivered += u32::from(pushed == Pushed::Queued);
                follower.cursor += 1;
                self.head = self.head.max(follower.cursor);
            }
        }
        match self.floor() {
            Some(floor) => self.ahead = self.ahead.split_off(&(floor + 1)),
            None => self.ahead.clear(),
        }
    }

    /// What must be read from the store now, if anything. At most one fill runs for a room.
    pub(super) fn advance(&mut self, now: Instant) -> Option<Fill> {
        if self.filling {
            return None;
        }
        self.pull();
        if !self.is_behind() {
            self.gap = None;
            self.retry_at = None;
            return None;
        }
        if self.retry_at.is_some_and(|at| now < at) {
            return None;
        }
        self.retry_at = None;
        // A follower whose queue is full of its replay waits, and one that may be no member; it must not make the others' fill start at its
        // place.
        let lacks = |f: &&Follower| {
            f.cursor < self.target
                && !self.ahead.contains_key(&(f.cursor + 1))
                && f.session.queue.is_low()
                && f.is_served(&self.membership)
        };
        let after = self.active().filter(lacks).map(|f| f.cursor).min()?;
        if after >= self.stored {
            // Another gap is another wait: under load gaps open and close all the time, and the broker closes nearly all of them.
            let since = self.gap.filter(|(at, _)| *at == after).map_or(now, |(_, since)| since);
            if now < since + GAP_GRACE {
                self.gap = Some((after, since));
                return None;
            }
        }
        self.gap = None;
        self.filling = true;
        Some(Fill { after })
    }

    /// Has the store asked at once for what is known to be missing: the broker lost its connection.
    pub(super) fn distrust(&mut self) {
        self.stored = self.target;
    }

    fn is_behind(&self) -> bool {
        self.floor().is_some_and(|floor| floor < self.target)
    }

    fn floor(&self) -> Option<Seq> {
        self.active().map(|f| f.cursor).min()
    }

    fn active(&self) -> impl Iterator<Item = &Follower> {
        self.followers.iter().filter(|f| !f.suspended)
    }
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;

fn shared(message: Message) -> Shared {
    Shared::new(ClientEvent::Message { message: message.into() })
}
