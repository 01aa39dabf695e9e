//! What was sent, and what each member got of it: lost, repeated and reordered messages are counted one by one.

use crate::layout::Layout;

/// One message. Times are nanoseconds since the run began.
#[derive(Clone, Copy, Debug)]
struct Sent {
    accepted: bool,
    /// Place in the room's order, as the first member to see it saw it.
    place: Option<u32>,
    first: u64,
    last: u64,
}

/// One room: its messages by number, and how many of them anybody has seen.
#[derive(Debug, Default)]
struct RoomLog {
    sent: Vec<Sent>,
    seen: u32,
}

/// What one member has of one room.
#[derive(Clone, Debug, Default)]
struct Got {
    bits: Vec<u64>,
    /// The place after the furthest one seen.
    cursor: u32,
}

impl Got {
    fn has(&self, message: u32) -> bool {
        self.bits.get(message as usize / 64).is_some_and(|word| word >> (message % 64) & 1 == 1)
    }

    /// False when it had been set.
    fn set(&mut self, message: u32) -> bool {
        let word = message as usize / 64;
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        let fresh = !self.has(message);
        self.bits[word] |= 1 << (message % 64);
        fresh
    }
}

/// Deliveries that should have been different.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Accepted by the server and not delivered to a member.
    pub(crate) lost: u64,
    /// Delivered to a member once more.
    pub(crate) duplicated: u64,
    /// Delivered to a member after a later one.
    pub(crate) reordered: u64,
}

/// The account of one run.
#[derive(Debug)]
pub(crate) struct Ledger {
    rooms: Vec<RoomLog>,
    got: Vec<Vec<Got>>,
    /// Members whose deliveries do not count, because they were told not to read.
    excused: Vec<bool>,
    deliveries: u64,
    faults: Faults,
}

impl Ledger {
    /// An empty account.
    pub(crate) fn new(layout: &Layout) -> Self {
        Self {
            rooms: (0..layout.rooms()).map(|_| RoomLog::default()).collect(),
            got: (0..layout.users()).map(|user| vec![Got::default(); layout.rooms_of(user).len()]).collect(),
            excused: vec![false; layout.users()],
            deliveries: 0,
            faults: Faults::default(),
        }
    }

    /// Notes a message; returns its number in the room.
    pub(crate) fn sent(&mut self, room: u32) -> u32 {
        let sent = &mut self.rooms[room as usize].sent;
        sent.push(Sent { accepted: false, place: None, first: u64::MAX, last: 0 });
        u32::try_from(sent.len() - 1).unwrap_or(u32::MAX)
    }

    /// Notes that the server took it.
    pub(crate) fn accepted(&mut self, room: u32, message: u32) {
        if let Some(sent) = self.rooms[room as usize].sent.get_mut(message as usize) {
            sent.accepted = true;
        }
    }

    /// Notes a delivery; true when it is the first one of this message to this member.
    pub(crate) fn delivered(&mut self, user: usize, slot: usize, room: u32, message: u32, now: u64) -> bool {
        let log = &mut self.rooms[room as usize];
        let Some(sent) = log.sent.get_mut(message as usize) else { return false };
        let got = &mut self.got[user][slot];
        if !got.set(message) {
            self.faults.duplicated += u64::from(!self.excused[user]);
            return false;
        }
        let place = *sent.place.get_or_insert(log.seen);
        log.seen = log.seen.max(place + 1);
        if place < got.cursor {
            self.faults.reordered += u64::from(!self.excused[user]);
        }
        got.cursor = got.cursor.max(place + 1);
        sent.first = sent.first.min(now);
        sent.last = sent.last.max(now);
        self.deliveries += 1;
        true
    }

    /// Leaves a member out of the account from now on.
    pub(crate) fn excuse(&mut self, user: usize) {
        self.excused[user] = true;
    }

    /// Whether a member is left out.
    pub(crate) fn is_excused(&self, user: usize) -> bool {
        self.excused[user]
    }

    /// First deliveries so far.
    pub(crate) fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// Accepted messages that a user has not got, as room and number.
    pub(crate) fn missing(&self, layout: &Layout, user: usize) -> Vec<(u32, u32)> {
        let mut missing = Vec::new();
        for (slot, room) in layout.rooms_of(user).iter().enumerate() {
            for (number, sent) in (0..).zip(&self.rooms[*room as usize].sent) {
                if sent.accepted && !self.got[user][slot].has(number) {
                    missing.push((*room, number));
                }
            }
        }
        missing
    }

    /// Whether everybody who counts has every accepted message.
    pub(crate) fn faults(&self, layout: &Layout) -> Faults {
        let lost = (0..layout.users())
            .filter(|user| !self.excused[*user])
            .map(|user| self.missing(layout, user).len() as u64)
            .sum();
        Faults { lost, ..self.faults }
    }

    /// For each message of a room that was delivered: nanoseconds between its first and its last delivery.
    pub(crate) fn spreads(&self, room: u32) -> impl Iterator<Item = u64> {
        self.rooms[room as usize].sent.iter().filter(|sent| sent.last > 0).map(|sent| sent.last - sent.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_lost_repeated_and_reordered() {
        let layout = Layout::one_room(3);
        let mut ledger = Ledger::new(&layout);
        let numbers: Vec<u32> = (0..4).map(|_| ledger.sent(0)).collect();
        numbers[..3].iter().for_each(|number| ledger.accepted(0, *number));
        for number in [0, 1, 2] {
            ledger.delivered(0, 0, 0, number, 1);
        }
        for number in [0, 2, 1, 1] {
            ledger.delivered(1, 0, 0, number, 5);
        }
        ledger.delivered(2, 0, 0, 0, 9);
        // The third lacks two; the fourth message was never accepted, so nobody lacks it.
        assert_eq!(ledger.faults(&layout), Faults { lost: 2, duplicated: 1, reordered: 1 });
        assert_eq!(ledger.spreads(0).next(), Some(8));
        ledger.excuse(2);
        assert_eq!(ledger.faults(&layout).lost, 0);
    }
}
