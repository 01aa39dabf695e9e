//! The violations that were seen. They are few, so a lock does.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chat_gateway_config::delivery::{Breach, Violation};
use jiff::Timestamp;

use crate::model::{RoomId, Seq};

/// Violations that are remembered; all are counted.
const KEPT: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Violations(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    count: u64,
    newest: VecDeque<Violation>,
}

impl Violations {
    pub(super) fn note(&self, breach: Breach, (room, slot): (RoomId, u32), seq: Seq) {
        let mut seen = self.seen();
        seen.count += 1;
        if seen.newest.len() == KEPT {
            seen.newest.pop_front();
        }
        let at_ms = Timestamp::now().as_millisecond();
        seen.newest.push_back(Violation { at_ms, breach, room: room.to_string(), slot, seq });
    }

    /// How many there were, and the newest one.
    pub(super) fn last(&self) -> (u64, Option<Violation>) {
        let seen = self.seen();
        (seen.count, seen.newest.back().cloned())
    }

    pub(super) fn newest(&self) -> Vec<Violation> {
        self.seen().newest.iter().cloned().collect()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn all_are_counted_and_the_newest_kept() {
        let violations = Violations::default();
        for seq in 1..=20 {
            violations.note(Breach::Unstored, (RoomId(Uuid::nil()), 3), seq);
        }
        let kept: Vec<_> = violations.newest().iter().map(|violation| violation.seq).collect();
        assert_eq!(kept, (5..=20).collect::<Vec<_>>());
        let (count, last) = violations.last();
        assert_eq!((count, last.map(|last| last.seq)), (20, Some(20)));
    }
}
