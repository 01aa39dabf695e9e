//! Load: many messages over many rooms from several clients at once, and the wait until everybody has everything.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt as _, future, stream};
use tokio::time::Instant;
use uuid::Uuid;

use crate::client::{Client, RequestError};

/// How much to send.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Messages of all clients together, unless [`Progress::enough`] says so earlier.
    pub messages: u64,
    /// Unanswered sends of one client at any time.
    pub in_flight: usize,
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Messages a second of all clients together; 0 = as fast as the answers come.
    pub per_second: u32,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct LoadReport {
    /// Highest acknowledged seq of each room.
    pub last_seq: HashMap<Uuid, u64>,
    /// Acknowledged messages.
    pub acked: u64,
    /// From the first send to the last acknowledgement.
    pub took: Duration,
    /// Sorted times from send to acknowledgement.
    pub latencies: Vec<Duration>,
}

impl LoadReport {
    /// Time that `percent` of the acknowledgements did not exceed.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        let index = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(index).copied().unwrap_or_default()
    }

    fn reached(&mut self, room: Uuid, seq: u64) {
        let last = self.last_seq.entry(room).or_default();
        *last = seq.max(*last);
    }

    /// Both, one after the other.
    fn and(mut self, later: Self) -> Self {
        for (room, seq) in later.last_seq {
            self.reached(room, seq);
        }
        self.acked += later.acked;
        self.took += later.took;
        self.latencies.extend(later.latencies);
        self.latencies.sort_unstable();
        self
    }
}

/// Counts acknowledgements while a load runs, so that a test can break something in the middle of it; and lets it end.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    acked: Arc<AtomicU64>,
    enough: Arc<AtomicBool>,
}

impl Progress {
    /// Messages acknowledged so far.
    #[must_use]
    pub fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    /// Nothing more is sent; what was is answered still.
    pub fn enough(&self) {
        self.enough.store(true, Ordering::Relaxed);
    }

    fn is_enough(&self) -> bool {
        self.enough.load(Ordering::Relaxed)
    }

    /// Waits until so many are acknowledged.
    pub async fn reach(&self, acked: u64) {
        while self.acked() < acked {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Sends the load, room after room in turn, each client its share. Every message is repeated until it is acknowledged.
///
/// # Errors
/// The first send that was refused for good or not answered within the client's patience.
pub async fn run(
    clients: &[&Client],
    rooms: &[Uuid],
    load: Load,
    progress: &Progress,
) -> Result<LoadReport, RequestError> {
    let started = Instant::now();
    let share = load.messages / clients.len() as u64;
    let senders = clients.iter().enumerate().map(|(index, client)| {
        let extra = if index == 0 { load.messages % clients.len() as u64 } else { 0 };
        let pace = Pace { started, per_second: f64::from(load.per_second) / clients.len() as f64 };
        send_share(client, rooms, share + extra, load, pace, progress)
    });
    let parts = futures::future::try_join_all(senders).await?;
    let took = started.elapsed();
    let mut report = LoadReport { took, ..LoadReport::default() };
    for (room, ack) in parts.into_iter().flatten() {
        report.reached(room, ack.seq);
        report.acked += 1;
        report.latencies.push(ack.took);
    }
    report.latencies.sort_unstable();
    Ok(report)
}

/// Sends the load again and again until `story` is over, which begins when a tenth of the first is acknowledged. Each begins its pace anew, so that after an
/// interruption nobody makes up for more than one.
///
/// # Errors
/// As [`run`], or what the story ends with; either ends the other.
pub async fn run_during<T, E: From<RequestError>>(
    clients: &[&Client],
    rooms: &[Uuid],
    load: Load,
    story: impl Future<Output = Result<T, E>>,
) -> Result<(LoadReport, T), E> {
    let progress = Progress::default();
    let talk = async {
        let mut whole = LoadReport::default();
        while !progress.is_enough() {
            whole = whole.and(run(clients, rooms, load, &progress).await?);
        }
        Ok::<_, E>(whole)
    };
    let story = async {
        progress.reach(load.messages / 10).await;
        let told = story.await?;
        progress.enough();
        Ok::<_, E>(told)
    };
    future::try_join(talk, story).await
}

#[derive(Clone, Copy)]
struct Pace {
    started: Instant,
    per_second: f64,
}

impl Pace {
    async fn turn(self, number: u64) {
        if self.per_second > 0.0 {
            tokio::time::sleep_until(self.started + Duration::from_secs_f64(number as f64 / self.per_second)).await;
        }
    }
}

async fn send_share(
    client: &Client,
    rooms: &[Uuid],
    messages: u64,
    load: Load,
    pace: Pace,
    progress: &Progress,
) -> Result<Vec<(Uuid, crate::client::Ack)>, RequestError> {
    let name = client.account().user.name.as_str();
    let wanted = stream::iter(0..messages).take_while(|_| future::ready(!progress.is_enough()));
    let sends = wanted.map(|number| {
        let room = rooms[usize::try_from(number).unwrap_or(0) % rooms.len()];
        let mut body = format!("{name} {number} ");
        body.extend(std::iter::repeat_n('x', load.body_bytes.saturating_sub(body.len())));
        async move {
            pace.turn(number).await;
            if progress.is_enough() {
                return Ok(None);
            }
            let ack = client.send(room, &body).await?;
            progress.acked.fetch_add(1, Ordering::Relaxed);
            Ok(Some((room, ack)))
        }
    });
    let mut acked = Vec::new();
    let mut sends = std::pin::pin!(sends.buffer_unordered(load.in_flight));
    while let Some(outcome) = sends.next().await {
        acked.extend(outcome?);
    }
    Ok(acked)
}

/// Waits until every client has every room up to the report's last seq.
/// Returns the clients and rooms that are behind after `limit`, empty when all is well.
pub async fn settle(clients: &[&Client], report: &LoadReport, limit: Duration) -> Vec<String> {
    let deadline = Instant::now() + limit;
    let mut behind = Vec::new();
    for client in clients {
        for (room, seq) in &report.last_seq {
            let left = deadline.saturating_duration_since(Instant::now());
            if !client.wait_position(*room, *seq, left).await {
                let has = client.position(*room);
                behind.push(format!("{} has {has:?} of {seq} in {room}", client.account().user.name));
            }
        }
    }
    behind
}
