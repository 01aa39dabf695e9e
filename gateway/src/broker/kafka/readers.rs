//! Reads all partitions. One reader for each server that leads some: a reader asks all its servers and takes their answers together, so one
//! with several would wait for the quietest of them.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use krafka::{
    consumer::{Consumer, ConsumerRecord},
    error::KrafkaError,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{
    client::Connector,
    reason::SessionError,
    taker::Taker,
    topic::{Leaders, Offsets, View},
};

/// How long one question to the servers may stay open.
const POLL: Duration = Duration::from_secs(1);
/// Pause after an error that may pass by itself, such as a leader that moved.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// How long records that are known to be there may fail to arrive.
const STUCK_AFTER: Duration = Duration::from_secs(6);

/// The readers, by the server that they read from.
pub(super) struct Readers {
    connector: Connector,
    topic: String,
    readers: BTreeMap<i32, Consumer>,
    /// What each partition is read by.
    placed: Leaders,
}

impl Readers {
    /// Readers that begin where the view says that partitions end.
    pub(super) async fn start(connector: Connector, topic: &str, view: &View) -> Result<Self, SessionError> {
        let mut readers = Self { connector, topic: topic.to_owned(), readers: BTreeMap::new(), placed: Leaders::new() };
        readers.place(&view.leaders, &view.ends).await?;
        Ok(readers)
    }

    /// Hands records to the taker, those of one partition in order, until the topic's layout differs from what the readers know.
    pub(super) async fn read(
        &self,
        views: &mut watch::Receiver<View>,
        taker: &Taker<'_>,
    ) -> Result<Outcome, SessionError> {
        let mut behind = Behind::default();
        let mut polls: FuturesUnordered<_> = self.readers.iter().map(|(id, consumer)| poll(*id, consumer)).collect();
        loop {
            tokio::select! {
                Some((id, records)) = polls.next() => {
                    let Some(consumer) = self.readers.get(&id) else { continue };
                    let records = match records {
                        // There is no rule where to go on without an offset, so that nothing is skipped in silence.
                        Err(KrafkaError::NoOffset { .. }) => return Err(SessionError::FellBehind),
                        records => records?,
                    };
                    if records.is_empty() {
                        let ends = views.borrow().ends.clone();
                        self.check_progress(id, consumer, &mut behind, &ends).await?;
                    } else {
                        behind.since.remove(&id);
                    }
                    for record in records {
                        if !taker.take(record).await {
                            return Ok(Outcome::NobodyListens);
                        }
                    }
                    polls.push(poll(id, consumer));
                }
                changed = views.changed() => {
                    if changed.is_err() || views.borrow_and_update().leaders != self.placed {
                        return Ok(Outcome::LayoutChanged);
                    }
                }
            }
        }
    }

    /// Fails when what was seen at a partition's end has not arrived for long, although there was time for it.
    async fn check_progress(
        &self,
        id: i32,
        consumer: &Consumer,
        behind: &mut Behind,
        ends: &Offsets,
    ) -> Result<(), SessionError> {
        for (partition, end) in ends.iter().filter(|(partition, _)| self.placed.get(partition) == Some(&id)) {
            let position = consumer.position(&self.topic, *partition).await;
            if position.is_none_or(|position| position < *end) {
                let since = *behind.since.entry(id).or_insert_with(Instant::now);
                return if since.elapsed() > STUCK_AFTER { Err(SessionError::Stuck) } else { Ok(()) };
            }
        }
        behind.since.remove(&id);
        Ok(())
    }

    /// Follows partitions to their present leaders, each from where it was read to, and new ones from their beginning.
    pub(super) async fn rearrange(&mut self, leaders: &Leaders) -> Result<(), SessionError> {
        let mut positions = Offsets::new();
        for (partition, reader) in &self.placed {
            if !leaders.contains_key(partition) {
                return Err(SessionError::Changed);
            }
            if let Some(consumer) = self.readers.get(reader)
                && let Some(position) = consumer.position(&self.topic, *partition).await
            {
                positions.insert(*partition, position);
            }
        }
        tracing::info!(?leaders, "the topic's partitions or their leaders changed");
        self.place(leaders, &positions).await
    }

    async fn place(&mut self, leaders: &Leaders, positions: &Offsets) -> Result<(), SessionError> {
        let mut wanted: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for (partition, leader) in leaders {
            wanted.entry(*leader).or_default().push(*partition);
        }
        let gone: Vec<i32> = self.readers.keys().copied().filter(|id| !wanted.contains_key(id)).collect();
        for id in gone {
            if let Some(consumer) = self.readers.remove(&id) {
                close(consumer);
            }
        }
        for (id, partitions) in wanted {
            if !self.readers.contains_key(&id) {
                self.readers.insert(id, self.connector.reader().await?);
            }
            let Some(consumer) = self.readers.get(&id) else { continue };
            consumer.assign(&self.topic, partitions.clone()).await?;
            for partition in partitions {
                match positions.get(&partition) {
                    Some(&offset) => consumer.seek(&self.topic, partition, offset).await?,
                    None => consumer.seek_to_beginning(&self.topic, partition).await?,
                }
            }
        }
        self.placed = leaders.clone();
        Ok(())
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        std::mem::take(&mut self.readers).into_values().for_each(close);
    }
}

/// Why [`Readers::read`] returned.
pub(super) enum Outcome {
    /// [`Readers::rearrange`] is due.
    LayoutChanged,
    /// Nobody takes records any more.
    NobodyListens,
}

/// Since when readers have known of records that do not arrive.
#[derive(Default)]
struct Behind {
    since: BTreeMap<i32, Instant>,
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
