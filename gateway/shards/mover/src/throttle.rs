//! Keeps the copy under a rate.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// A bucket that holds at most a second's worth.
pub(crate) struct Throttle {
    rate: Option<u64>,
    /// Bytes that may be copied now; below zero after a chunk larger than what was there.
    tokens: f64,
    filled: Instant,
}

impl Throttle {
    pub(crate) fn new(rate: Option<u64>) -> Self {
        // Begins empty: a mover that is started again and again must not exceed the rate.
        Self { rate, tokens: 0.0, filled: Instant::now() }
    }

    /// Takes what was copied, and how long to wait before the next chunk.
    fn take(&mut self, bytes: u64, now: Instant) -> Duration {
        let Some(rate) = self.rate.map(|rate| rate.max(1) as f64) else { return Duration::ZERO };
        self.tokens = (self.tokens + (now - self.filled).as_secs_f64() * rate).min(rate) - bytes as f64;
        self.filled = now;
        Duration::from_secs_f64((-self.tokens / rate).max(0.0))
    }

    /// Waits until a chunk of this size is paid for.
    pub(crate) async fn pay(&mut self, bytes: u64) {
        sleep(self.take(bytes, Instant::now())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_at_its_rate_on_average() {
        let mut throttle = Throttle::new(Some(1_000));
        let start = throttle.filled;
        assert_eq!(throttle.take(500, start), Duration::from_millis(500));
        assert_eq!(throttle.take(500, start + Duration::from_millis(500)), Duration::from_millis(500));
        // A long pause saves up one second and no more.
        assert_eq!(throttle.take(3_000, start + Duration::from_secs(60)), Duration::from_secs(2));
        assert_eq!(Throttle::new(None).take(1 << 40, start), Duration::ZERO);
    }
}
