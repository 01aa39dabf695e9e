//! Some of what was acknowledged, until the audit looks whether the store has it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::model::{RoomId, Seq};

/// Rooms that are remembered between two audits, at most: one question to the store.
const PLACES: usize = 512;

/// The newest acknowledged seq of some rooms. A room has one place, and of rooms with the same place the first is remembered.
#[derive(Debug)]
pub(super) struct Promises(Mutex<Vec<Option<(RoomId, Seq)>>>);

impl Default for Promises {
    fn default() -> Self {
        Self(Mutex::new(vec![None; PLACES]))
    }
}

impl Promises {
    /// Remembers an acknowledgement, unless somebody else is at it or the place is taken: this is a sample, and nobody waits for it.
    pub(super) fn note(&self, room: RoomId, seq: Seq) {
        let Ok(mut places) = self.0.try_lock() else { return };
        // Every kind of room id has random bits at its end.
        let place = room.0.as_bytes()[14..].iter().fold(0, |number, byte| number << 8 | usize::from(*byte)) % PLACES;
        match &mut places[place] {
            Some((known, newest)) if *known == room => *newest = seq.max(*newest),
            Some(_) => {}
            free => *free = Some((room, seq)),
        }
    }

    /// Takes them all out.
    pub(super) fn take(&self) -> HashMap<RoomId, Seq> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.iter_mut().filter_map(Option::take).collect()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_newest_of_one_room_for_each_place_is_kept_until_it_is_taken() {
        let promises = Promises::default();
        let room = |number: u128| RoomId(Uuid::from_u128(number));
        for (number, seq) in [(0, 3), (0, 2)].into_iter().chain((1..600).map(|number| (number, 1))) {
            promises.note(room(number), seq);
        }
        promises.note(room(0), 4);
        let taken = promises.take();
        assert_eq!((taken.len(), taken[&room(0)]), (PLACES, 4));
        assert!(promises.take().is_empty());
    }
}
