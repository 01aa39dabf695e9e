//! Whether new gateways are worse than old ones, by the counters of both over the same time. Pure but for what it remembers.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use chat_crds::chat_cluster::EffectiveAnalysis;
use chat_gateway_config::stats::GatewayStats;
use tokio::time::Instant;

use super::{
    plan::Failure,
    steering::{Course, Steering},
};

/// Sign-ins that are refused before it counts: one may be anybody's.
const FEWEST_REFUSED: u64 = 3;
/// Requests that fail before it counts.
const FEWEST_FAILED: u64 = 5;
/// Messages before their time or their way counts.
const FEWEST_MESSAGES: u64 = 50;
/// Rounds in a row that have to be slow: one may be a machine's.
const SLOW_ROUNDS: u32 = 5;
/// Rounds that a latency is taken over, 10 s.
const LATENCY_ROUNDS: usize = 5;

/// What was found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Finding {
    /// Not enough yet.
    #[default]
    Waiting,
    /// They have been watched for long enough and are no worse.
    Passed,
    /// They are worse.
    Failed(Failure),
}

impl Finding {
    /// Why they are worse, if they are.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Self::Failed(failure) => Some(failure.clone()),
            Self::Waiting | Self::Passed => None,
        }
    }
}

/// What was found of which wave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Name of the new gateways' Deployment; empty while there is no rollout.
    pub revision: String,
    /// The wave.
    pub wave: usize,
    /// What was found.
    pub finding: Finding,
}

/// From where on gateways are worse, and how long they are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The limits of the spec.
    pub most: EffectiveAnalysis,
    /// Time after a wave's share was reached.
    pub watch: Duration,
}

/// Sums over the gateways of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    signed_in: u64,
    refused: u64,
    carried_out: u64,
    failed: u64,
    delivered: u64,
    backfilled: u64,
    timed: u64,
    timed_ms: u64,
}

/// Watches a wave.
#[derive(Debug, Default)]
pub struct Analyst {
    wave: Option<(String, usize)>,
    /// Each gateway's counters in the round in which it was seen first.
    base: BTreeMap<String, GatewayStats>,
    /// Sums of the last rounds, for what is now: the new and the old gateways'.
    recent: VecDeque<(Sums, Sums)>,
    slow: u32,
    filled_since: Option<Instant>,
    finding: Finding,
}

impl Analyst {
    /// What was found so far.
    #[must_use]
    pub fn watched(&self) -> Watched {
        let (revision, wave) = self.wave.clone().unwrap_or_default();
        Watched { revision, wave, finding: self.finding.clone() }
    }

    /// Looks at one round of answers.
    pub fn round(
        &mut self,
        course: Option<&Course>,
        gateways: &BTreeMap<String, GatewayStats>,
        steering: &Steering,
        limits: &Limits,
        now: Instant,
    ) {
        let Some(course) = course.filter(|course| !course.back) else {
            *self = Self::default();
            return;
        };
        let wave = (course.revision.clone(), course.wave);
        if self.wave.as_ref() != Some(&wave) {
            *self = Self { wave: Some(wave), ..Self::default() };
        }
        if matches!(self.finding, Finding::Failed(_)) {
            return;
        }
        for (pod, stats) in gateways {
            // A canary's whole life counts.
            let whole = course.wave == 0 && course.to.contains(pod);
            let base = self.base.entry(pod.clone()).or_insert_with(|| if whole { fresh(stats) } else { stats.clone() });
            // A process that started anew counts from 0.
            if stats.health.signed_in < base.health.signed_in || stats.messages.delivered < base.messages.delivered {
                *base = fresh(stats);
            }
        }
        let sums = |new: bool| {
            let side = gateways.iter().filter(|(pod, _)| course.to.contains(pod) == new);
            side.filter_map(|(pod, stats)| Some(Sums::between(self.base.get(pod)?, stats)))
                .fold(Sums::default(), Sums::plus)
        };
        let (new, old) = (sums(true), sums(false));
        self.recent.push_back((new, old));
        if self.recent.len() > LATENCY_ROUNDS {
            self.recent.pop_front();
        }
        if steering.is_filled() {
            self.filled_since.get_or_insert(now);
        }
        if let Some(failure) = self.judge(new, old, steering, limits, now) {
            self.finding = Finding::Failed(failure);
            return;
        }
        let watched = self.filled_since.is_some_and(|since| now.duration_since(since) >= limits.watch);
        self.finding = if watched { Finding::Passed } else { Finding::Waiting };
    }

