//! What the autoscaler remembers: as little as it needs, since there is one for each ChatCluster.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// The highest of the values of a time. It keeps only those that can still become the highest.
#[derive(Clone, Debug)]
pub(super) struct Highest {
    since: Instant,
    /// Falling.
    values: VecDeque<(Instant, i32)>,
}

impl Highest {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, values: VecDeque::new() }
    }

    pub(super) fn add(&mut self, now: Instant, value: i32, window: Duration) {
        while self.values.back().is_some_and(|(_, last)| *last <= value) {
            self.values.pop_back();
        }
        self.values.push_back((now, value));
        while self.values.front().is_some_and(|(at, _)| now.duration_since(*at) > window) {
            self.values.pop_front();
        }
    }

    pub(super) fn value(&self) -> i32 {
        self.values.front().map_or(0, |(_, value)| *value)
    }

    /// How much of the window has not been seen yet.
    pub(super) fn missing(&self, now: Instant, window: Duration) -> Duration {
        window.saturating_sub(now.duration_since(self.since))
    }
}

/// Values of the last while, to see how they change.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    keep: Duration,
    values: VecDeque<(Instant, i64)>,
}

impl Recent {
    pub(super) fn new(keep: Duration) -> Self {
        Self { keep, values: VecDeque::new() }
    }

    pub(super) fn add(&mut self, now: Instant, value: i64) {
        self.values.push_back((now, value));
        while self.values.front().is_some_and(|(at, _)| now.duration_since(*at) > self.keep) {
            self.values.pop_front();
        }
    }

    /// By how much the value rises within `ahead`, if it goes on as over the whole time that is kept; a fall is no rise. What is not
    /// known counts as if nothing had changed, so that a first jump is not taken for a trend.
    pub(super) fn rise(&self, ahead: Duration) -> i64 {
        let (Some((_, first)), Some((_, last))) = (self.values.front(), self.values.back()) else { return 0 };
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        (last - first).max(0).saturating_mul(millis(ahead)) / millis(self.keep).max(1)
    }

    /// The sum of the values for each second of the time that is kept.
    pub(super) fn per_second(&self) -> i64 {
        let sum: i64 = self.values.iter().map(|(_, value)| value).sum();
        sum / i64::try_from(self.keep.as_secs()).unwrap_or(i64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_highest_leaves_with_its_window() {
        let start = Instant::now();
        let mut highest = Highest::new(start);
        for (second, value) in [(0, 5), (10, 3), (20, 4), (30, 1)] {
            highest.add(start + SECOND * second, value, SECOND * 60);
        }
        assert_eq!(highest.value(), 5);
        assert_eq!(highest.missing(start + SECOND * 30, SECOND * 60), SECOND * 30);
        highest.add(start + SECOND * 61, 1, SECOND * 60);
        assert_eq!(highest.value(), 4);
        highest.add(start + SECOND * 81, 1, SECOND * 60);
        assert_eq!((highest.value(), highest.values.len()), (1, 1));
        assert_eq!(highest.missing(start + SECOND * 81, SECOND * 60), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trend_needs_its_time() {
        let start = Instant::now();
        let mut recent = Recent::new(SECOND * 120);
        recent.add(start, 1_000);
        recent.add(start + SECOND * 2, 10_000);
        assert_eq!(recent.rise(SECOND * 12), 900, "as if it had taken two minutes");
        recent.add(start + SECOND * 130, 9_000);
        assert_eq!(recent.rise(SECOND * 12), 0);
        recent.add(start + SECOND * 240, 21_000);
        assert_eq!(recent.rise(SECOND * 10), 1_000, "12000 in two minutes");
        assert_eq!(Recent::new(SECOND * 30).per_second(), 0);
    }
}
