//! Some of what was acknowledged, until the audit looks whether the store has it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::model::{RoomId, Seq};

/// Rooms that are remembered between two audits; messages of others are not looked at. One question to the store.
const ROOMS: usize = 500;

/// The newest acknowledged seq of some rooms.
#[derive(Debug, Default)]
pub(super) struct Promises(Mutex<HashMap<RoomId, Seq>>);

impl Promises {
    /// Remembers an acknowledgement, unless somebody else is at it or there is too much: this is a sample, and nobody waits for it.
    pub(super) fn note(&self, room: RoomId, seq: Seq) {
        let Ok(mut rooms) = self.0.try_lock() else { return };
        if let Some(newest) = rooms.get_mut(&room) {
            *newest = seq.max(*newest);
        } else if rooms.len() < ROOMS {
            rooms.insert(room, seq);
        }
    }

    /// Takes them all out.
    pub(super) fn take(&self) -> HashMap<RoomId, Seq> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_newest_of_so_many_rooms_is_kept_until_it_is_taken() {
        let promises = Promises::default();
        let room = |number: u128| RoomId(Uuid::from_u128(number));
        for (number, seq) in [(0, 3), (0, 2)].into_iter().chain((1..600).map(|number| (number, 1))) {
            promises.note(room(number), seq);
        }
        promises.note(room(0), 4);
        let taken = promises.take();
        assert_eq!((taken.len(), taken[&room(0)]), (ROOMS, 4));
        assert!(promises.take().is_empty());
    }
}