    fn judge(&mut self, new: Sums, old: Sums, steering: &Steering, limits: &Limits, now: Instant) -> Option<Failure> {
        let most = &limits.most;
        let worse = |bad: [u64; 2], all: [u64; 2], most: i32, fewest: u64| {
            let (mine, theirs) = (percent(bad[0], all[0]), percent(bad[1], all[1]));
            (bad[0] >= fewest && mine > u64::from(most.unsigned_abs()) && mine > theirs.saturating_mul(2))
                .then_some((mine, theirs))
        };
        let sign_ins = [new.signed_in + new.refused, old.signed_in + old.refused];
        if let Some((mine, theirs)) =
            worse([new.refused, old.refused], sign_ins, most.max_refused_sign_ins, FEWEST_REFUSED)
        {
            let message = format!("{mine} % of the sign-ins at new gateways are refused, {theirs} % at old ones");
            return Some(failure("SignInsRefused", message));
        }
        let asked = u64::from(steering.asked());
        if asked >= FEWEST_REFUSED && steering.has_landed(now) && new.signed_in * 2 < asked {
            let message =
                format!("of {asked} clients that were asked to move to new gateways, {} signed in", new.signed_in);
            return Some(failure("ReconnectsFailed", message));
        }
        let requests = [new.carried_out + new.failed, old.carried_out + old.failed];
        if let Some((mine, theirs)) = worse([new.failed, old.failed], requests, most.max_failed_requests, FEWEST_FAILED)
        {
            let message = format!("{mine} % of the requests at new gateways fail, {theirs} % at old ones");
            return Some(failure("RequestsFailed", message));
        }
        let missed =
            |most| worse([new.backfilled, old.backfilled], [new.delivered, old.delivered], most, FEWEST_MESSAGES);
        if let Some((mine, theirs)) = most.max_missed_messages.and_then(missed) {
            let message =
                format!("new gateways had to fetch {mine} % of the messages from the store, old ones {theirs} %");
            return Some(failure("MessagesMissed", message));
        }
        self.judge_latency(most.max_added_latency_ms)
    }

    fn judge_latency(&mut self, most: i32) -> Option<Failure> {
        let (first, last) = (self.recent.front()?, self.recent.back()?);
        let mean = |from: Sums, to: Sums| {
            let timed = to.timed.saturating_sub(from.timed);
            (timed >= FEWEST_MESSAGES).then(|| to.timed_ms.saturating_sub(from.timed_ms) / timed)
        };
        let (mine, theirs) = (mean(first.0, last.0)?, mean(first.1, last.1).unwrap_or_default());
        let is_slow = mine > theirs.saturating_add(u64::from(most.unsigned_abs()));
        self.slow = if is_slow { self.slow + 1 } else { 0 };
        (self.slow >= SLOW_ROUNDS).then(|| {
            let message = format!("messages take {mine} ms to new gateways, {theirs} ms to old ones");
            failure("DeliverySlow", message)
        })
    }
}

impl Sums {
    fn between(base: &GatewayStats, now: &GatewayStats) -> Self {
        let (health, before) = (&now.health, &base.health);
        let (messages, messages_before) = (&now.messages, &base.messages);
        Self {
            signed_in: health.signed_in.saturating_sub(before.signed_in),
            refused: health.sign_ins_refused.saturating_sub(before.sign_ins_refused),
            carried_out: health.carried_out.saturating_sub(before.carried_out),
            failed: health.failed.saturating_sub(before.failed),
            delivered: messages.delivered.saturating_sub(messages_before.delivered),
            backfilled: messages.backfilled.saturating_sub(messages_before.backfilled),
            timed: health.timed.saturating_sub(before.timed),
            timed_ms: health.timed_ms.saturating_sub(before.timed_ms),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            signed_in: self.signed_in + other.signed_in,
            refused: self.refused + other.refused,
            carried_out: self.carried_out + other.carried_out,
            failed: self.failed + other.failed,
            delivered: self.delivered + other.delivered,
            backfilled: self.backfilled + other.backfilled,
            timed: self.timed + other.timed,
            timed_ms: self.timed_ms + other.timed_ms,
        }
    }
}

/// The answer of a gateway of that name that has only just started.
fn fresh(stats: &GatewayStats) -> GatewayStats {
    GatewayStats { messages: Default::default(), health: Default::default(), ..stats.clone() }
}

