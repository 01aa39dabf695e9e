//! When which member sends into which room. Fixed before the run: a server that is slow does not get fewer messages, and the time that it
//! makes a message wait counts as its latency (no coordinated omission).

use std::time::Duration;

use crate::layout::Layout;

/// An open-loop timetable.
#[derive(Debug)]
pub(crate) struct Timetable {
    every: Duration,
    next: Duration,
    random: u64,
}

impl Timetable {
    /// So many messages a second, from `start` after the beginning of the run. The same members in every run.
    pub(crate) fn new(per_second: u32, start: Duration) -> Self {
        Self { every: Duration::from_secs(1) / per_second.max(1), next: start, random: 0x9e37_79b9_7f4a_7c15 }
    }

    /// When the next message is due.
    pub(crate) fn due(&self) -> Duration {
        self.next
    }

    /// Takes the next message: who sends it, and into which room.
    pub(crate) fn take(&mut self, layout: &Layout) -> (usize, u32) {
        self.next += self.every;
        let user = self.below(layout.users());
        let rooms = layout.rooms_of(user);
        (user, rooms[self.below(rooms.len())])
    }

    /// Xorshift: good enough to spread load, and the same everywhere.
    fn below(&mut self, limit: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as usize % limit
    }
}
