//! One budget of forced moves for each ChatCluster.

use std::time::Duration;

use tokio::time::Instant;

/// Time within which everybody could be moved.
const EVERYBODY: Duration = Duration::from_secs(600);
/// Moves a second that are always allowed: what a gateway takes without noticing.
const LEAST: f64 = 20.0;
/// Moves a second that one gateway takes from others at most: a fifth of the sign-ins that it manages on one processor.
const EACH: f64 = 250.0;
/// The slowest share of the rate: a pod that is to go has a deadline.
const SLOWEST: f64 = 0.125;
/// What may be saved up, as time: one round of questions.
const SAVED: Duration = Duration::from_secs(2);

/// A token bucket. It begins empty, so a restart of the operator allows nothing on top.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    tokens: f64,
    filled: Instant,
    rate: f64,
    /// Share of the rate that the gateways bear.
    share: f64,
}

impl Budget {
    /// Nothing allowed yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { tokens: 0.0, filled: now, rate: 0.0, share: 1.0 }
    }

    /// Lets time pass: with so many open connections, so many gateways that take them, and what the spec says. Returns the moves that are allowed now.
    pub fn fill(&mut self, now: Instant, connections: i64, takers: usize, given: Option<i32>) -> u32 {
        let most = (EACH * takers as f64).max(LEAST);
        self.rate = match given {
            Some(rate) => f64::from(rate),
            None => (connections as f64 / EVERYBODY.as_secs_f64()).clamp(LEAST, most),
        };
        self.rate *= self.share;
        let passed = now.duration_since(self.filled).min(SAVED);
        self.filled = now;
        self.tokens = (self.tokens + self.rate * passed.as_secs_f64()).min(self.rate * SAVED.as_secs_f64());
        self.tokens as u32
    }

    /// Half as fast when the gateways are strained, a tenth of the whole faster again when they are not.
    pub fn feel(&mut self, strained: bool) {
        self.share = if strained { (self.share / 2.0).max(SLOWEST) } else { (self.share + 0.1).min(1.0) };
    }

    /// Notes moves that were ordered.
    pub fn spend(&mut self, moves: u32) {
        self.tokens = (self.tokens - f64::from(moves)).max(0.0);
    }

    /// Moves a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// 100,000 connections move at 167 a second, whatever the pauses between the rounds.
    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_than_its_share() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let mut moved = 0;
        for round in 1..=300 {
            let allowed = budget.fill(start + SECOND * 2 * round, 100_000, 20, None);
            budget.spend(allowed);
            moved += allowed;
            assert!(allowed <= 334, "{allowed}");
        }
        assert!((99_000..=100_200).contains(&moved), "{moved}");
        let late = budget.fill(start + SECOND * 3_600, 100_000, 20, None);
        assert!(late <= 334, "an hour without a round saves up nothing: {late}");
    }

    #[tokio::test(start_paused = true)]
    async fn strain_halves_the_pace_and_calm_brings_it_back_slowly() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let mut rate = |strained: bool| {
            budget.feel(strained);
            budget.fill(start, 60_000, 20, None);
            budget.rate().round() as i64
        };
        assert_eq!([true, true, true, true].map(&mut rate), [50, 25, 13, 13]);
        assert_eq!([false; 10].map(&mut rate)[8..], [100, 100]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_allows_nothing_on_top_and_the_spec_may_say_otherwise() {
        let start = Instant::now();
        assert_eq!(Budget::new(start).fill(start, 100_000, 20, None), 0);
        let after =
            |connections, takers, given| Budget::new(start).fill(start + SECOND * 2, connections, takers, given);
        assert_eq!(after(10, 1, None), 40, "the least");
        assert_eq!(after(1_000_000, 2, None), 1_000, "what two gateways take");
        assert_eq!(after(1_000_000, 0, Some(3)), 6);
    }
}
