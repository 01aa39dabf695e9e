//! What a room knows only for moments: who types, which marks moved, which membership changes were told already.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::{
    model::{Seq, UserId},
    protocol::{event::TypingState, limits::TYPING_LAPSE},
};

/// Membership changes remembered so that a relay's repeat is not told twice.
const VERSIONS: usize = 32;

/// The moments of one room.
#[derive(Default)]
pub(super) struct Ephemera {
    typists: Vec<Typist>,
    receipts: Vec<Receipt>,
    versions: VecDeque<(i64, Option<UserId>)>,
}

struct Typist {
    user: UserId,
    name: String,
    lapses: Instant,
}

/// The newest marks of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Receipt {
    pub(super) user: UserId,
    pub(super) delivered_seq: Seq,
    pub(super) read_seq: Seq,
}

impl Ephemera {
    /// Whether time has nothing to do here.
    pub(super) fn is_empty(&self) -> bool {
        self.typists.is_empty() && self.receipts.is_empty()
    }

    /// Takes a typing notice; true when the others must hear of it, which a renewal is not.
    pub(super) fn typing(&mut self, user: UserId, name: &str, state: TypingState, now: Instant) -> bool {
        let known = self.typists.iter().position(|typist| typist.user == user);
        match (state, known) {
            (TypingState::Start, Some(at)) => {
                self.typists[at].lapses = now + TYPING_LAPSE;
                false
            }
            (TypingState::Start, None) => {
                self.typists.push(Typist { user, name: name.to_owned(), lapses: now + TYPING_LAPSE });
                true
            }
            (TypingState::Stop, Some(at)) => {
                self.typists.swap_remove(at);
                true
            }
            (TypingState::Stop, None) => false,
        }
    }

    /// Takes out those whose notice was not renewed.
    pub(super) fn lapsed(&mut self, now: Instant) -> Vec<(UserId, String)> {
        let (lapsed, kept) = std::mem::take(&mut self.typists).into_iter().partition(|typist| typist.lapses <= now);
        self.typists = kept;
        lapsed.into_iter().map(|typist: Typist| (typist.user, typist.name)).collect()
    }

    /// Notes that a member's marks moved; several moves within a tick become one event.
    pub(super) fn receipt(&mut self, new: Receipt) {
        match self.receipts.iter_mut().find(|known| known.user == new.user) {
            Some(known) => {
                known.delivered_seq = known.delivered_seq.max(new.delivered_seq);
                known.read_seq = known.read_seq.max(new.read_seq);
            }
            None => self.receipts.push(new),
        }
    }

    /// Takes out the marks to be told.
    pub(super) fn receipts(&mut self) -> Vec<Receipt> {
        std::mem::take(&mut self.receipts)
    }

    /// Whether this membership change is new.
    pub(super) fn is_new(&mut self, version: i64) -> bool {
        self.is_first(version, None)
    }

    /// Whether this change of a role is new; one version may give two members another role.
    pub(super) fn is_new_role(&mut self, version: i64, user: UserId) -> bool {
        self.is_first(version, Some(user))
    }

    fn is_first(&mut self, version: i64, user: Option<UserId>) -> bool {
        if self.versions.contains(&(version, user)) {
            return false;
        }
        if self.versions.len() == VERSIONS {
            self.versions.pop_front();
        }
        self.versions.push_back((version, user));
        true
    }
}
