//! Long-lived connections stay where they are when gateways are added: has clients of the fullest gateways connect anew, to the others. Pure but for what
//! it remembers.
//!
//! A gateway that sheds clients turns new ones away meanwhile, or those that it sheds would come back to it. At most half of the gateways do so at a
//! time, and none while the others have no room to spare.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use chat_gateway_config::stats::GatewayStats;
use tokio::time::Instant;

/// Time for which connections have to be spread unevenly first.
const PATIENCE: Duration = Duration::from_secs(60);
/// What becomes even by itself within this time, by clients that come and go, is left alone.
const BY_ITSELF: Duration = Duration::from_secs(600);
/// Percent of the mean at which the fullest gateway has few enough.
const EVEN_PERCENT: u64 = 105;
/// Percent of the mean that a gateway keeps.
const KEPT_PERCENT: u64 = 103;
/// Percent of the connections that a gateway takes, over which it has no room to spare.
const FULL_PERCENT: u64 = 85;
/// Rounds in which a gateway may be silent without an end to it.
const LONGEST_PAUSE: u32 = 3;
/// Percent of all connections by which their number may differ from the round before: whoever comes back in a crowd finds its own place, and open gateways.
const CALM_PERCENT: u64 = 5;
/// Connections by which it may differ whatever that is in percent.
const CALM: u64 = 20;
/// Time from an order to the new connection: the spread of the order, and a client's first tries.
pub(crate) const LANDING: Duration = Duration::from_secs(8);

/// How uneven is too uneven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// Percent of the mean that the fullest gateway may have above it.
    pub percent: u32,
    /// Connections above the mean, over all gateways, that are not worth the trouble.
    pub excess: u32,
}

/// What follows for the gateways.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shedding {
    /// Pods that turn new clients away meanwhile.
    pub closed: BTreeSet<String>,
    /// Clients that these have too many, the most first.
    pub excess: Vec<(String, u32)>,
}

/// What is remembered from round to round.
#[derive(Debug, Default)]
pub struct Rebalance {
    /// Since when they are spread unevenly, and how many connections were above the mean then.
    uneven: Option<(Instant, u64)>,
    under_way: bool,
    /// Connections of all gateways in the round before.
    total: Option<u64>,
    closed: BTreeSet<String>,
    /// Rounds in a row in which not every gateway has answered.
    unknown: u32,
    /// Clients that were asked lately, by pod.
    asked: BTreeMap<String, VecDeque<(Instant, u32)>>,
}

impl Rebalance {
    /// Whether clients are being moved.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// Forgets everything: something else moves clients, or it is not wanted.
    pub fn stop(&mut self) {
        *self = Self::default();
    }

    /// Not every gateway has answered: stays as it is for a few rounds, and asks nobody. After that somebody has to look at it first.
    pub fn pause(&mut self) -> Shedding {
        self.unknown += 1;
        if self.unknown > LONGEST_PAUSE {
            self.stop();
        }
        Shedding { closed: self.closed.clone(), excess: Vec::new() }
    }

    /// Notes clients that were asked to move.
    pub fn moved(&mut self, pod: &str, asked: u32, now: Instant) {
        self.asked.entry(pod.to_owned()).or_default().push_back((now, asked));
    }

    /// Decides for one round over the gateways that people come to, or did until they were closed here; each takes `limit` connections.
    pub fn look(
        &mut self,
        gateways: &BTreeMap<&String, &GatewayStats>,
        tolerance: Tolerance,
        limit: u64,
        now: Instant,
    ) -> Shedding {
        let count = u64::try_from(gateways.len()).unwrap_or(u64::MAX);
        let total: u64 = gateways.values().map(|stats| u64::from(stats.connections)).sum();
        let most = gateways.values().map(|stats| u64::from(stats.connections)).max().unwrap_or_default();
        self.unknown = 0;
        let before = self.total.replace(total).unwrap_or(total);
        let is_calm = before.abs_diff(total) <= (before * CALM_PERCENT / 100).max(CALM);
        if count < 2 || total == 0 || !is_calm {
            *self = Self { total: self.total, ..Self::default() };
            return Shedding::default();
        }
        let above: u64 =
            gateways.values().map(|stats| u64::from(stats.connections).saturating_sub(total / count)).sum();
        // Compared by products: the mean of few connections is no whole number.
        let is_over = |percent: u64| most * count * 100 > total * percent;
        let is_uneven = is_over(100 + u64::from(tolerance.percent)) && above > u64::from(tolerance.excess);
        if self.under_way {
            self.under_way = is_over(EVEN_PERCENT);
        } else {
            self.under_way = self.has_waited(is_uneven.then_some(above), now);
        }
        if !self.under_way {
            (self.closed, self.asked) = Default::default();
            return Shedding::default();
        }
        self.uneven = None;
        let shedding = self.shed(gateways, total * KEPT_PERCENT / (count * 100), limit, now);
        self.closed.clone_from(&shedding.closed);
        shedding
    }

    /// Whether it has been uneven for long enough, and does not become even by itself soon. `above` is what is above the mean, when that is too much.
    fn has_waited(&mut self, above: Option<u64>, now: Instant) -> bool {
        let Some(above) = above else {
            self.uneven = None;
            return false;
        };
        let (since, then) = *self.uneven.get_or_insert((now, above));
        let passed = now.duration_since(since);
        if passed < PATIENCE {
            return false;
        }
        self.uneven = Some((now, above));
        let gone = then.saturating_sub(above) as f64 / passed.as_secs_f64();
        gone * BY_ITSELF.as_secs_f64() < above as f64
    }

