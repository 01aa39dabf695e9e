//! Whether new clients may come in, and what the operator has had to say about it.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use crate::turnstile::Turnstile;

/// Time after which a cordon ends when the operator says nothing more: a gateway must not stay closed because nobody is there to open it.
/// An operator whose leader was killed is back within 17 s.
const LAPSE: Duration = Duration::from_secs(60);

/// The way in: open, closed by the operator, or closed because the gateway ends.
#[derive(Debug)]
pub struct Entrance {
    begin: Instant,
    draining: AtomicBool,
    cordoned: AtomicBool,
    /// When the operator said something last.
    heard: Moment,
    /// When it had clients move last.
    ordered: Moment,
    /// Takes those who come in one after the other.
    pub turnstile: Turnstile,
}

/// Milliseconds from the start and one more; 0 for never.
type Moment = AtomicU64;

impl Default for Entrance {
    /// Open, and nothing heard, for one shard.
    fn default() -> Self {
        Self::new(Turnstile::default())
    }
}

impl Entrance {
    /// Open, and nothing heard.
    #[must_use]
    pub fn new(turnstile: Turnstile) -> Self {
        Self {
            begin: Instant::now(),
            draining: AtomicBool::new(false),
            cordoned: AtomicBool::new(false),
            heard: Moment::new(0),
            ordered: Moment::new(0),
            turnstile,
        }
    }

    /// Closes for good: the gateway ends.
    pub fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    /// Whether the gateway ends.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Closes or opens by the operator's word, which counts as [heard](Self::hear). Tells whether that is a change.
    pub fn cordon(&self, on: bool) -> bool {
        let before = self.is_cordoned();
        self.hear();
        self.cordoned.store(on, Relaxed);
        before != on
    }

    /// Whether the operator has closed it, and is still there to open it.
    #[must_use]
    pub fn is_cordoned(&self) -> bool {
        self.cordoned.load(Relaxed) && self.has_heard_within(LAPSE)
    }

    /// Notes a word of the operator.
    pub fn hear(&self) {
        // A cordon that has lapsed does not come back by a question: the operator sees that it is gone, and decides anew.
        if self.cordoned.load(Relaxed) && !self.has_heard_within(LAPSE) {
            self.cordoned.store(false, Relaxed);
        }
        self.heard.store(self.elapsed().saturating_add(1), Relaxed);
    }

    /// Notes that the operator had clients move.
    pub fn order(&self) {
        self.ordered.store(self.elapsed().saturating_add(1), Relaxed);
    }

    /// Whether the operator has had clients move so lately.
    #[must_use]
    pub fn was_ordered_within(&self, time: Duration) -> bool {
        self.is_within(&self.ordered, time)
    }

    /// Whether the operator has said anything so lately.
    #[must_use]
    pub fn has_heard_within(&self, time: Duration) -> bool {
        self.is_within(&self.heard, time)
    }

    fn is_within(&self, moment: &Moment, time: Duration) -> bool {
        let Some(then) = moment.load(Relaxed).checked_sub(1) else { return false };
        u128::from(self.elapsed().saturating_sub(then)) <= time.as_millis()
    }

    /// Whether new clients should go elsewhere.
    #[must_use]
    pub fn turns_away(&self) -> bool {
        self.is_draining() || self.is_cordoned()
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_cordon_ends_when_nobody_is_there_to_end_it() {
        let entrance = Entrance::default();
        assert!(!entrance.has_heard_within(LAPSE) && !entrance.turns_away());
        assert!(entrance.cordon(true) && !entrance.cordon(true));
        for _ in 0..5 {
            tokio::time::advance(LAPSE / 2).await;
            entrance.hear();
        }
        assert!(entrance.turns_away(), "the operator asks every few seconds");
        tokio::time::advance(LAPSE + Duration::from_secs(1)).await;
        assert!(!entrance.turns_away());
        entrance.hear();
        assert!(!entrance.turns_away(), "it has to say so anew");
        assert!(entrance.cordon(true) && entrance.cordon(false));
        entrance.drain();
        assert!(entrance.turns_away());
    }
}
