//! Which of two revisions takes new clients, and how many clients of the old one are asked to move. Pure but for what it remembers.
//!
//! A client that is asked to move must come to a new gateway, or it would be asked again: so the old ones turn people away while it is under way.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use chat_gateway_config::stats::GatewayStats;
use tokio::time::Instant;

use crate::drain::LANDING;

/// Time that Services, balancers and clients need to see that a gateway turns people away.
const HEEDED: Duration = Duration::from_secs(6);
/// Time that the old gateways turn people away for a canary at most: it may be broken.
const LONGEST_FILL: Duration = Duration::from_secs(45);
/// A canary gets more people when it has less than this percentage of its share.
const LOW_PERCENT: u64 = 70;
/// Of its limit, over which a new gateway needs the old ones beside it.
const FULL_PERCENT: u64 = 90;

/// Where clients are to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// Pods of the revision that people go to.
    pub to: Vec<String>,
    /// Name of its Deployment.
    pub revision: String,
    /// Percent of the connections that it is to have.
    pub percent: i32,
    /// It is not known yet whether it is any good: it gets no more than that.
    pub canary: bool,
    /// The wave.
    pub wave: usize,
    /// It is the old revision that takes everybody back.
    pub back: bool,
}

/// What follows for the gateways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Direction {
    /// The old ones turn people away.
    pub close_old: bool,
    /// The new ones turn people away.
    pub close_new: bool,
    /// Clients to move from old gateways that are not being emptied anyway.
    pub shed: u32,
}

/// What is remembered of a wave.
#[derive(Debug, Default)]
pub struct Steering {
    wave: Option<(String, usize, bool)>,
    /// Clients that were asked to move in this wave.
    asked: u32,
    recent: VecDeque<(Instant, u32)>,
    /// Since when the old ones turn people away.
    closed_since: Option<Instant>,
    /// Since when a canary is being filled.
    filling_since: Option<Instant>,
    /// It had its share once, or it took too long.
    filled: bool,
}

impl Steering {
    /// Clients that were asked to move in this wave.
    #[must_use]
    pub fn asked(&self) -> u32 {
        self.asked
    }

    /// Whether the last of those who were asked should have arrived.
    #[must_use]
    pub fn has_landed(&self, now: Instant) -> bool {
        self.recent.iter().all(|(then, _)| now.duration_since(*then) > LANDING)
    }

    /// Whether the new ones have had their share, as far as they will get it.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        self.filled
    }

    /// Notes clients that were asked to move.
    pub fn moved(&mut self, asked: u32, now: Instant) {
        self.asked = self.asked.saturating_add(asked);
        self.recent.push_back((now, asked));
    }

    /// Decides for one round. `limit` is how many connections a gateway takes.
    pub fn direct(
        &mut self,
        course: Option<&Course>,
        gateways: &BTreeMap<String, Box<GatewayStats>>,
        limit: u64,
        now: Instant,
    ) -> Direction {
        let Some(course) = course else {
            *self = Self::default();
            return Direction::default();
        };
        let wave = (course.revision.clone(), course.wave, course.back);
        if self.wave.as_ref() != Some(&wave) {
            let closed_since = self.closed_since;
            *self = Self { wave: Some(wave), closed_since, ..Self::default() };
        }
        while self.recent.front().is_some_and(|(then, _)| now.duration_since(*then) > LANDING * 2) {
            self.recent.pop_front();
        }
        let is_new = |pod: &String| course.to.contains(pod);
        let takers = gateways.iter().filter(|(pod, stats)| is_new(pod) && !stats.draining).count();
        let all = || gateways.iter().map(|(pod, stats)| (pod, &**stats));
        let on_new: u64 = sum(all().filter(|(pod, _)| is_new(pod)));
        let total = sum(all());
        let share = (total * u64::from(course.percent.unsigned_abs())).div_ceil(100);
        let under_way: u64 = self
            .recent
            .iter()
            .filter(|(then, _)| now.duration_since(*then) <= LANDING)
            .map(|(_, asked)| u64::from(*asked))
            .sum();
        let full = on_new * 100 >= limit * FULL_PERCENT * u64::try_from(takers).unwrap_or(u64::MAX);
        let missing = share.saturating_sub(on_new.saturating_add(under_way));
        let direction = if takers == 0 || total == 0 {
            Direction::default()
        } else if course.canary {
            self.fill(course.percent, (on_new, share, missing), now)
        } else {
            self.filled |= missing == 0 || full;
            Direction { close_old: !full, close_new: false, shed: clamp(missing) }
        };
        self.closed_since = direction.close_old.then(|| self.closed_since.unwrap_or(now));
        let heeded = self.closed_since.is_some_and(|since| now.duration_since(since) >= HEEDED);
        Direction { shed: if heeded { direction.shed } else { 0 }, ..direction }
    }

    /// A canary: it takes people until it has its share, and nobody else then. No more than the share are ever asked to try it.
    fn fill(&mut self, percent: i32, (on_new, share, missing): (u64, u64, u64), now: Instant) -> Direction {
        let low = on_new * 100 < share * LOW_PERCENT;
        if self.filling_since.is_none() && (!self.filled || low) && u64::from(self.asked) < share {
            self.filling_since = Some(now);
        }
        let Some(since) = self.filling_since else {
            return Direction { close_old: false, close_new: percent < 100, shed: 0 };
        };
        let over = now.duration_since(since) >= LONGEST_FILL;
        let spent = u64::from(self.asked) >= share && self.has_landed(now);
        if on_new >= share || over || spent {
            (self.filling_since, self.filled) = (None, true);
            return Direction { close_old: false, close_new: true, shed: 0 };
        }
        let shed = missing.min(share.saturating_sub(u64::from(self.asked)));
        Direction { close_old: true, close_new: false, shed: clamp(shed) }
    }
}

