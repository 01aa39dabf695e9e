//! The gateways' clocks beside the operator's. How long messages take is measured with the clocks of two machines; what a gateway's own is off is taken
//! out, or a new gateway on a node whose clock is ahead would look slow.

use std::collections::{BTreeMap, HashMap};

use chat_gateway_config::stats::GatewayStats;
use jiff::Timestamp;

/// Milliseconds from a question to its answer over which the answer says too little of the clock.
const LONGEST_TRIP: i64 = 200;
/// Milliseconds over which a person should know: the leeway of tokens is not much more.
const NOTEWORTHY: i64 = 5_000;

/// What is remembered of the gateways of one ChatCluster.
#[derive(Debug, Default)]
pub(super) struct Clocks(HashMap<String, Clock>);

#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    /// Milliseconds that it is before the operator's, once that is known.
    ahead: Option<i64>,
    /// What the gateway had counted at its last answer.
    timed: u64,
    raw: i64,
    /// The same time, put right.
    right: i64,
}

impl Clocks {
    /// Puts right how long messages took in an answer, which came between these two moments of the operator's clock.
    pub(super) fn put_right(&mut self, stats: &mut GatewayStats, asked: Timestamp, answered: Timestamp) {
        let Some(clock) = stats.clock_ms else { return };
        let known = self.0.entry(stats.gateway.clone()).or_default();
        let (from, to) = (asked.as_millisecond(), answered.as_millisecond());
        if known.ahead.is_none() || (0..=LONGEST_TRIP).contains(&to.saturating_sub(from)) {
            known.ahead = Some(clock.saturating_sub(from.midpoint(to)));
        }
        let health = &mut stats.health;
        if health.timed < known.timed {
            // It has started anew.
            *known = Clock { ahead: known.ahead, ..Clock::default() };
        }
        let more = i64::try_from(health.timed - known.timed).unwrap_or(i64::MAX);
        let took = health.timed_raw_ms.saturating_sub(known.raw);
        // Piece by piece, so that a clock that is set does not change what was measured before.
        let ahead = known.ahead.unwrap_or_default();
        known.right = known.right.saturating_add(took.saturating_sub(ahead.saturating_mul(more)).max(0));
        (known.timed, known.raw) = (health.timed, health.timed_raw_ms);
        health.timed_ms = u64::try_from(known.right).unwrap_or_default();
    }

    /// Forgets gateways that are not there any more.
    pub(super) fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|pod, _| is_there(pod));
    }

    /// Seconds by which clocks are noteworthily ahead of the operator's, or, negative, behind.
    pub(super) fn skewed(&self) -> BTreeMap<String, i64> {
        let far = self.0.iter().filter_map(|(pod, clock)| Some((pod.clone(), clock.ahead?)));
        far.filter(|(_, ahead)| ahead.abs() >= NOTEWORTHY).map(|(pod, ahead)| (pod, ahead / 1_000)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::testing::stats;

    const NOW: i64 = 1_000_000;

    /// The answer at the operator's `now` of a gateway whose clock is `ahead` of it, after so many messages that took 5 ms each.
    fn answer(clocks: &mut Clocks, (now, ahead): (i64, i64), timed: u64, raw: i64) -> u64 {
        let mut told = stats("g1", 0, &[]);
        (told.clock_ms, told.health.timed, told.health.timed_raw_ms) = (Some(now + ahead), timed, raw);
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        clocks.put_right(&mut told, at(now - 10), at(now + 10));
        told.health.timed_ms
    }

    #[test]
    fn a_clock_that_is_ahead_or_behind_makes_nobody_slow_or_fast() {
        for ahead in [0_i64, 400, -400, 3_600_000, -3_600_000] {
            let mut clocks = Clocks::default();
            assert_eq!(answer(&mut clocks, (NOW, ahead), 100, 100 * (5 + ahead)), 500, "{ahead}");
            assert_eq!(answer(&mut clocks, (NOW + 2_000, ahead), 300, 300 * (5 + ahead)), 1_500, "{ahead}");
        }
    }

    #[test]
    fn a_clock_that_is_set_changes_nothing_that_was_and_a_new_process_counts_from_the_beginning() {
        let mut clocks = Clocks::default();
        answer(&mut clocks, (NOW, 0), 100, 500);
        let raw = 500 + 100 * (5 + 7_000);
        assert_eq!(answer(&mut clocks, (NOW + 2_000, 7_000), 200, raw), 1_000);
        assert_eq!(clocks.skewed(), BTreeMap::from([("g1".to_owned(), 7)]));
        assert_eq!(answer(&mut clocks, (NOW + 4_000, 0), 10, 50), 50);
        assert!(clocks.skewed().is_empty());
        clocks.retain(|_| false);
        assert!(clocks.0.is_empty());
    }

    #[test]
    fn an_answer_that_came_late_says_nothing_new_and_an_older_gateway_nothing_at_all() {
        let mut clocks = Clocks::default();
        answer(&mut clocks, (NOW, 0), 0, 0);
        let mut late = stats("g1", 0, &[]);
        late.clock_ms = Some(NOW + 9_000);
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        clocks.put_right(&mut late, at(NOW), at(NOW + 20_000));
        assert!(clocks.skewed().is_empty());
        let mut older = stats("g2", 0, &[]);
        (older.health.timed, older.health.timed_ms) = (10, 70);
        clocks.put_right(&mut older, at(NOW), at(NOW));
        assert_eq!(older.health.timed_ms, 70, "what it says stands");
    }
}