    fn shed(&mut self, gateways: &BTreeMap<&String, &GatewayStats>, kept: u64, limit: u64, now: Instant) -> Shedding {
        for recent in self.asked.values_mut() {
            recent.retain(|(then, _)| now.duration_since(*then) <= LANDING);
        }
        let mut donors: Vec<(&String, u64)> = gateways
            .iter()
            .map(|(pod, stats)| (*pod, u64::from(stats.connections).saturating_sub(kept)))
            .filter(|(_, excess)| *excess > 0)
            .collect();
        donors.sort_by_key(|(_, excess)| Reverse(*excess));
        donors.truncate(gateways.len() / 2);
        let closed: BTreeSet<String> = donors.iter().map(|(pod, _)| (*pod).clone()).collect();
        let is_full = |stats: &GatewayStats| u64::from(stats.connections) * 100 >= limit * FULL_PERCENT;
        if gateways.iter().any(|(pod, stats)| !closed.contains(*pod) && is_full(stats)) {
            return Shedding::default();
        }
        let left = |(pod, excess): (&String, u64)| {
            let asked: u64 = self.asked.get(pod).into_iter().flatten().map(|(_, asked)| u64::from(*asked)).sum();
            (pod.clone(), u32::try_from(excess.saturating_sub(asked)).unwrap_or(u32::MAX))
        };
        let excess = donors.into_iter().map(left).filter(|(_, excess)| *excess > 0).collect();
        Shedding { closed, excess }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::testing::stats;

    const TOLERANCE: Tolerance = Tolerance { percent: 15, excess: 200 };
    const ROUND: Duration = Duration::from_secs(2);

    fn look(rebalance: &mut Rebalance, connections: &[u32], now: Instant) -> Shedding {
        let all: Vec<GatewayStats> =
            connections.iter().enumerate().map(|(nth, many)| stats(&format!("g{nth}"), *many, &[])).collect();
        rebalance.look(&all.iter().map(|one| (&one.gateway, one)).collect(), TOLERANCE, 10_000, now)
    }

    /// Looks at the same for a minute and a round.
    fn watched(rebalance: &mut Rebalance, connections: &[u32], start: Instant) -> Shedding {
        (0..=30).fold(Shedding::default(), |_, round| look(rebalance, connections, start + ROUND * round))
    }

    #[tokio::test(start_paused = true)]
    async fn the_fullest_shed_what_is_above_the_mean_to_the_new_ones() {
        let (mut rebalance, start) = (Rebalance::default(), Instant::now());
        assert_eq!(look(&mut rebalance, &[1_000, 1_000, 0], start), Shedding::default());
        let shedding = watched(&mut rebalance, &[1_000, 1_000, 0], start);
        // Two thirds have too many, and half of the gateways stay open.
        assert_eq!(shedding.closed, BTreeSet::from(["g0".to_owned()]));
        assert_eq!(shedding.excess, [("g0".to_owned(), 1_000 - 686)]);
        rebalance.moved("g0", 300, start + ROUND * 30);
        let under_way = look(&mut rebalance, &[1_000, 1_000, 0], start + ROUND * 31);
        assert_eq!(under_way.excess, [("g0".to_owned(), 14)], "who was asked is not asked for twice");
        let next = look(&mut rebalance, &[700, 1_000, 300], start + ROUND * 32);
        assert_eq!(next.closed, BTreeSet::from(["g1".to_owned()]));
        assert_eq!(look(&mut rebalance, &[690, 690, 620], start + ROUND * 90), Shedding::default());
        assert!(!rebalance.is_under_way());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_even_enough_small_or_mends_itself_is_left_alone() {
        let start = Instant::now();
        for connections in [&[1_000, 1_000, 720][..], &[199, 0], &[5_000], &[0, 0]] {
            assert_eq!(watched(&mut Rebalance::default(), connections, start), Shedding::default(), "{connections:?}");
        }
        let mut rebalance = Rebalance::default();
        for round in 0..=200 {
            // Ten a second go from one to the other by themselves: even after 50 s.
            let gone = round * 20;
            let shedding = look(&mut rebalance, &[8_000 - gone, gone], start + ROUND * round);
            assert_eq!(shedding, Shedding::default(), "round {round}");
        }
        let mut rebalance = Rebalance::default();
        let is_slow = (0..=30)
            .any(|round| !look(&mut rebalance, &[8_000 - round, round], start + ROUND * round).excess.is_empty());
        assert!(is_slow, "one every two seconds takes hours");
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_that_comes_or_goes_finds_all_gateways_open() {
        let (mut rebalance, start) = (Rebalance::default(), Instant::now());
        assert!(!watched(&mut rebalance, &[2_000, 2_000, 0], start).closed.is_empty());
        // Half of them lost their connections, and come back over a minute.
        let mut round = 31;
        for connections in (2_000..4_000).step_by(250) {
            assert_eq!(look(&mut rebalance, &[connections, 0, 0], start + ROUND * round), Shedding::default());
            round += 1;
        }
        assert!(!rebalance.is_under_way());
        assert!(look(&mut rebalance, &[4_000, 0, 0], start + ROUND * round).closed.is_empty(), "patience begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_closed_while_the_others_have_no_room_to_spare() {
        let (mut rebalance, start) = (Rebalance::default(), Instant::now());
        assert!(!watched(&mut rebalance, &[9_700, 6_000], start).closed.is_empty());
        for (round, others) in [(31, 6_500), (32, 7_200), (33, 7_900)] {
            assert!(!look(&mut rebalance, &[9_900, others], start + ROUND * round).closed.is_empty());
        }
        assert_eq!(look(&mut rebalance, &[9_900, 8_600], start + ROUND * 34), Shedding::default());
        assert!(rebalance.is_under_way(), "more people came; it goes on later");
        assert!(!look(&mut rebalance, &[9_900, 8_300], start + ROUND * 35).closed.is_empty());
    }
}
