//! What a Prometheus says of new gateways, and what follows. Pure but for what it remembers.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::plan::Failure;

/// Answers in a row that have to be out of bounds: one may be a moment's.
const OUT_OF_BOUNDS: u32 = 2;
/// Reason of a wave that waits for answers, and of a rollout that waited for too long.
pub(super) const INCONCLUSIVE: &str = "AnalysisInconclusive";

/// A query, ready to be asked, and what its answer may be.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Its name.
    pub name: String,
    /// PromQL.
    pub text: String,
    /// The least that is right.
    pub min: Option<f64>,
    /// The most that is right.
    pub max: Option<f64>,
}

/// A query and what came of it: a number, or why there is none.
pub type Answered = (Query, Result<f64, String>);

/// What the answers of a wave come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opinion {
    /// All are within their bounds.
    Good,
    /// One was not, twice in a row, or there was none for too long.
    Bad(Failure),
    /// Nobody can say yet, and why if that is not as it should be.
    Open(Option<Failure>),
}

/// Remembers the answers of a wave.
#[derive(Debug, Default)]
pub(super) struct Queries {
    /// The last answers; `None` until there are any.
    last: Option<Vec<Answered>>,
    /// Answers in a row that were out of bounds, by query.
    out: BTreeMap<String, u32>,
    /// Since when one of them has no answer.
    open_since: Option<Instant>,
}

impl Query {
    fn is_within(&self, value: f64) -> bool {
        self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)
    }

    fn bounds(&self) -> String {
        match (self.min, self.max) {
            (Some(min), Some(max)) => format!("{min} to {max} is right"),
            (Some(min), None) => format!("at least {min} is right"),
            (None, Some(max)) => format!("at most {max} is right"),
            (None, None) => "anything is right".to_owned(),
        }
    }
}

impl Queries {
    /// Takes a set of answers in.
    pub(super) fn take(&mut self, answers: &[Answered], now: Instant) {
        for (query, answer) in answers {
            match answer {
                Ok(value) if query.is_within(*value) => drop(self.out.remove(&query.name)),
                Ok(_) => *self.out.entry(query.name.clone()).or_default() += 1,
                // Neither a pass nor a failure.
                Err(_) => {}
            }
        }
        let is_open = answers.iter().any(|(_, answer)| answer.is_err());
        self.open_since = is_open.then(|| self.open_since.unwrap_or(now));
        self.last = Some(answers.to_vec());
    }

    /// What they come to, when none may be missing for longer than `deadline`.
    pub(super) fn opinion(&self, deadline: Duration, now: Instant) -> Opinion {
        let Some(answers) = &self.last else { return Opinion::Open(None) };
        let is_out = |query: &Query| self.out.get(&query.name).is_some_and(|count| *count >= OUT_OF_BOUNDS);
        let out =
            answers.iter().find_map(|(query, answer)| Some((query, answer.as_ref().ok().filter(|_| is_out(query))?)));
        if let Some((query, value)) = out {
            let message = format!("query {} says {value}, and {}", query.name, query.bounds());
            return Opinion::Bad(Failure { reason: "QueryOutOfBounds".to_owned(), message });
        }
        let open = answers.iter().find_map(|(query, answer)| Some((query, answer.as_ref().err()?)));
        if let Some((query, error)) = open {
            let failure = |more: &str| Failure {
                reason: INCONCLUSIVE.to_owned(),
                message: format!("query {} has no answer{more}: {error}", query.name),
            };
            let is_late = self.open_since.is_some_and(|since| now.duration_since(since) >= deadline);
            return if is_late {
                Opinion::Bad(failure(" within progressDeadlineSeconds"))
            } else {
                Opinion::Open(Some(failure("")))
            };
        }
        if self.out.is_empty() { Opinion::Good } else { Opinion::Open(None) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(30);

    fn answered(answers: &[Result<f64, &str>]) -> Opinion {
        let (mut queries, start) = (Queries::default(), Instant::now());
        let mut now = start;
        for (nth, answer) in (0..).zip(answers) {
            now = start + Duration::from_secs(10 * nth);
            let query =
                |name: &str, max| Query { name: name.to_owned(), text: "x".to_owned(), min: Some(0.5), max: Some(max) };
            let answer = answer.map_err(str::to_owned);
            queries.take(&[(query("steady", 9.0), Ok(1.0)), (query("asked", 2.0), answer)], now);
        }
        queries.opinion(DEADLINE, now)
    }

    fn told(opinion: Opinion) -> String {
        match opinion {
            Opinion::Bad(Failure { reason, message }) | Opinion::Open(Some(Failure { reason, message })) => {
                format!("{reason}: {message}")
            }
            other => format!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn two_answers_in_a_row_that_are_out_of_bounds_are_bad() {
        assert_eq!(answered(&[]), Opinion::Open(None));
        assert_eq!(answered(&[Ok(2.0)]), Opinion::Good, "a bound is within");
        assert_eq!(answered(&[Ok(0.5)]), Opinion::Good);
        assert_eq!(answered(&[Ok(2.5)]), Opinion::Open(None), "once is a moment's");
        assert_eq!(answered(&[Ok(2.5), Ok(1.0), Ok(0.1)]), Opinion::Open(None), "and not in a row");
        let bad = answered(&[Ok(2.5), Ok(0.25)]);
        assert_eq!(told(bad), "QueryOutOfBounds: query asked says 0.25, and 0.5 to 2 is right");
        let interrupted = answered(&[Ok(2.5), Err("no answer"), Ok(3.0)]);
        assert!(told(interrupted).starts_with("QueryOutOfBounds"), "silence makes nothing good");
    }

    #[tokio::test(start_paused = true)]
    async fn no_answer_is_neither_good_nor_bad_until_the_deadline() {
        let waits = answered(&[Ok(1.0), Err("no connection")]);
        assert!(matches!(&waits, Opinion::Open(Some(_))), "{waits:?}");
        assert_eq!(told(waits), "AnalysisInconclusive: query asked has no answer: no connection");
        let late = answered(&[Err("a"), Err("b"), Err("c"), Err("d")]);
        assert!(matches!(&late, Opinion::Bad(_)), "{late:?}");
        assert!(told(late).ends_with("within progressDeadlineSeconds: d"));
        let back = answered(&[Err("a"), Err("b"), Ok(1.0), Err("d")]);
        assert!(matches!(&back, Opinion::Open(Some(_))), "the time begins anew: {back:?}");
    }
}
