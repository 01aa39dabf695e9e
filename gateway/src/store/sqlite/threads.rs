//! The threads that SQLite runs on: one writer that shares commits, and readers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread::JoinHandle,
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::failure::unavailable;
use crate::store::StoreError;

/// Writes that share one commit at most, and reads that share one state: bounds how long the first of them waits.
const BATCH: usize = 256;
/// Jobs that wait for a thread; more make their callers wait.
const QUEUE: usize = 1_024;

/// Tells the caller what became of a write, when the fate of its commit is known.
type Answer = Box<dyn FnOnce(Result<(), &str>) + Send>;
type Write = Box<dyn FnOnce(&Connection) -> Answer + Send>;
type Read = Box<dyn FnOnce(Result<&Connection, &str>) + Send>;

/// The writing thread.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Write>>,
    failed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Self {
        let (jobs, mut queue) = mpsc::channel(QUEUE);
        let failed = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&failed);
        let thread = spawn("sqlite-writer", move || {
            while let Some(first) = queue.blocking_recv() {
                flag.store(!write_batch(&connection, first, &mut queue), Relaxed);
            }
        });
        Self { jobs: Some(jobs), failed, thread }
    }

    /// Whether the last commit failed, or nothing can be written any more.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Relaxed) || self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Runs a write in a transaction that others may share; it counts when this returns `Ok`. An `Err` of the job undoes the job alone.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, answer) = oneshot::channel();
        let write: Write = Box::new(move |connection| {
            let outcome = alone(connection, job);
            Box::new(move |committed| {
                // Nobody listens when the caller has gone; the write stands all the same.
                drop(sender.send(match committed {
                    Ok(()) => outcome,
                    Err(cause) => Err(unavailable(cause)),
                }));
            })
        });
        let jobs = self.jobs.as_ref().ok_or_else(ended)?;
        jobs.send(write).await.map_err(|_| ended())?;
        answer.await.map_err(|_| unavailable("the transaction could not be begun"))?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        join(self.thread.take());
    }
}

/// Runs the first job and whatever waits behind it in one transaction, commits it, and answers all. False when the commit failed.
fn write_batch(connection: &Connection, first: Write, queue: &mut mpsc::Receiver<Write>) -> bool {
    let mut answers = Vec::new();
    let outcome = transaction(connection, first, queue, &mut answers);
    if outcome.is_err() && !connection.is_autocommit() {
        // When this fails too, the next `begin` fails and says so.
        drop(connection.execute_batch("rollback"));
    }
    let outcome = outcome.map_err(|error| error.to_string());
    if let Err(error) = &outcome {
        tracing::error!(%error, writes = answers.len(), "a commit to SQLite failed");
    }
    for answer in answers {
        answer(outcome.as_ref().copied().map_err(String::as_str));
    }
    outcome.is_ok()
}

fn transaction(
    connection: &Connection,
    first: Write,
    queue: &mut mpsc::Receiver<Write>,
    answers: &mut Vec<Answer>,
) -> rusqlite::Result<()> {
    connection.execute_batch("begin immediate")?;
    let mut next = Some(first);
    while let Some(job) = next {
        answers.push(job(connection));
        if connection.is_autocommit() {
            // A full disk and the like make SQLite roll back all of it by itself: nobody's write stands.
            return Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT),
                Some("the transaction was rolled back; is the disk full?".to_owned()),
            ));
        }
        next = if answers.len() < BATCH { queue.try_recv().ok() } else { None };
    }
    connection.execute_batch("commit")
}

/// Runs a job so that its failure undoes it and nothing else of the transaction.
fn alone<T>(connection: &Connection, job: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
    connection.execute_batch("savepoint job")?;
    let outcome = job(connection);
    // After a rollback of everything there is no savepoint any more, and the caller of this sees that.
    if !connection.is_autocommit() {
        connection.execute_batch(if outcome.is_ok() { "release job" } else { "rollback to job; release job" })?;
    }
    outcome
}

/// The reading threads, used in turn.
pub(super) struct Readers {
    lanes: Vec<Lane>,
    turn: AtomicUsize,
}

struct Lane {
    jobs: Option<mpsc::Sender<Read>>,
    thread: Option<JoinHandle<()>>,
}

impl Readers {
    pub(super) fn start(connections: impl IntoIterator<Item = Connection>) -> Self {
        let lane = |connection: Connection| {
            let (jobs, mut queue) = mpsc::channel::<Read>(QUEUE);
            let thread = spawn("sqlite-reader", move || {
                while let Some(first) = queue.blocking_recv() {
                    read_batch(&connection, first, &mut queue);
                    // Those who ask go first once more: to fall asleep and be woken for each job costs a busy gateway more than the jobs.
                    std::thread::yield_now();
                }
            });
            Lane { jobs: Some(jobs), thread }
        };
        Self { lanes: connections.into_iter().map(lane).collect(), turn: AtomicUsize::new(0) }
    }

    /// Runs a read on the state of the newest commit.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, answer) = oneshot::channel();
        let read: Read = Box::new(move |connection| drop(sender.send(connection.map_err(unavailable).and_then(job))));
        let lane = &self.lanes[self.turn.fetch_add(1, Relaxed) % self.lanes.len()];
        lane.jobs.as_ref().ok_or_else(ended)?.send(read).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        for lane in &mut self.lanes {
            drop(lane.jobs.take());
            join(lane.thread.take());
        }
    }
}

/// Runs the first job and those that wait behind it on one state of the file, which is the newest one for each of them: none came after the
/// transaction began. A crowd's reads come faster than locks can be taken and given back for each.
fn read_batch(connection: &Connection, first: Read, queue: &mut mpsc::Receiver<Read>) {
    let mut waiting = queue.len().min(BATCH);
    let mut next = Some(first);
    while let Some(job) = next {
        // The first one begins, and whoever comes after one whose failure ended the transaction.
        match begin(connection) {
            Ok(()) => job(Ok(connection)),
            Err(error) => job(Err(&error.to_string())),
        }
        next = if waiting > 0 { queue.try_recv().ok() } else { None };
        waiting = waiting.saturating_sub(1);
    }
    if !connection.is_autocommit()
        && let Err(error) = run(connection, "rollback")
    {
        tracing::warn!(%error, "a read of SQLite could not be ended");
    }
}

fn begin(connection: &Connection) -> rusqlite::Result<()> {
    if connection.is_autocommit() { run(connection, "begin deferred") } else { Ok(()) }
}

/// Runs a statement that is parsed once: reads are so short that this would be a good part of them.
fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

fn ended() -> StoreError {
    unavailable("the thread of the store has ended")
}

/// Without its thread a store answers that it is away, which is all that can be done where no thread can be started.
fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Option<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.inspect_err(|error| tracing::error!(%error, name, "failed to start a thread")).ok()
}

fn join(thread: Option<JoinHandle<()>>) {
    if thread.is_some_and(|thread| thread.join().is_err()) {
        tracing::error!("a thread of the store panicked");
    }
}
