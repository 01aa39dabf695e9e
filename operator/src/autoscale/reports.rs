//! What the gateways said, and how much of it is still worth something.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

/// Age from which a gateway's word is stale.
const FRESH: Duration = Duration::from_secs(10);
/// For so long a gateway that leaves and was never heard is waited for.
const UNHEARD: Duration = Duration::from_secs(60);
/// Start times that are remembered.
const STARTS: usize = 16;
/// Time from a new pod to a ready gateway, until one was seen.
const USUAL_START: Duration = Duration::from_secs(20);
/// A start that took longer than this had other reasons, such as an image that could not be pulled.
const LONGEST_START: Duration = Duration::from_secs(120);

/// A gateway's pod in one round of questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Name of the pod.
    pub pod: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Whether it is being deleted.
    pub leaving: bool,
    /// What it answered, if it did.
    pub answer: Option<Answer>,
}

/// A gateway's answer, as far as it matters here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Open connections.
    pub connections: i64,
    /// Messages that it has accepted since its start.
    pub accepted: u64,
    /// Connections that it has refused since its start, as it had all that it takes.
    pub refused: u64,
}

/// What is known of a gateway.
#[derive(Clone, Debug)]
struct Known {
    first_seen: Instant,
    last_heard: Option<Instant>,
    answer: Answer,
    was_ready: bool,
    ready: bool,
    leaving: bool,
}

impl Known {
    fn is_stale(&self, now: Instant) -> bool {
        let silent = now.duration_since(self.last_heard.unwrap_or(self.first_seen)) > FRESH;
        // Who has just started need not answer yet, and who leaves need not any more.
        silent && !self.leaving && (self.ready || self.was_ready)
    }
}

/// All gateways of a cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Gateways {
    known: HashMap<String, Known>,
    /// Newest last.
    starts: Vec<Duration>,
    rounds: u32,
}

/// What a round came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Round {
    /// Open connections over all gateways, by their last word.
    pub(super) connections: i64,
    /// The same, when a gateway that does not answer may have as many as it should have.
    pub(super) connections_at_worst: i64,
    /// Messages accepted since the round before.
    pub(super) accepted: i64,
    /// Connections refused by full gateways since the round before.
    pub(super) refused: i64,
    /// Gateways that are ready and stay.
    pub(super) ready: i32,
    /// Gateways that stay, but are not ready.
    pub(super) not_ready: i32,
    /// Gateways whose word is stale.
    pub(super) stale: i32,
    /// Connections of the fullest gateway that stays.
    pub(super) fullest: i64,
}

impl Gateways {
    /// Takes a round in; `usual` are the connections that a gateway should have.
    pub(super) fn take(&mut self, now: Instant, reports: &[Report], usual: i64) -> Round {
        self.known.retain(|pod, _| reports.iter().any(|report| report.pod == *pod));
        self.rounds = self.rounds.saturating_add(1);
        let mut round = Round::default();
        for report in reports {
            // In the first round nobody knows for how long a pod has been there.
            let first_round = self.rounds == 1;
            let known = self.known.entry(report.pod.clone()).or_insert_with(|| Known {
                first_seen: now,
                last_heard: None,
                answer: Answer::default(),
                was_ready: first_round,
                ready: false,
                leaving: false,
            });
            (known.ready, known.leaving) = (report.ready, report.leaving);
            if report.ready && !known.was_ready {
                known.was_ready = true;
                self.starts.push(now.duration_since(known.first_seen).min(LONGEST_START));
                if self.starts.len() > STARTS {
                    self.starts.remove(0);
                }
            }
            if let Some(answer) = report.answer {
                // Of a gateway that was not heard before it is not known since when it counts; one that counts from 0 again is a new process.
                if known.last_heard.is_some() {
                    let more =
                        |now: u64, then: u64| i64::try_from(now.checked_sub(then).unwrap_or(now)).unwrap_or(i64::MAX);
                    round.accepted += more(answer.accepted, known.answer.accepted);
                    round.refused += more(answer.refused, known.answer.refused);
                }
                known.answer = answer;
                known.last_heard = Some(now);
            }
            let stale = known.is_stale(now);
            let connections = known.answer.connections;
            round.connections += connections;
            round.connections_at_worst += if stale { connections.max(usual) } else { connections };
            round.stale += i32::from(stale);
            if !report.leaving {
                round.fullest = round.fullest.max(connections);
                *if report.ready { &mut round.ready } else { &mut round.not_ready } += 1;
            }
        }
        round
    }

