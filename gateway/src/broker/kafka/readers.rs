//! Reads all partitions. One reader for each server that leads some: a reader asks all its servers and takes their answers together, so one
//! with several would wait for the quietest of them.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt as _, future::try_join_all, stream::FuturesUnordered};
use krafka::{
    consumer::{Consumer, ConsumerRecord},
    error::KrafkaError,
};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{
    client::Connector,
    positions::Positions,
    reason::SessionError,
    stalls::{Stalls, Verdict},
    taker::Taker,
    topic::{Leaders, View},
};

/// How long one question to the servers may stay open.
const POLL: Duration = Duration::from_secs(1);
/// Pause after an error that may pass by itself, such as a leader that moved.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// How often what was read is compared with where partitions end.
const WATCH: Duration = Duration::from_secs(1);

/// The readers, by the server that they read from.
pub(super) struct Readers {
    connector: Connector,
    topic: String,
    readers: BTreeMap<i32, Consumer>,
    /// What each partition is read by.
    placed: Leaders,
    positions: Positions,
    stalls: Stalls,
}

impl Readers {
    /// Readers that begin where the view says that partitions end.
    pub(super) async fn start(connector: Connector, topic: &str, view: &View) -> Result<Self, SessionError> {
        let mut readers = Self {
            connector,
            topic: topic.to_owned(),
            readers: BTreeMap::new(),
            placed: Leaders::new(),
            positions: Positions::at(&view.ends),
            stalls: Stalls::default(),
        };
        readers.place(&view.leaders).await?;
        Ok(readers)
    }

    /// Hands records to the taker, those of one partition in order, until readers have to be set anew.
    pub(super) async fn read(
        &mut self,
        views: &mut watch::Receiver<View>,
        taker: &Taker<'_>,
    ) -> Result<Outcome, SessionError> {
        let Self { readers, placed, positions, stalls, .. } = self;
        let mut polls: FuturesUnordered<_> = readers.iter().map(|(id, consumer)| poll(*id, consumer)).collect();
        let mut watch = interval(WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some((id, records)) = polls.next() => {
                    let Some(consumer) = readers.get(&id) else { continue };
                    let records = match records {
                        // There is no rule where to go on without an offset, so that nothing is skipped in silence.
                        Err(KrafkaError::NoOffset { .. }) => return Err(SessionError::FellBehind),
                        records => records?,
                    };
                    let start = Instant::now();
                    for record in records {
                        positions.advance(record.partition, record.offset)?;
                        if !taker.take(record).await {
                            return Ok(Outcome::NobodyListens);
                        }
                    }
                    stalls.pardon(start.elapsed());
                    polls.push(poll(id, consumer));
                }
                changed = views.changed() => {
                    if changed.is_err() || views.borrow_and_update().leaders != *placed {
                        return Ok(Outcome::LayoutChanged);
                    }
                }
                _ = watch.tick() => {
                    let ends = &views.borrow().ends;
                    match stalls.look(positions, ends, Instant::now()) {
                        Verdict::Flows => {}
                        Verdict::Renew(partition) => {
                            let position = positions.next(partition);
                            tracing::warn!(partition, position, "records of a partition do not arrive; reading on by new connections");
                            return Ok(Outcome::Stalled);
                        }
                        Verdict::Stuck(partition) => {
                            let (position, end) = (positions.next(partition), ends.get(&partition).copied().unwrap_or(0));
                            return Err(SessionError::Stuck { partition, position, end });
                        }
                    }
                }
            }
        }
    }

    /// Follows partitions to their present leaders, each from where it was read to, and new ones from their beginning.
    ///
    /// Always by new readers. One that stays believes for seconds what it heard about leaders earlier, and asks a server that is gone for a
    /// partition it was given, at growing intervals, without ever looking for a better one.
    pub(super) async fn rearrange(&mut self, leaders: &Leaders) -> Result<(), SessionError> {
        if self.placed.keys().any(|partition| !leaders.contains_key(partition)) {
            return Err(SessionError::Changed);
        }
        let start = Instant::now();
        self.close();
        self.place(leaders).await?;
        self.stalls.pardon(start.elapsed());
        Ok(())
    }

    async fn place(&mut self, leaders: &Leaders) -> Result<(), SessionError> {
        let mut wanted: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for (partition, leader) in leaders {
            wanted.entry(*leader).or_default().push(*partition);
        }
        let readers = wanted
            .into_iter()
            .map(async |(id, partitions)| Ok::<_, SessionError>((id, self.reader(partitions).await?)));
        let readers: Vec<_> = try_join_all(readers).await?;
        self.readers = readers.into_iter().collect();
        self.placed = leaders.clone();
        Ok(())
    }

    async fn reader(&self, partitions: Vec<i32>) -> Result<Consumer, SessionError> {
        let consumer = self.connector.reader().await?;
        consumer.assign(&self.topic, partitions.clone()).await?;
        for partition in partitions {
            consumer.seek(&self.topic, partition, self.positions.next(partition)).await?;
        }
        Ok(consumer)
    }

    fn close(&mut self) {
        std::mem::take(&mut self.readers).into_values().for_each(close);
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.close();
    }
}

/// Why [`Readers::read`] returned; after the first two [`Readers::rearrange`] is due.
pub(super) enum Outcome {
    /// Partitions were added, or have other leaders.
    LayoutChanged,
    /// A partition has records that do not arrive.
    Stalled,
    /// Nobody takes records any more.
    NobodyListens,
}

/// Waits for the next records of one reader; an error that may pass by itself is no records, after a pause.
async fn poll(id: i32, consumer: &Consumer) -> (i32, Result<Vec<ConsumerRecord>, KrafkaError>) {
    match consumer.poll(POLL).await {
        Err(error) if error.is_retriable() => {
            tracing::debug!(%error, server = id, "nothing read");
            sleep(RETRY_PAUSE).await;
            (id, Ok(Vec::new()))
        }
        outcome => (id, outcome),
    }
}

fn close(consumer: Consumer) {
    // Without a runtime the process is about to end, and its connections with it.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move { drop(consumer.close().await) });
    }
}