fn sum<'a>(gateways: impl Iterator<Item = (&'a String, &'a GatewayStats)>) -> u64 {
    gateways.map(|(_, stats)| u64::from(stats.connections)).sum()
}

fn clamp(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::testing::stats;

    const ROUND: Duration = Duration::from_secs(2);

    fn course(percent: i32, wave: usize) -> Course {
        let to = vec!["new".to_owned()];
        Course { to, revision: "demo-gateway-2".to_owned(), percent, canary: wave == 0, wave, back: false }
    }

    fn all(on_old: u32, on_new: u32) -> BTreeMap<String, Box<GatewayStats>> {
        [("old", on_old), ("new", on_new)].map(|(name, count)| (name.to_owned(), stats(name, count, &[]).into())).into()
    }

    /// Clients that move as they are told arrive a round later; 20 a second at most.
    fn run(course: &Course, rounds: u32, lands: bool) -> (u32, u32, Vec<Direction>) {
        let (mut steering, start) = (Steering::default(), Instant::now());
        let (mut on_old, mut on_new, mut asked, mut under_way) = (1_000_u32, 0_u32, 0, 0);
        let mut directions = Vec::new();
        for round in 0..rounds {
            let now = start + ROUND * round;
            if lands {
                on_new += under_way;
                on_old -= under_way;
            }
            under_way = 0;
            let direction = steering.direct(Some(course), &all(on_old, on_new), 10_000, now);
            let moved = direction.shed.min(40);
            if moved > 0 {
                assert!(direction.close_old, "who moves must not come back to an old one");
                steering.moved(moved, now);
                (asked, under_way) = (asked + moved, moved);
            }
            directions.push(direction);
        }
        (asked, on_new, directions)
    }

    #[tokio::test(start_paused = true)]
    async fn a_canary_gets_its_share_and_nobody_else() {
        let (asked, on_new, directions) = run(&course(5, 0), 40, true);
        assert_eq!((asked, on_new), (50, 50));
        let last = directions.last().unwrap();
        assert_eq!(*last, Direction { close_old: false, close_new: true, shed: 0 });
    }

    #[tokio::test(start_paused = true)]
    async fn a_canary_that_nobody_comes_to_is_tried_by_no_more_than_its_share() {
        let (asked, _, directions) = run(&course(5, 0), 40, false);
        assert_eq!(asked, 50);
        let closed = directions.iter().filter(|direction| direction.close_old).count();
        assert!(closed <= 23, "old gateways take people again soon: {closed} rounds");
    }

    #[tokio::test(start_paused = true)]
    async fn later_waves_keep_the_old_ones_closed_and_move_what_is_missing() {
        let (asked, on_new, directions) = run(&course(25, 1), 40, true);
        assert_eq!((asked, on_new), (250, 250));
        assert!(directions.iter().all(|direction| direction.close_old && !direction.close_new));
    }

    #[tokio::test(start_paused = true)]
    async fn new_ones_that_are_full_or_away_need_the_old_ones() {
        let (mut steering, now) = (Steering::default(), Instant::now());
        let full = steering.direct(Some(&course(100, 3)), &all(200, 95), 100, now);
        assert!(!full.close_old);
        let away = BTreeMap::from([("old".to_owned(), Box::new(stats("old", 50, &[])))]);
        assert_eq!(steering.direct(Some(&course(100, 3)), &away, 100, now), Direction::default());
        assert_eq!(steering.direct(None, &all(1, 1), 100, now), Direction::default());
    }
}
