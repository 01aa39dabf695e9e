//! Writers of a gateway's store. Their texts are due at times that are fixed beforehand, and latency counts from then on: a database that falls
//! behind cannot hide it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, bail};
use chat_gateway::store::{OutboxKey, Store as _, postgres::PostgresStore};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    fixtures::say,
    world::{Room, World},
};

/// Texts under way at once when as many as possible are sent.
const CROWD: usize = 256;
/// Texts under way from which on the load is more than the machine can take.
const LIMIT: usize = 20_000;
const BODY: &str =
    "a text of some length, as people write them: not long, and not short either, with a point at its end.";

/// One text: the slot, when it was due, and how long its answer took from then on.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) slot: i32,
    pub(crate) due: Instant,
    pub(crate) took: Duration,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    under_way: AtomicUsize,
    failed: AtomicUsize,
    answers: Mutex<Vec<Answer>>,
    /// Events to be marked as relayed, as gateways do behind the answer.
    relayed: Mutex<Vec<OutboxKey>>,
}

impl Shared {
    async fn send(&self, store: &PostgresStore, room: &Room, due: Instant) {
        // A gateway's client tries again with the same id; here the answer is late, and that is what is measured.
        match say(store, room.id, room.member.id, BODY).await {
            Ok(sent) => {
                let keys = sent.events.iter().map(|event| event.key);
                self.relayed.lock().unwrap_or_else(PoisonError::into_inner).extend(keys);
                let answer = Answer { slot: room.slot, due, took: due.elapsed() };
                self.answers.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
            }
            Err(_) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    async fn relay(&self, store: &PostgresStore) {
        loop {
            let is_last = self.stop.load(Ordering::Relaxed);
            let keys = std::mem::take(&mut *self.relayed.lock().unwrap_or_else(PoisonError::into_inner));
            if !keys.is_empty() {
                // What is not marked is relayed once more by whoever sweeps.
                drop(store.finish_outbox(&keys).await);
            }
            if is_last {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Writers at work.
pub(crate) struct Load {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// So many texts a second, evenly over the rooms.
    pub(crate) fn start(world: &World, rooms: &Arc<Vec<Room>>, rate: f64) -> Self {
        let shared = Arc::new(Shared::default());
        let sending = {
            let (shared, store, rooms) = (shared.clone(), world.store.clone(), rooms.clone());
            async move {
                let begin = Instant::now();
                for nth in 0_u32.. {
                    let due = begin + Duration::from_secs_f64(f64::from(nth) / rate);
                    sleep_until(due).await;
                    if shared.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    if shared.under_way.fetch_add(1, Ordering::Relaxed) >= LIMIT {
                        shared.failed.fetch_add(1, Ordering::Relaxed);
                        shared.under_way.fetch_sub(1, Ordering::Relaxed);
                        continue;
                    }
                    let (shared, store, rooms) = (shared.clone(), store.clone(), rooms.clone());
                    tokio::spawn(async move { shared.send(&store, &rooms[nth as usize % rooms.len()], due).await });
                }
            }
        };
        let relaying = {
            let (shared, store) = (shared.clone(), world.store.clone());
            async move { shared.relay(&store).await }
        };
        Self { shared, tasks: vec![tokio::spawn(sending), tokio::spawn(relaying)] }
    }

    /// What was answered since the last call.
    pub(crate) fn answers(&self) -> Vec<Answer> {
        std::mem::take(&mut *self.shared.answers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends it, after the answers that are under way; those since the last look.
    ///
    /// # Errors
    /// Texts failed.
    pub(crate) async fn stop(self) -> Result<Vec<Answer>> {
        self.shared.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await?;
        }
        while self.shared.under_way.load(Ordering::Relaxed) > 0 {
            sleep(Duration::from_millis(5)).await;
        }
        let failed = self.shared.failed.load(Ordering::Relaxed);
        if failed > 0 {
            bail!("{failed} texts were not stored: the load was more than this machine can take");
        }
        Ok(std::mem::take(&mut *self.shared.answers.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Texts a second when the next one is sent as soon as one is answered, of many at once.
pub(crate) async fn capacity(world: &World, rooms: &Arc<Vec<Room>>, lasts: Duration) -> f64 {
    let shared = Arc::new(Shared::default());
    let relaying = {
        let (shared, store) = (shared.clone(), world.store.clone());
        tokio::spawn(async move { shared.relay(&store).await })
    };
    let begin = Instant::now();
    let mut senders = Vec::new();
    for nth in 0..CROWD {
        let (shared, store, rooms) = (shared.clone(), world.store.clone(), rooms.clone());
        senders.push(tokio::spawn(async move {
            let mut at = nth;
            while begin.elapsed() < lasts {
                shared.under_way.fetch_add(1, Ordering::Relaxed);
                shared.send(&store, &rooms[at % rooms.len()], Instant::now()).await;
                at += CROWD + 1;
            }
        }));
    }
    for sender in senders {
        drop(sender.await);
    }
    let rate =
        shared.answers.lock().unwrap_or_else(PoisonError::into_inner).len() as f64 / begin.elapsed().as_secs_f64();
    shared.stop.store(true, Ordering::Relaxed);
    drop(relaying.await);
    rate
}

/// A quantile in milliseconds; 0 of nothing.
pub(crate) fn quantile(durations: &mut [Duration], share: f64) -> f64 {
    durations.sort_unstable();
    let last = durations.len().saturating_sub(1);
    let nth = (last as f64 * share).round() as usize;
    durations.get(nth).map_or(0.0, |duration| duration.as_secs_f64() * 1_000.0)
}

/// The middle one.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
