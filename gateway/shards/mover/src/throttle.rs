//! Keeps the copy under a rate, and under half of what it has come to when the destination's standbys fall behind or others have to wait for their
//! commits; when they wait for very long, it waits, too.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use crate::strain::{Gauge, Strain};

/// Between two steps up, each by a tenth.
const QUIET: Duration = Duration::from_secs(10);
/// No slower than this, in bytes a second: a standby that is stuck is for the move to say, and not to wait for for days.
const LEAST: u64 = 64 << 10;

/// How long a piece waits at most for others to get on. A shard that is overloaded by something else must not keep a move for ever.
const LONGEST: Duration = Duration::from_secs(10);
/// Between two looks at them.
const LOOK: Duration = Duration::from_millis(100);

/// A bucket that holds at most a second's worth.
pub(crate) struct Throttle {
    /// What was asked for.
    limit: Option<u64>,
    /// What holds now: the limit, or less.
    rate: Option<u64>,
    /// Bytes that may be copied now; below zero after a chunk larger than what was there.
    tokens: f64,
    filled: Instant,
    /// When the rate was changed last or a look began, and what was copied since.
    since: Instant,
    copied: u64,
    /// Whether the destination's standbys are behind, as last heard.
    is_behind: bool,
    /// What others feel, if anybody measures it.
    gauge: Option<Arc<Gauge>>,
}

impl Throttle {
    pub(crate) fn new(limit: Option<u64>, gauge: Option<Arc<Gauge>>) -> Self {
        // Begins empty: a mover that is started again and again must not exceed the rate.
        let now = Instant::now();
        Self { limit, rate: limit, tokens: 0.0, filled: now, since: now, copied: 0, is_behind: false, gauge }
    }

    /// Takes what was copied, and how long to wait before the next chunk.
    fn take(&mut self, bytes: u64, now: Instant) -> Duration {
        self.copied = self.copied.saturating_add(bytes);
        let Some(rate) = self.rate.map(|rate| rate.max(1) as f64) else { return Duration::ZERO };
        self.tokens = (self.tokens + (now - self.filled).as_secs_f64() * rate).min(rate) - bytes as f64;
        self.filled = now;
        Duration::from_secs_f64((-self.tokens / rate).max(0.0))
    }

    /// How much to copy in one go: what is paid for in an eighth of a second, so that others find room in between.
    pub(crate) fn piece(&self, most: u64) -> u64 {
        self.rate.map_or(most, |rate| most.min((rate / 8).max(LEAST)))
    }

    /// Waits until a chunk of this size is paid for, and others are not kept waiting.
    pub(crate) async fn pay(&mut self, bytes: u64) {
        let now = Instant::now();
        sleep(self.take(bytes, now)).await;
        self.adapt(self.is_behind || self.strain() >= Strain::High, Instant::now());
        while self.strain() == Strain::Extreme && now.elapsed() < LONGEST {
            sleep(LOOK).await;
        }
    }

    /// Hears whether standbys are behind.
    pub(crate) const fn hear(&mut self, is_behind: bool) {
        self.is_behind = is_behind;
    }

    fn strain(&self) -> Strain {
        self.gauge.as_deref().map(Gauge::strain).unwrap_or_default()
    }

    /// Half of the rate, or of what was copied a second, when it is too much; a tenth more after each quiet 10 s.
    fn adapt(&mut self, is_too_much: bool, now: Instant) {
        let lasted = now - self.since;
        if lasted < QUIET && !(is_too_much && lasted >= Duration::from_secs(1)) {
            return;
        }
        if is_too_much {
            let present = (self.copied as f64 / lasted.as_secs_f64()) as u64;
            let rate = self.rate.map_or(present, |rate| rate.min(present.max(LEAST)));
            self.rate = Some((rate / 2).max(LEAST));
            (self.tokens, self.filled) = (0.0, now);
        } else if let Some(rate) = self.rate {
            let more = rate + rate / 10 + 1;
            self.rate = Some(self.limit.map_or(more, |limit| limit.min(more)));
        }
        (self.since, self.copied) = (now, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_at_its_rate_on_average() {
        let mut throttle = Throttle::new(Some(1_000), None);
        let start = throttle.filled;
        assert_eq!(throttle.take(500, start), Duration::from_millis(500));
        assert_eq!(throttle.take(500, start + Duration::from_millis(500)), Duration::from_millis(500));
        // A long pause saves up one second and no more.
        assert_eq!(throttle.take(3_000, start + Duration::from_secs(60)), Duration::from_secs(2));
        assert_eq!(Throttle::new(None, None).take(1 << 40, start), Duration::ZERO);
    }

    #[test]
    fn standbys_that_fall_behind_halve_the_rate_and_quiet_brings_it_back() {
        let mut throttle = Throttle::new(Some(1 << 20), None);
        let start = throttle.since;
        let at = |seconds| start + Duration::from_secs(seconds);
        throttle.take(20 << 20, at(1));
        throttle.adapt(true, at(2));
        assert_eq!(throttle.rate, Some(512 << 10));
        throttle.adapt(false, at(5));
        assert_eq!(throttle.rate, Some(512 << 10), "not yet quiet for long enough");
        throttle.adapt(false, at(12));
        assert_eq!(throttle.rate, Some((512 << 10) + (512 << 10) / 10 + 1));
        (1..20).for_each(|nth| throttle.adapt(false, at(12 + 10 * nth)));
        assert_eq!(throttle.rate, Some(1 << 20), "and no further than was asked for");
        let mut free = Throttle::new(None, None);
        let start = free.since;
        free.take(8 << 20, start);
        free.adapt(true, start + Duration::from_secs(2));
        assert_eq!(free.rate, Some(2 << 20), "half of what was copied a second");
    }
}
