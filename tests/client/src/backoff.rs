//! Delays between attempts: exponential with full jitter, so that clients of a dead gateway do not come back in step.

use std::time::Duration;

use rand::RngExt as _;

const FIRST: Duration = Duration::from_millis(50);
const MOST: Duration = Duration::from_secs(2);

/// Delay before attempt number `attempt` (from 0): random between half and all of 50 ms doubled per attempt, 2 s at most.
pub(crate) fn delay(attempt: u32) -> Duration {
    let ceiling = FIRST.saturating_mul(1 << attempt.min(10)).min(MOST);
    ceiling.mul_f64(rand::rng().random_range(0.5..=1.0))
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
