//! Finds partitions that have records which do not arrive, each for itself: what arrives from others, on the same reader too, says nothing
//! about it.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{positions::Positions, topic::Offsets};

/// How long records that are known to be there may fail to arrive before they are read on new connections, and before the session ends. The
/// client keeps what it once heard about leaders while a server refuses connections, and asks it ever more seldom.
const RENEW_AFTER: Duration = Duration::from_secs(2);
const STUCK_AFTER: Duration = Duration::from_secs(8);

/// Partitions that have more than what was read.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    behind: BTreeMap<i32, Stall>,
}

#[derive(Debug)]
struct Stall {
    position: i64,
    since: Instant,
    renewed: bool,
}

/// What is to be done about the partition that is worst off.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: all is read, or on its way.
    Flows,
    /// This partition is to be read on new connections.
    Renew(i32),
    /// That did not help.
    Stuck(i32),
}

impl Stalls {
    /// Compares what was read with where partitions end. To be called at least every second or so.
    pub(super) fn look(&mut self, positions: &Positions, ends: &Offsets, now: Instant) -> Verdict {
        self.behind.retain(|partition, _| ends.contains_key(partition));
        let mut verdict = Verdict::Flows;
        for (&partition, &end) in ends {
            let position = positions.next(partition);
            if position >= end {
                self.behind.remove(&partition);
                continue;
            }
            let fresh = Stall { position, since: now, renewed: false };
            let stall = self.behind.entry(partition).or_insert(fresh);
            if stall.position != position {
                *stall = Stall { position, since: now, renewed: false };
            }
            let lasts = now.saturating_duration_since(stall.since);
            if lasts > STUCK_AFTER {
                return Verdict::Stuck(partition);
            }
            if lasts > RENEW_AFTER && !stall.renewed {
                stall.renewed = true;
                verdict = Verdict::Renew(partition);
            }
        }
        verdict
    }

    /// Takes time out of the account in which nothing could be read: the hub was full, or connections were made.
    pub(super) fn pardon(&mut self, time: Duration) {
        for stall in self.behind.values_mut() {
            stall.since += time;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends<const N: usize>(ends: [i64; N]) -> Offsets {
        (0..).zip(ends).collect()
    }

    #[test]
    fn traffic_on_one_partition_does_not_hide_that_another_stalls() {
        let (mut stalls, start) = (Stalls::default(), Instant::now());
        let mut positions = Positions::at(&ends([0, 5]));
        let mut verdicts = Vec::new();
        for second in 0..=9 {
            let now = start + Duration::from_secs(second);
            verdicts.push(stalls.look(&positions, &ends([100, 6]), now));
            positions.advance(0, i64::try_from(second).unwrap_or(0)).unwrap_or_else(|error| panic!("{error}"));
        }
        let renewed = verdicts.iter().filter(|verdict| **verdict == Verdict::Renew(1)).count();
        assert_eq!((renewed, verdicts.pop()), (1, Some(Verdict::Stuck(1))), "{verdicts:?}");
        assert!(!verdicts.contains(&Verdict::Stuck(1)), "{verdicts:?}");
    }

    #[test]
    fn a_partition_that_is_read_slowly_or_to_its_end_does_not_stall() {
        let (mut stalls, start) = (Stalls::default(), Instant::now());
        let mut positions = Positions::at(&ends([0, 5]));
        for second in 0..60 {
            let now = start + Duration::from_secs(second);
            assert_eq!(stalls.look(&positions, &ends([1_000, 5]), now), Verdict::Flows);
            if second % 2 == 0 {
                positions.advance(0, i64::try_from(second / 2).unwrap_or(0)).unwrap_or_else(|error| panic!("{error}"));
            }
        }
    }

    #[test]
    fn time_in_which_nothing_could_be_read_does_not_count() {
        let (mut stalls, start) = (Stalls::default(), Instant::now());
        let positions = Positions::at(&ends([5]));
        assert_eq!(stalls.look(&positions, &ends([6]), start), Verdict::Flows);
        stalls.pardon(Duration::from_secs(30));
        assert_eq!(stalls.look(&positions, &ends([6]), start + Duration::from_secs(31)), Verdict::Flows);
        assert_eq!(stalls.look(&positions, &ends([6]), start + Duration::from_secs(39)), Verdict::Stuck(0));
    }
}
