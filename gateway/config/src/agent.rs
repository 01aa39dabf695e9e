//! What a gateway tells a load balancer: the texts of HAProxy's agent-check, and how they are computed.
//!
//! The balancer sends one line with the number of connections that it takes for 100 %, so that gateways of different sizes get shares in
//! proportion although none knows of the others. The gateway answers with one line and closes.

use std::time::Duration;

/// Most bytes of a question.
pub const QUESTION_BYTES: usize = 32;

/// While a gateway is younger than this its share grows: its first seconds would otherwise bring it everybody who connects anywhere.
pub const SLOW_START: Duration = Duration::from_secs(60);

/// Percent of its share that a gateway has at once.
const FIRST_SHARE: u64 = 10;

/// Highest percentage: HAProxy multiplies a weight of 128 by it and goes no higher than 256.
const MOST: u64 = 200;

/// How much more a gateway takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Connections that it has.
    pub connections: u64,
    /// Connections that it accepts.
    pub limit: u32,
    /// Time since it was ready first; `None` before.
    pub age: Option<Duration>,
    /// Whether it takes nobody new: it is cordoned or draining.
    pub closed: bool,
}

/// The question of a balancer for which `connections` of free space are 100 %.
#[must_use]
pub fn question(connections: u32) -> String {
    format!("{connections}\n")
}

impl Capacity {
    /// The answer to a question; one that is no number is about a gateway of this size.
    ///
    /// Up to three quarters the share is that of the gateway's size: balancers count the connections that they made themselves, at once and exactly,
    /// and what each spreads in proportion is in proportion together. A share that followed the load there would be a second old when a crowd
    /// comes. Above it shrinks with the space that is left, whoever took the rest. It is never 0: HAProxy would refuse clients instead of letting
    /// them wait when all gateways are full.
    #[must_use]
    pub fn answer(&self, question: &str) -> String {
        if self.closed {
            return "drain\n".to_owned();
        }
        let whole = question.trim().parse::<u32>().ok().filter(|whole| *whole > 0).unwrap_or(self.limit).max(1);
        let limit = u64::from(self.limit);
        let last_quarter = limit.saturating_sub(self.connections).saturating_mul(4).min(limit);
        let percent = last_quarter.saturating_mul(grown(self.age.unwrap_or_default())) / u64::from(whole);
        format!("ready up {}% maxconn:{}\n", percent.clamp(1, MOST), self.limit)
    }
}

/// Percent of its share that a gateway has so long after it was ready first.
#[must_use]
pub fn grown(age: Duration) -> u64 {
    (age.as_secs().saturating_mul(100) / SLOW_START.as_secs()).clamp(FIRST_SHARE, 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn old(connections: u64, limit: u32) -> Capacity {
        Capacity { connections, limit, age: Some(SLOW_START), closed: false }
    }

    #[test]
    fn the_share_follows_size_and_then_free_space_in_units_of_the_balancer() {
        assert_eq!(old(0, 10_000).answer("10000\n"), "ready up 100% maxconn:10000\n");
        assert_eq!(old(7_500, 10_000).answer("10000\n"), "ready up 100% maxconn:10000\n");
        assert_eq!(old(9_000, 10_000).answer("10000\n"), "ready up 40% maxconn:10000\n");
        assert_eq!(old(0, 5_000).answer("10000"), "ready up 50% maxconn:5000\n");
        assert_eq!(old(0, 20_000).answer("10000"), "ready up 200% maxconn:20000\n");
        assert_eq!(old(0, 90_000).answer("10000"), "ready up 200% maxconn:90000\n");
    }

    #[test]
    fn a_full_gateway_lets_clients_wait_and_a_closed_one_takes_nobody() {
        assert_eq!(old(10_000, 10_000).answer("10000"), "ready up 1% maxconn:10000\n");
        assert_eq!(old(10_001, 10_000).answer("10000"), "ready up 1% maxconn:10000\n");
        assert_eq!(Capacity { closed: true, ..old(0, 10_000) }.answer("10000"), "drain\n");
    }

    #[test]
    fn a_young_gateway_has_a_small_share_that_grows() {
        let aged = |seconds: Option<u64>| Capacity { age: seconds.map(Duration::from_secs), ..old(0, 100) };
        let shares =
            [None, Some(0), Some(6), Some(30), Some(59), Some(60), Some(9_999)].map(|age| aged(age).answer("100"));
        let of = |percent: u32| format!("ready up {percent}% maxconn:100\n");
        assert_eq!(shares, [10, 10, 10, 50, 98, 100, 100].map(of));
    }

    #[test]
    fn a_question_that_is_no_number_is_answered_all_the_same() {
        for odd in ["", "0", "-5", "many", "99999999999"] {
            assert_eq!(old(90, 100).answer(odd), "ready up 40% maxconn:100\n", "{odd}");
        }
        assert_eq!(question(7), "7\n");
    }
}
