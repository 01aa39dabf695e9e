//! What is read next from each partition. Kept here and not by readers, which come and go with leaders, and checked with every record: a
//! reader that was set elsewhere, whatever the cause, is found out by the first record it brings.

use super::{reason::SessionError, topic::Offsets};

/// Offsets of the records that are read next.
#[derive(Debug)]
pub(super) struct Positions {
    next: Offsets,
}

impl Positions {
    /// Every partition from where it ends.
    pub(super) fn at(ends: &Offsets) -> Self {
        Self { next: ends.clone() }
    }

    /// Where to read a partition on; one that was added later is read from its beginning.
    pub(super) fn next(&self, partition: i32) -> i64 {
        self.next.get(&partition).copied().unwrap_or(0)
    }

    /// Notes that a record came, which must be the next one. The gateway's topic is neither compacted nor written to in transactions, so its
    /// offsets have no holes; on a topic that somebody made otherwise a hole costs a session, and the store is asked once more than needed.
    pub(super) fn advance(&mut self, partition: i32, offset: i64) -> Result<(), SessionError> {
        let expected = self.next(partition);
        if offset != expected {
            return Err(SessionError::OutOfStep { partition, expected, offset });
        }
        self.next.insert(partition, offset.saturating_add(1));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_one_after_another() {
        let mut positions = Positions::at(&Offsets::from([(0, 7)]));
        for offset in 7..10 {
            assert!(positions.advance(0, offset).is_ok());
        }
        assert_eq!(positions.next(0), 10);
    }

    #[test]
    fn a_hole_and_a_step_back_are_found_and_move_nothing() {
        let mut positions = Positions::at(&Offsets::from([(0, 7)]));
        for offset in [8, 6] {
            let outcome = positions.advance(0, offset);
            assert!(matches!(outcome, Err(SessionError::OutOfStep { partition: 0, expected: 7, .. })), "{outcome:?}");
        }
        assert_eq!(positions.next(0), 7);
    }

    #[test]
    fn a_partition_added_later_is_read_from_its_beginning() {
        let mut positions = Positions::at(&Offsets::from([(0, 7)]));
        assert_eq!(positions.next(1), 0);
        assert!(positions.advance(1, 3).is_err(), "its first records are missing");
    }
}
