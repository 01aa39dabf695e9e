//! Up to which change of a room's members each follower is known to be one, and when the store must be asked.
//!
//! Every entry says which was the newest removal before it, and so does every read of the store (`store::removals`). Who is not known to
//! have been a member at that one gets nothing until it is known: either the changes up to there come from the broker, one after the
//! other, or the store is asked. A removal that the broker lost, or could not bring, therefore holds back everything that came after it.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::model::UserId;

/// How long the broker may take to bring a change that something else was quicker to tell of: between gateways that commit at once, news
/// come in either order.
const GRACE: Duration = Duration::from_millis(50);

/// Wait before a question that failed is asked again.
const RETRY: Duration = Duration::from_millis(500);

/// Changes remembered until those before them come.
const CHANGES: usize = 32;

/// What is known of a room's members.
#[derive(Default)]
pub(super) struct Membership {
    /// Version of the newest removal that is known of.
    removal: i64,
    /// Versions of the last changes that came from the broker, in any order, each with whom it removed.
    changes: VecDeque<(i64, Option<UserId>)>,
    /// Some follower may not be known to be a member at the newest removal.
    doubt: bool,
    /// When to ask, if there is still reason to.
    ask_at: Option<Instant>,
    asked: bool,
}

impl Membership {
    /// Whether somebody who was a member at this version gets what is said now.
    pub(super) fn admits(&self, version: i64) -> bool {
        version >= self.removal
    }

    /// Takes in that there was this removal, or a later one.
    pub(super) fn note(&mut self, removal: i64) {
        if removal > self.removal {
            self.removal = removal;
            self.doubt = true;
        }
    }

    /// Takes in that somebody follows who is known to be a member at this version.
    pub(super) fn joined(&mut self, version: i64) {
        self.doubt |= !self.admits(version);
    }

    /// Takes a change that came from the broker.
    pub(super) fn changed(&mut self, version: i64, removed: Option<UserId>) {
        if self.changes.contains(&(version, removed)) {
            return;
        }
        if self.changes.len() == CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back((version, removed));
    }

    /// The version up to which `user`, a member at `version`, is known to be one: all changes up to there have come, and none removed them.
    pub(super) fn reached(&self, user: UserId, mut version: i64) -> i64 {
        while self.changes.iter().any(|(next, removed)| *next == version + 1 && *removed != Some(user)) {
            version += 1;
        }
        version
    }

    /// Whether time alone may change something.
    pub(super) fn is_waiting(&self) -> bool {
        self.doubt && !self.asked
    }

    /// Whether the store is to be asked now; `is_unsure` says whether there still is somebody to ask about. At most one question runs, and
    /// [`Membership::answered`] ends it.
    pub(super) fn is_due(&mut self, now: Instant, is_unsure: bool) -> bool {
        if !self.is_waiting() {
            return false;
        }
        if !is_unsure {
            (self.doubt, self.ask_at) = (false, None);
            return false;
        }
        if now < *self.ask_at.get_or_insert(now + GRACE) {
            return false;
        }
        self.asked = true;
        true
    }

    /// Ends the question; one that failed is asked again later.
    pub(super) fn answered(&mut self, works: bool, now: Instant) {
        self.asked = false;
        self.ask_at = (!works).then(|| now + RETRY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_changes_without_a_gap_lead_on() {
        let [ann, bob] = [1, 2].map(|id| UserId(uuid::Uuid::from_u128(id)));
        let mut membership = Membership::default();
        for (version, removed) in [(3, None), (6, Some(bob)), (5, None)] {
            membership.changed(version, removed);
        }
        assert_eq!([1, 2, 4, 9].map(|version| membership.reached(ann, version)), [1, 3, 6, 9]);
        membership.changed(4, None);
        assert_eq!(membership.reached(ann, 2), 6);
        assert_eq!(membership.reached(bob, 2), 5, "nobody is led past their own removal");
    }

    #[tokio::test(start_paused = true)]
    async fn the_store_is_asked_once_and_only_if_the_broker_does_not_tell() {
        let mut membership = Membership::default();
        let begin = Instant::now();
        assert!(!membership.is_due(begin, true), "nobody was removed");
        membership.note(5);
        assert!(membership.admits(5) && !membership.admits(4));
        assert!(!membership.is_due(begin, true), "the broker may bring it yet");
        assert!(membership.is_due(begin + GRACE, true));
        assert!(!membership.is_due(begin + 2 * GRACE, true), "one question at a time");
        membership.answered(false, begin);
        assert!(!membership.is_due(begin + GRACE, true));
        assert!(membership.is_due(begin + RETRY, true), "again after a failure");
        membership.answered(true, begin);
        assert!(!membership.is_due(begin + RETRY, false));
        assert!(!membership.is_waiting(), "all are known");
        membership.joined(4);
        assert!(membership.is_waiting(), "but not who comes with old news");
    }
}
