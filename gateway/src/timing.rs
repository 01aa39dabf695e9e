//! How long things take, in a few counters that grow: the hot paths touch two atomics and nothing else.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Upper bounds in microseconds. A commit takes a few milliseconds; after a second people see that something is wrong.
const BOUNDS: [u64; 12] =
    [1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000];

/// A histogram of durations.
#[derive(Debug, Default)]
pub struct Timing {
    /// Observations by the first bound that they do not pass; the last are those over all bounds.
    counts: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

/// What was observed so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// Bounds in seconds, and how many observations do not pass each.
    pub buckets: Vec<(f64, u64)>,
    /// Observations.
    pub count: u64,
    /// Seconds of all of them.
    pub seconds: f64,
}

impl Timing {
    /// Takes one in.
    pub fn observe(&self, took: Duration) {
        // Not `as_micros`, which divides numbers of 128 bits.
        let took = took.as_secs().saturating_mul(1_000_000).saturating_add(took.subsec_micros().into());
        let at = BOUNDS.iter().position(|bound| took <= *bound).unwrap_or(BOUNDS.len());
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(1, Relaxed);
        }
        self.microseconds.fetch_add(took, Relaxed);
    }

    /// All of them so far. What is observed meanwhile may be in the sum only.
    #[must_use]
    pub fn observed(&self) -> Observed {
        let mut count = 0;
        let mut up_to = |counter: &AtomicU64| {
            count += counter.load(Relaxed);
            count
        };
        let all: Vec<u64> = self.counts.iter().map(&mut up_to).collect();
        let buckets = BOUNDS.iter().zip(all).map(|(bound, count)| (seconds(*bound), count)).collect();
        Observed { buckets, count, seconds: seconds(self.microseconds.load(Relaxed)) }
    }
}

fn seconds(microseconds: u64) -> f64 {
    Duration::from_micros(microseconds).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_all_that_do_not_pass_its_bound() {
        let timing = Timing::default();
        for took in [Duration::ZERO, Duration::from_millis(5), Duration::from_micros(5_001), Duration::from_secs(60)] {
            timing.observe(took);
        }
        let Observed { buckets, count, seconds } = timing.observed();
        let of = |bound: f64| buckets.iter().find(|(at, _)| *at == bound).map(|(_, count)| *count);
        assert_eq!((of(0.001), of(0.005), of(0.01), of(10.0)), (Some(1), Some(2), Some(3), Some(3)));
        assert_eq!((count, seconds), (4, 60.010_001));
    }
}
