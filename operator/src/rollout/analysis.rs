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
    queries::{Answered, Opinion, Queries},
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
/// Rounds in which messages have to be missed: all at once they are missed when a connection breaks, or the store is asked before the broker came.
const MISSING_ROUNDS: u32 = 5;
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
    /// What is waited for, where it should have come.
    pub waits: Option<Failure>,
}

/// From where on gateways are worse, and how long they are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The limits of the spec.
    pub most: EffectiveAnalysis,
    /// Time after a wave's share was reached.
    pub watch: Duration,
    /// Time within which a new gateway has to answer.
    pub deadline: Duration,
    /// Old and new gateways have one broker: what either publish, both hear.
    pub same_broker: bool,
}

/// What a round of questions came to.
#[derive(Clone, Copy, Debug)]
pub struct Round<'a> {
    /// The answers, by pod.
    pub gateways: &'a BTreeMap<String, Box<GatewayStats>>,
    /// Ready pods that do not answer, with the reason.
    pub silent: &'a BTreeMap<String, String>,
    /// A Prometheus is asked, too; the wave does not pass without its answers.
    pub consults: bool,
    /// Its answers, if there are new ones.
    pub answers: Option<&'a [Answered]>,
}

/// Sums over the gateways of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    signed_in: u64,
    refused: u64,
    carried_out: u64,
    failed: u64,
    taken: u64,
    backfilled: u64,
    timed: u64,
    timed_ms: u64,
}

/// Watches a wave.
#[derive(Debug, Default)]
pub struct Analyst {
    wave: Option<(String, usize)>,
    /// Each gateway's counters in the round in which it was seen first.
    base: BTreeMap<String, Box<GatewayStats>>,
    /// Sums of the last rounds, for what is now: the new and the old gateways'.
    recent: VecDeque<(Sums, Sums)>,
    slow: u32,
    /// Rounds in which too many messages had been missed, and more of them.
    missing: u32,
    /// Messages that had been missed in the round before.
    missed: u64,
    /// New gateways that do not answer while old ones do, and since when.
    silent: BTreeMap<String, Instant>,
    queries: Queries,
    waits: Option<Failure>,
    filled_since: Option<Instant>,
    finding: Finding,
}

impl Analyst {
    /// What was found so far.
    #[must_use]
    pub fn watched(&self) -> Watched {
        let (revision, wave) = self.wave.clone().unwrap_or_default();
        Watched { revision, wave, finding: self.finding.clone(), waits: self.waits.clone() }
    }

    /// Looks at one round of answers.
    pub fn round(
        &mut self,
        course: Option<&Course>,
        round: Round<'_>,
        steering: &Steering,
        limits: &Limits,
        now: Instant,
    ) {
        let gateways = round.gateways;
        let Some(course) = course.filter(|course| !course.back) else {
            *self = Self::default();
            return;
        };
        let wave = (course.revision.clone(), course.wave);
        if self.wave.as_ref() != Some(&wave) {
            *self = Self { wave: Some(wave), silent: std::mem::take(&mut self.silent), ..Self::default() };
        }
        if matches!(self.finding, Finding::Failed(_)) {
            return;
        }
        for (pod, stats) in gateways {
            // A canary's whole life counts.
            let whole = course.wave == 0 && course.to.contains(pod);
            let base =
                self.base.entry(pod.clone()).or_insert_with(|| if whole { fresh(stats).into() } else { stats.clone() });
            // A process that started anew counts from 0.
            if stats.health.signed_in < base.health.signed_in || stats.messages.delivered < base.messages.delivered {
                **base = fresh(stats);
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
        let failure = self.judge_silence(course, round, limits.deadline, now);
        let failure = failure.or_else(|| self.judge(new, old, steering, limits, now));
        let opinion = match failure {
            Some(failure) => Opinion::Bad(failure),
            // The last wave waits for no verdict, so none can be late.
            None => self.consult(round, if course.percent < 100 { limits.deadline } else { Duration::MAX }, now),
        };
        let watched = self.filled_since.is_some_and(|since| now.duration_since(since) >= limits.watch);
        (self.finding, self.waits) = match opinion {
            Opinion::Bad(failure) => (Finding::Failed(failure), None),
            Opinion::Open(waits) => (Finding::Waiting, waits),
            Opinion::Good if watched => (Finding::Passed, None),
            Opinion::Good => (Finding::Waiting, None),
        };
    }

    /// What a Prometheus says, if there is one to be asked.
    fn consult(&mut self, round: Round<'_>, deadline: Duration, now: Instant) -> Opinion {
        if !round.consults {
            return Opinion::Good;
        }
        if let Some(answers) = round.answers {
            self.queries.take(answers, now);
        }
        self.queries.opinion(deadline, now)
    }

    /// Who does not answer cannot be compared, and nobody is moved to it: without an end to that the rollout would have none. Where old gateways do not
    /// answer either, it is not the new ones' fault.
    fn judge_silence(
        &mut self,
        course: &Course,
        round: Round<'_>,
        deadline: Duration,
        now: Instant,
    ) -> Option<Failure> {
        let is_new = |pod: &String| course.to.contains(pod);
        let is_old = |pod: &String| !is_new(pod);
        // Those that turn people away are not ready, and so never among the silent.
        let others_answer = round.gateways.keys().any(is_old) || !self.base.keys().any(is_old);
        self.silent.retain(|pod, _| round.silent.contains_key(pod) && others_answer);
        let silent = round.silent.iter().filter(|(pod, _)| is_new(pod) && others_answer);
        let late: Vec<String> = silent
            .filter(|(pod, _)| now.duration_since(*self.silent.entry((*pod).clone()).or_insert(now)) >= deadline)
            .map(|(pod, error)| format!("{pod} ({error})"))
            .collect();
        (!late.is_empty()).then(|| {
            let message = format!(
                "new gateways are ready and did not answer the operator within progressDeadlineSeconds: {}",
                late.join(", ")
            );
            failure("ProgressDeadlineExceeded", message)
        })
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
        let (missed, taken) = ([new.backfilled, old.backfilled], [new.taken, old.taken]);
        let missed = worse(missed, taken, most.max_missed_messages, FEWEST_MESSAGES);
        self.missing = match missed {
            Some(_) => self.missing + u32::from(new.backfilled > self.missed),
            None => 0,
        };
        self.missed = new.backfilled;
        if let Some((mine, theirs)) = missed.filter(|_| limits.same_broker && self.missing >= MISSING_ROUNDS) {
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
            taken: health.taken.saturating_sub(before.taken),
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
            taken: self.taken + other.taken,
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
#[path = "analysis_tests.rs"]
mod tests;
