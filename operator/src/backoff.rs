//! How long to wait before an object that failed is tried again: exponential, with jitter, one count per object.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::names::ClusterKey;

/// First delay. Short, because most failures are conflicts and API servers that restart.
const FIRST: Duration = Duration::from_secs(1);
/// Longest delay. A person who repaired something outside the watch should not wait longer than this.
const LONGEST: Duration = Duration::from_secs(120);

/// Failures in a row of every object.
#[derive(Debug, Default)]
pub struct Backoff {
    // A std mutex: held for a map operation, never across an await.
    failures: Mutex<HashMap<ClusterKey, u32>>,
}

impl Backoff {
    /// Counts a failure and says how long to wait: between half and all of `FIRST * 2^failures`, at most `LONGEST`.
    pub fn failed(&self, key: &ClusterKey) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key.clone()).or_default();
        let delay = FIRST.saturating_mul(1 << (*count).min(16)).min(LONGEST);
        *count = count.saturating_add(1);
        // Jitter, so that a hundred clusters that failed together do not come back together.
        delay.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// Failures in a row so far.
    #[must_use]
    pub fn count(&self, key: &ClusterKey) -> u32 {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied().unwrap_or_default()
    }

    /// Forgets the failures of an object that succeeded or is gone.
    pub fn succeeded(&self, key: &ClusterKey) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_limit_and_starts_anew_after_success() {
        let backoff = Backoff::default();
        let key = ClusterKey::new("n", "c");
        let first = backoff.failed(&key);
        assert!(first >= FIRST / 2 && first <= FIRST);
        let mut last = first;
        for _ in 0..40 {
            last = backoff.failed(&key);
        }
        assert!(last >= LONGEST / 2 && last <= LONGEST, "{last:?}");
        backoff.succeeded(&key);
        assert!(backoff.failed(&key) <= FIRST);
    }
}
