//! Whether gateways bear what moves ask of them, by their own counters. Pure but for what it remembers.

use std::{collections::BTreeMap, time::Duration};

use chat_gateway_config::stats::{GatewayStats, HealthCounters};
use tokio::time::Instant;

/// Time that is looked at as one.
const BEAT: Duration = Duration::from_secs(10);
/// Requests that fail before it counts: a few may have other reasons.
const FEWEST: u64 = 5;
/// Of a thousand requests, so many may fail.
const PER_MILLE: u64 = 1;

/// Looks at the gateways of one ChatCluster.
#[derive(Debug)]
pub struct Pulse {
    since: Instant,
    base: BTreeMap<String, HealthCounters>,
}

impl Pulse {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { since: now, base: BTreeMap::new() }
    }

    /// Takes a round of answers. Every ten seconds tells whether the gateways were strained in that time: more than one request in a thousand failed for
    /// reasons of their own, or somebody found all places taken.
    pub fn feel(&mut self, gateways: &BTreeMap<String, Box<GatewayStats>>, now: Instant) -> Option<bool> {
        if now.duration_since(self.since) < BEAT {
            return None;
        }
        let (mut carried_out, mut failed, mut turned_away) = (0_u64, 0_u64, 0_u64);
        for (pod, stats) in gateways {
            // Who is new, or counts from 0 again, is looked at from the next time on.
            let Some(base) = self.base.get(pod) else { continue };
            let more = |now: u64, then: u64| now.saturating_sub(then);
            carried_out += more(stats.health.carried_out, base.carried_out);
            failed += more(stats.health.failed, base.failed);
            turned_away += more(stats.health.turned_away, base.turned_away);
        }
        self.since = now;
        self.base = gateways.iter().map(|(pod, stats)| (pod.clone(), stats.health)).collect();
        let fails = failed >= FEWEST && failed * 1_000 > (carried_out + failed) * PER_MILLE;
        Some(fails || turned_away > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::testing::stats;

    #[tokio::test(start_paused = true)]
    async fn failures_and_full_gateways_are_strain() {
        let start = Instant::now();
        let beat = |carried_out: u64, failed: u64, turned_away: u64| {
            let mut pulse = Pulse::new(start);
            let mut one = stats("a", 100, &[]);
            one.health = HealthCounters { carried_out: 1_000, failed: 500, turned_away: 7, ..one.health };
            let all = |one: &GatewayStats| BTreeMap::from([("a".to_owned(), Box::new(one.clone()))]);
            assert_eq!(pulse.feel(&all(&one), start + BEAT / 2), None, "too early");
            assert_eq!(pulse.feel(&all(&one), start + BEAT), Some(false), "what was before does not count");
            one.health.carried_out += carried_out;
            one.health.failed += failed;
            one.health.turned_away += turned_away;
            pulse.feel(&all(&one), start + BEAT * 2)
        };
        assert_eq!(beat(10_000, 4, 0), Some(false));
        assert_eq!(beat(10_000, 9, 0), Some(false), "less than one in a thousand");
        assert_eq!(beat(1_000, 9, 0), Some(true));
        assert_eq!(beat(10_000, 0, 1), Some(true));
    }
}
