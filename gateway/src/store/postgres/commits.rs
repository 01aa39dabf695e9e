//! Group commit: texts that come while a transaction is under way go together in the next one, whatever rooms they are for.
//!
//! Nobody waits for company: a text that finds its lane idle is committed alone and at once. A lane is a hint and a bound, never a second
//! way to store something: what it does not store (see [`Outcome::Alone`]) its sender stores as if there were no lanes, with the same ids.

use std::{collections::HashSet, sync::Arc};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};
use uuid::Uuid;

use super::{
    failure::{Failure, classify},
    messages::{self, Stored},
    route::ATTEMPT,
    shard::{Doubt, Shard},
};
use crate::store::{NewMessage, StoreError};

/// Lanes of one shard, each with one transaction under way: while one waits for the disk, another one is carried out. A room always takes
/// the same lane, so that they do not wait for each other's rooms.
const LANES: u64 = 2;

/// Texts in one transaction: some milliseconds of work, which is what the last of them waits for at most.
const MOST: usize = 256;

/// Bytes of bodies in one transaction, so that the longest texts do not become a statement of megabytes.
const MOST_BYTES: usize = 512 * 1024;

/// Texts that wait for a lane; more make their senders wait.
const WAITING: usize = 1_024;

/// A text on its way.
pub(super) struct Entry {
    /// What is to be stored.
    pub(super) new: NewMessage,
    /// Slot of its room.
    pub(super) slot: i32,
    /// Id of its outbox row.
    pub(super) outbox: Uuid,
}

/// What became of a text.
pub(super) enum Outcome {
    /// It is stored.
    Stored(NewMessage, Stored),
    /// It must not be stored.
    Refused(StoreError),
    /// Nothing is known of it: to be stored alone, under the same ids.
    Alone(NewMessage),
}

struct Waiting {
    entry: Entry,
    answer: oneshot::Sender<Outcome>,
}

/// The lanes of one shard; they end when this is dropped.
pub(super) struct Lanes {
    lanes: Vec<mpsc::Sender<Waiting>>,
    _tasks: JoinSet<()>,
}

impl Lanes {
    /// Starts the lanes' tasks.
    pub(super) fn start(shard: &Arc<Shard>) -> Self {
        let mut tasks = JoinSet::new();
        let lanes = (0..LANES)
            .map(|_| {
                let (lane, inbox) = mpsc::channel(WAITING);
                tasks.spawn(run(Arc::clone(shard), inbox));
                lane
            })
            .collect();
        Self { lanes, _tasks: tasks }
    }

    /// Stores a text together with others. Abandoning this does not undo it.
    ///
    /// # Errors
    /// The lane has ended, which is a defect.
    pub(super) async fn store(&self, entry: Entry) -> Result<Outcome, StoreError> {
        let lane = entry.new.room.0.as_u64_pair().1 % LANES;
        // The remainder is below the number of lanes, so it fits.
        let lane = &self.lanes[usize::try_from(lane).unwrap_or(0)];
        let (answer, outcome) = oneshot::channel();
        let ended = || StoreError::Internal("a lane of the store has ended".to_owned());
        lane.send(Waiting { entry, answer }).await.map_err(|_| ended())?;
        outcome.await.map_err(|_| ended())
    }
}

async fn run(shard: Arc<Shard>, mut inbox: mpsc::Receiver<Waiting>) {
    // The one that did not go with the batch before.
    let mut held = None;
    loop {
        let first = match held.take() {
            Some(first) => first,
            None => match inbox.recv().await {
                Some(first) => first,
                None => return,
            },
        };
        let batch = gather(first, &mut inbox, &mut held);
        store(&shard, batch).await;
    }
}

/// Takes what waits, as much as goes into one transaction.
fn gather(first: Waiting, inbox: &mut mpsc::Receiver<Waiting>, held: &mut Option<Waiting>) -> Vec<Waiting> {
    let size = |waiting: &Waiting| waiting.entry.new.content.body().len();
    let id = |waiting: &Waiting| (waiting.entry.new.room, waiting.entry.new.message_id);
    let mut bytes = size(&first);
    let mut batch = vec![first];
    let mut ids = HashSet::new();
    while batch.len() < MOST {
        let Ok(next) = inbox.try_recv() else { break };
        bytes += size(&next);
        if ids.is_empty() {
            ids.extend(batch.first().map(id));
        }
        // A repeat that overtook its first answer waits for it.
        if bytes > MOST_BYTES || !ids.insert(id(&next)) {
            *held = Some(next);
            break;
        }
        batch.push(next);
    }
    batch
}

/// Stores a batch and tells each of its senders.
async fn store(shard: &Shard, batch: Vec<Waiting>) {
    let (entries, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(|waiting| (waiting.entry, waiting.answer)).unzip();
    let outcomes = outcomes(shard, entries).await;
    for (answer, outcome) in answers.into_iter().zip(outcomes) {
        // Nobody listens when the sender has gone; the text stands all the same, and the outbox brings it.
        let _ = answer.send(outcome);
    }
}

async fn outcomes(shard: &Shard, mut entries: Vec<Entry>) -> Vec<Outcome> {
    let alone = |entries: Vec<Entry>| entries.into_iter().map(|entry| Outcome::Alone(entry.new)).collect();
    // Waiting for a shard is the senders' business, each with a time budget of its own.
    let pool = shard.pool().filter(|_| shard.status().borrow().away.is_none());
    let Some(pool) = pool else { return alone(entries) };
    if entries.len() == 1
        && let Some(Entry { new, slot, outbox }) = entries.pop()
    {
        let outcome = match timeout(ATTEMPT, messages::insert_text(&pool, slot, &new, outbox)).await {
            Ok(Ok(stored)) => {
                shard.note_answer();
                Outcome::Stored(new, stored)
            }
            Ok(Err(error)) => match classify(&error) {
                Failure::Final(error) => Outcome::Refused(error),
                failure => {
                    look(shard, &failure, &error);
                    Outcome::Alone(new)
                }
            },
            Err(_) => {
                shard.look(Doubt::Some);
                Outcome::Alone(new)
            }
        };
        return vec![outcome];
    }
    let mut stored: Vec<Option<Stored>> = entries.iter().map(|_| None).collect();
    match timeout(ATTEMPT, messages::insert_texts(&pool, &entries)).await {
        Ok(Ok(rows)) => {
            shard.note_answer();
            for (place, row) in rows {
                // Places count from 1.
                let place = usize::try_from(place - 1).ok();
                if let Some(slot) = place.and_then(|place| stored.get_mut(place)) {
                    *slot = Some(row);
                }
            }
        }
        Ok(Err(error)) => {
            look(shard, &classify(&error), &error);
            tracing::debug!(%error, texts = entries.len(), "a batch failed; its texts are stored one by one")
        }
        Err(_) => {
            shard.look(Doubt::Some);
            tracing::debug!(texts = entries.len(), "a batch took too long; its texts are stored one by one");
        }
    }
    let outcome = |(entry, stored): (Entry, Option<Stored>)| match stored {
        Some(stored) => Outcome::Stored(entry.new, stored),
        None => Outcome::Alone(entry.new),
    };
    entries.into_iter().zip(stored).map(outcome).collect()
}

/// Has the prober look at a shard that may be away, so that everybody hears of it soon and not after the next one's wait for a connection.
fn look(shard: &Shard, failure: &Failure, error: &sqlx::Error) {
    if let Failure::Away(_) = failure {
        shard.look(Doubt::of(error));
    }
}