    /// Whether a gateway that has connections, or may have, has never been heard. One that starts has none yet.
    pub(super) fn someone_is_unheard(&self, now: Instant) -> bool {
        let waited_for =
            |known: &Known| known.ready || known.leaving && now.duration_since(known.first_seen) <= UNHEARD;
        self.known.values().any(|known| known.last_heard.is_none() && waited_for(known))
    }

    /// How long a new gateway needs until it is ready: the longest of the last starts, which of so few is their 95th percentile.
    pub(super) fn start(&self) -> Duration {
        self.starts.iter().max().copied().unwrap_or(USUAL_START)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn report(pod: &str, connections: i64) -> Report {
        let answer = Some(Answer { connections, ..Answer::default() });
        Report { pod: pod.to_owned(), ready: true, leaving: false, answer }
    }

    fn silent(pod: &str) -> Report {
        Report { answer: None, ..report(pod, 0) }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_last_word_stands_and_grows_stale() {
        let (mut gateways, start) = (Gateways::default(), Instant::now());
        gateways.take(start, &[report("a", 10), report("b", 20)], 70);
        let round = gateways.take(start + SECOND * 4, &[report("a", 11), silent("b")], 70);
        assert_eq!((round.connections, round.connections_at_worst, round.stale), (31, 31, 0));
        let round = gateways.take(start + SECOND * 12, &[report("a", 11), silent("b")], 70);
        assert_eq!((round.connections, round.connections_at_worst, round.stale), (31, 81, 1));
        let round = gateways.take(start + SECOND * 14, &[report("a", 31)], 70);
        assert_eq!((round.connections, round.stale, round.fullest), (31, 0, 31), "b is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn who_starts_or_leaves_need_not_answer() {
        let (mut gateways, start) = (Gateways::default(), Instant::now());
        gateways.take(start, &[report("a", 10)], 70);
        let new = Report { ready: false, ..silent("new") };
        let old = Report { leaving: true, ready: false, ..silent("a") };
        gateways.take(start + SECOND, &[old.clone(), new.clone()], 70);
        let round = gateways.take(start + SECOND * 30, &[old, new], 70);
        let expected = Round { connections: 10, connections_at_worst: 10, not_ready: 1, ..Round::default() };
        assert_eq!(round, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn starts_are_measured() {
        let (mut gateways, start) = (Gateways::default(), Instant::now());
        gateways.take(start, &[report("a", 10)], 70);
        assert_eq!(gateways.start(), USUAL_START, "a was there before");
        gateways.take(start + SECOND * 2, &[report("a", 10), Report { ready: false, ..silent("b") }], 70);
        gateways.take(start + SECOND * 9, &[report("a", 10), report("b", 0)], 70);
        assert_eq!(gateways.start(), SECOND * 7);
    }

    #[tokio::test(start_paused = true)]
    async fn messages_are_counted_over_restarts() {
        let (mut gateways, start) = (Gateways::default(), Instant::now());
        let accepted = |accepted| Report {
            answer: Some(Answer { connections: 1, accepted, ..Answer::default() }),
            ..report("a", 1)
        };
        let mut counts = Vec::new();
        for (second, total) in [(0, 5_000), (2, 5_100), (4, 30)] {
            counts.push(gateways.take(start + SECOND * second, &[accepted(total)], 70).accepted);
        }
        assert_eq!(counts, [0, 100, 30]);
    }
}