fn percent(part: u64, whole: u64) -> u64 {
    (part * 100).checked_div(whole).unwrap_or_default()
}

fn failure(reason: &str, message: String) -> Failure {
    Failure { reason: reason.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::testing::stats;

    const LIMITS: Limits = Limits {
        most: EffectiveAnalysis {
            max_refused_sign_ins: 5,
            max_failed_requests: 1,
            max_added_latency_ms: 250,
            max_missed_messages: Some(5),
            max_restarts: 1,
        },
        watch: Duration::from_secs(10),
    };

    fn course() -> Course {
        let (to, revision) = (vec!["new".to_owned()], "demo-gateway-2".to_owned());
        Course { to, revision, percent: 5, canary: true, wave: 0, back: false }
    }

    /// Rounds in which both gateways count on, from what they had before the rollout; the steering has moved 10 clients and is done.
    fn watch(rounds: u64, count: impl Fn(&mut GatewayStats, &mut GatewayStats, u64)) -> Finding {
        let (mut analyst, mut steering, start) = (Analyst::default(), Steering::default(), Instant::now());
        let fill = |old: u32, new: u32| {
            BTreeMap::from([("old".to_owned(), stats("old", old, &[])), ("new".to_owned(), stats("new", new, &[]))])
        };
        steering.direct(Some(&course()), &fill(200, 0), 1_000, start);
        steering.moved(10, start);
        steering.direct(Some(&course()), &fill(190, 10), 1_000, start);
        for round in 0..rounds {
            let (mut old, mut new) = (stats("old", 190, &[]), stats("new", 10, &[]));
            old.health.sign_ins_refused = 1_000;
            new.health.signed_in = 10;
            count(&mut old, &mut new, round);
            let gateways = BTreeMap::from([("old".to_owned(), old), ("new".to_owned(), new)]);
            let now = start + Duration::from_secs(2 * round);
            analyst.round(Some(&course()), &gateways, &steering, &LIMITS, now);
        }
        analyst.watched().finding
    }

    fn reason(finding: Finding) -> String {
        match finding {
            Finding::Failed(failure) => failure.reason,
            other => format!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_well_for_long_enough_passes() {
        assert_eq!(watch(4, |_, _, _| {}), Finding::Waiting);
        assert_eq!(watch(7, |_, _, _| {}), Finding::Passed);
        let users_are_like_that = |old: &mut GatewayStats, new: &mut GatewayStats, round| {
            old.health.sign_ins_refused += 20 * round;
            new.health.sign_ins_refused = round;
        };
        assert_eq!(watch(7, users_are_like_that), Finding::Passed, "no worse than the old ones");
    }

    #[tokio::test(start_paused = true)]
    async fn who_refuses_fails_drops_or_delays_does_not() {
        let refuses = |_: &mut GatewayStats, new: &mut GatewayStats, round| new.health.sign_ins_refused = round;
        assert_eq!(reason(watch(7, refuses)), "SignInsRefused");
        let nobody = |_: &mut GatewayStats, new: &mut GatewayStats, _| new.health.signed_in = 4;
        assert_eq!(reason(watch(7, nobody)), "ReconnectsFailed");
        let fails = |old: &mut GatewayStats, new: &mut GatewayStats, round| {
            old.health.carried_out = 100 * round;
            (new.health.carried_out, new.health.failed) = (98 * round, 2 * round);
        };
        assert_eq!(reason(watch(7, fails)), "RequestsFailed");
        let misses = |old: &mut GatewayStats, new: &mut GatewayStats, round| {
            old.messages.delivered = 1_000 * round;
            (new.messages.delivered, new.messages.backfilled) = (200 * round, 20 * round);
        };
        assert_eq!(reason(watch(7, misses)), "MessagesMissed");
        let delays = |old: &mut GatewayStats, new: &mut GatewayStats, round| {
            (old.health.timed, old.health.timed_ms) = (100 * round, 500 * round);
            (new.health.timed, new.health.timed_ms) = (100 * round, 30_000 * round);
        };
        assert_eq!(reason(watch(9, delays)), "DeliverySlow");
        let a_slow_machine = |old: &mut GatewayStats, new: &mut GatewayStats, round| {
            (old.health.timed, old.health.timed_ms) = (100 * round, 30_000 * round);
            (new.health.timed, new.health.timed_ms) = (100 * round, 40_000 * round);
        };
        assert_eq!(watch(9, a_slow_machine), Finding::Passed);
    }
}
