//! How many lines about what was not done may be written.

use std::time::{Duration, Instant};

/// Lines at most in each [`PERIOD`].
pub(super) const LINES: u32 = 60;
/// Time after which there are as many again.
pub(super) const PERIOD: Duration = Duration::from_secs(60);

/// Lines of this period, and how many there was no room for.
#[derive(Debug)]
pub(super) struct Allowance {
    since: Option<Instant>,
    written: u32,
    left_out: u64,
}

impl Allowance {
    /// Nothing is written yet.
    pub(super) const fn full() -> Self {
        Self { since: None, written: 0, left_out: 0 }
    }

    /// Takes a line: whether there is one, and how many were left out in the period before if that is to be told now.
    pub(super) fn take(&mut self, now: Instant) -> (bool, u64) {
        let left_out = self.settle(now, false);
        self.since.get_or_insert(now);
        let may = self.written < LINES;
        if may {
            self.written += 1;
        } else {
            self.left_out += 1;
        }
        (may, left_out)
    }

    /// Ends the period if it is over, or in any case: how many were left out in it.
    pub(super) fn settle(&mut self, now: Instant, in_any_case: bool) -> u64 {
        if in_any_case || self.since.is_some_and(|since| now.saturating_duration_since(since) >= PERIOD) {
            return std::mem::replace(self, Self::full()).left_out;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(start: Instant) -> Allowance {
        let mut allowance = Allowance::full();
        for _ in 0..LINES {
            assert_eq!(allowance.take(start), (true, 0));
        }
        allowance
    }

    #[test]
    fn a_flood_is_counted_and_not_written() {
        let start = Instant::now();
        let mut allowance = spent(start);
        assert_eq!(allowance.take(start), (false, 0));
        assert_eq!(allowance.take(start), (false, 0));
        assert_eq!(allowance.take(start + PERIOD), (true, 2));
        assert_eq!(allowance.take(start + PERIOD), (true, 0), "told once");
    }

    #[test]
    fn what_was_left_out_is_told_although_nothing_more_comes() {
        let start = Instant::now();
        let mut allowance = spent(start);
        let _ = allowance.take(start);
        assert_eq!(allowance.settle(start + PERIOD / 2, false), 0, "not yet");
        assert_eq!(allowance.settle(start + PERIOD, false), 1);
        assert_eq!(allowance.settle(start + PERIOD * 2, false), 0);
        let mut ending = spent(start);
        let _ = ending.take(start);
        assert_eq!(ending.settle(start, true), 1, "a gateway that ends does not wait");
    }
}
