//! What others feel of a mover: small commits on both shards, timed while it works, beside the ones from before it began.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use crate::{error::MoveError, flush, shard::Shard};

/// Between two commits on a shard.
const EVERY: Duration = Duration::from_millis(100);
/// Commits on each shard before the mover begins: two seconds.
const BEFORE: usize = 20;
/// What is looked at while it works.
const WINDOW: Duration = Duration::from_secs(10);
/// A shard whose commits take less than this has nothing to complain of, however little they took before.
const LEAST: Duration = Duration::from_millis(10);
/// A commit that takes longer counts as this long, and a shard that does not answer is asked anew.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much longer commits take than before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strain {
    /// Less than twice as long.
    #[default]
    Calm,
    /// Twice as long, by the 99th percentile of ten seconds: a mover goes at half its rate.
    High,
    /// Four times as long: a mover waits.
    Extreme,
}

/// Times commits on two shards until it goes. The thresholds are those of the protocol's section 9.
#[derive(Debug)]
pub struct Gauge {
    shared: Arc<Mutex<Samples>>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Samples {
    /// The 99th percentile from before.
    baseline: Duration,
    latest: VecDeque<(Instant, Duration)>,
}

impl Gauge {
    /// Times commits for two seconds, and goes on with it in the background.
    ///
    /// # Errors
    /// Those of [`Shard::connect`], and of a shard that does not commit.
    pub async fn start(shards: [(&str, &PgConnectOptions); 2]) -> Result<Self, MoveError> {
        let mut sessions = Vec::new();
        for (name, options) in shards {
            sessions.push((Shard::connect(name, options).await?, options.clone()));
        }
        let mut before = Vec::new();
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for _ in 0..BEFORE {
            ticks.tick().await;
            for (shard, _) in &mut sessions {
                before.push(commit(shard).await?);
            }
        }
        let shared = Arc::new(Mutex::new(Samples { baseline: percentile(before).max(LEAST), ..Samples::default() }));
        let mut tasks = JoinSet::new();
        for (shard, options) in sessions {
            tasks.spawn(follow(shard, options, shared.clone()));
        }
        Ok(Self { shared, _tasks: tasks })
    }

    /// By the last ten seconds.
    #[must_use]
    pub fn strain(&self) -> Strain {
        let mut samples = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        samples.strain(Instant::now())
    }
}

impl Samples {
    fn strain(&mut self, now: Instant) -> Strain {
        while self.latest.front().is_some_and(|(at, _)| now.duration_since(*at) > WINDOW) {
            self.latest.pop_front();
        }
        let present = percentile(self.latest.iter().map(|(_, took)| *took).collect());
        if present >= 4 * self.baseline {
            Strain::Extreme
        } else if present >= 2 * self.baseline {
            Strain::High
        } else {
            Strain::Calm
        }
    }
}

/// The smallest and cheapest thing that is committed like a text: a message that nobody decodes.
async fn commit(shard: &mut Shard) -> Result<Duration, MoveError> {
    let begun = Instant::now();
    match timeout(PATIENCE, flush::on_disk(shard)).await {
        Ok(done) => done.map(|()| begun.elapsed()),
        Err(_) => Ok(PATIENCE),
    }
}

/// A shard that is away says nothing; movers notice that by themselves.
async fn follow(mut shard: Shard, options: PgConnectOptions, shared: Arc<Mutex<Samples>>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let took = commit(&mut shard).await;
        if took.as_ref().map_or(true, |took| *took >= PATIENCE) {
            match Shard::connect(&shard.name, &options).await {
                Ok(anew) => shard = anew,
                Err(_) => tokio::time::sleep(PATIENCE).await,
            }
        }
        if let Ok(took) = took {
            shared.lock().unwrap_or_else(PoisonError::into_inner).latest.push_back((Instant::now(), took));
        }
    }
}

fn percentile(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    let nth = (durations.len().saturating_sub(1) * 99).div_ceil(100);
    durations.get(nth).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strain_is_told_by_what_commits_took_before_and_forgotten_after_ten_seconds() {
        let ms = Duration::from_millis;
        let start = Instant::now();
        let mut samples = Samples { baseline: ms(15), latest: VecDeque::new() };
        assert_eq!(samples.strain(start), Strain::Calm, "nothing is known");
        samples.latest.extend([(start, ms(20)), (start, ms(29))]);
        assert_eq!(samples.strain(start), Strain::Calm);
        samples.latest.push_back((start + ms(500), ms(30)));
        assert_eq!(samples.strain(start + ms(500)), Strain::High);
        samples.latest.push_back((start + ms(1_000), ms(60)));
        assert_eq!(samples.strain(start + ms(1_000)), Strain::Extreme);
        samples.latest.push_back((start + ms(9_000), ms(5)));
        assert_eq!(samples.strain(start + ms(11_500)), Strain::Calm);
    }

    #[test]
    fn one_late_commit_of_two_hundred_is_no_strain() {
        let mut durations = vec![Duration::from_millis(3); 199];
        durations.push(Duration::from_secs(1));
        assert_eq!(percentile(durations.clone()), Duration::from_millis(3));
        durations.extend([Duration::from_secs(1); 2]);
        assert_eq!(percentile(durations), Duration::from_secs(1));
        assert_eq!(percentile(Vec::new()), Duration::ZERO);
    }
}
