//! What the gateways of a ChatCluster carry, for autoscalers that are not the operator's own, and for metrics. Pure.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    MESSAGES,
    memory::Recent,
    reports::{Gateways, Report},
};

/// What the gateways of one ChatCluster carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Open connections over all gateways by their last word, those on their way out included, each gateway once. `None` while one of them has
    /// never been heard: a part of the sum would have an autoscaler take gateways away.
    pub connections: Option<i64>,
    /// Messages a second that they take, over the last [`Load::WINDOW`]. `None` until that time has been seen.
    pub messages_per_second: Option<i64>,
    /// Gateways that are ready and stay.
    pub ready: i32,
    /// Gateways whose word is stale.
    pub stale: i32,
    /// When they were asked.
    pub at: Timestamp,
}

impl Load {
    /// Time over which messages are counted.
    pub const WINDOW: Duration = MESSAGES;

    /// Percent of `each`, the connections that a gateway accepts, which the ready gateways have on average. `None` where that means nothing.
    #[must_use]
    pub fn utilization(&self, each: u32) -> Option<i64> {
        let room = i64::from(self.ready) * i64::from(each);
        (room > 0).then(|| self.connections.map(|connections| connections.saturating_mul(100) / room))?
    }
}

/// Adds up what the gateways of one ChatCluster say.
#[derive(Clone, Debug)]
pub struct Meter {
    gateways: Gateways,
    accepted: Recent,
    /// Since when all gateways are known.
    since: Option<Instant>,
}

impl Default for Meter {
    fn default() -> Self {
        Self { gateways: Gateways::default(), accepted: Recent::new(MESSAGES), since: None }
    }
}

impl Meter {
    /// Takes a round of questions in.
    pub fn round(&mut self, reports: &[Report], now: Instant, wall: Timestamp) -> Load {
        let round = self.gateways.take(now, reports, 0);
        self.accepted.add(now, round.accepted);
        let known = !reports.is_empty() && !self.gateways.someone_is_unheard(now);
        if known {
            self.since.get_or_insert(now);
        }
        let counted = self.since.is_some_and(|since| now.duration_since(since) >= MESSAGES);
        Load {
            connections: known.then_some(round.connections),
            messages_per_second: (known && counted).then(|| self.accepted.per_second()),
            ready: round.ready,
            stale: round.stale,
            at: wall,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Answer, *};

    const SECOND: Duration = Duration::from_secs(1);

    fn report(pod: &str, connections: i64) -> Report {
        let answer = Some(Answer { connections, ..Answer::default() });
        Report { pod: pod.to_owned(), ready: true, leaving: false, answer }
    }

    fn silent(pod: &str) -> Report {
        Report { answer: None, ..report(pod, 0) }
    }

    fn connections(meter: &mut Meter, reports: &[Report], now: Instant) -> Option<i64> {
        meter.round(reports, now, Timestamp::UNIX_EPOCH).connections
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_of_the_sum_is_no_sum() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        let mut told = |reports: &[Report], second| connections(&mut meter, reports, start + SECOND * second);
        assert_eq!(told(&[], 0), None, "no gateway is known, which is not the same as no connection");
        assert_eq!(told(&[report("a", 10), silent("b")], 2), None);
        assert_eq!(told(&[report("a", 10), report("b", 20)], 4), Some(30));
        assert_eq!(told(&[report("a", 11), silent("b")], 60), Some(31), "the last word stands, however old");
        assert_eq!(told(&[report("a", 31)], 62), Some(31), "a gateway that is gone has no connections");
        let starting = Report { ready: false, ..silent("c") };
        assert_eq!(told(&[report("a", 31), starting], 64), Some(31), "nobody is connected to one that starts");
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_counts_until_it_is_gone() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        let leaving = Report { ready: false, leaving: true, ..report("b", 20) };
        let load = meter.round(&[report("a", 10), leaving.clone()], start, Timestamp::UNIX_EPOCH);
        assert_eq!((load.connections, load.ready), (Some(30), 1));
        assert_eq!((load.utilization(100), load.utilization(0)), (Some(30), None));
        // An operator that has just started does not know what a pod has that is stuck on a lost node; it does not wait for it for ever.
        let (mut meter, stuck) = (Meter::default(), Report { answer: None, ..leaving });
        let mut told = |second| connections(&mut meter, &[report("a", 10), stuck.clone()], start + SECOND * second);
        assert_eq!((told(0), told(30), told(61)), (None, None, Some(10)));
    }

    #[tokio::test(start_paused = true)]
    async fn messages_are_told_once_they_were_counted_for_long_enough() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        let mut told = |second: u32| {
            let answer = Some(Answer { connections: 1, accepted: u64::from(second) * 100, ..Answer::default() });
            let report = Report { answer, ..report("a", 1) };
            meter.round(&[report], start + SECOND * second, Timestamp::UNIX_EPOCH).messages_per_second
        };
        let rates: Vec<Option<i64>> = (0..=40).step_by(2).map(&mut told).collect();
        assert!(rates[..15].iter().all(Option::is_none), "a third of the time would be a third of the rate: {rates:?}");
        assert!(rates[15..].iter().flatten().all(|rate| (100..=110).contains(rate)), "{rates:?}");
        assert_eq!(rates[15..].iter().flatten().count(), 6);
    }
}
