//! Delays between attempts: exponential with full jitter, so that clients of a dead gateway do not come back in step.

use std::time::Duration;

use rand::RngExt as _;

const FIRST: Duration = Duration::from_millis(50);
const MOST: Duration = Duration::from_secs(2);

/// How long a client waits before it connects again: a random part of `first`, doubled with each attempt up to `most`.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The first ceiling.
    pub first: Duration,
    /// The highest ceiling.
    pub most: Duration,
    /// The part of the ceiling that is waited at least, from 0 to 1.
    pub least: f64,
}

impl Patience {
    /// Back within two seconds, for tests of few clients that are to end soon.
    pub const SHORT: Self = Self { first: FIRST, most: MOST, least: 0.5 };
    /// The documented clients': full jitter of up to 8 s. Thousands that lost their gateway come back by it.
    pub const DOCUMENTED: Self = Self { first: Duration::from_millis(250), most: Duration::from_secs(8), least: 0.0 };

    /// Delay before attempt number `attempt`, from 0.
    pub(crate) fn delay(self, attempt: u32) -> Duration {
        let ceiling = self.first.saturating_mul(1 << attempt.min(10)).min(self.most);
        ceiling.mul_f64(rand::rng().random_range(self.least..=1.0))
    }
}

/// Delay before attempt number `attempt` (from 0): random between half and all of 50 ms doubled per attempt, 2 s at most.
pub(crate) fn delay(attempt: u32) -> Duration {
    Patience::SHORT.delay(attempt)
}

/// `base` and up to a quarter of it more.
pub(crate) fn jittered(base: Duration) -> Duration {
    base.mul_f64(rand::rng().random_range(1.0..=1.25))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_grows_and_stays_bounded() {
        assert!(delay(0) <= FIRST);
        for attempt in 0..64 {
            assert!(delay(attempt) <= MOST);
        }
        assert!(delay(20) >= MOST / 2);
    }
}
