//! The frames that wait for one client: bounded by bytes, ephemera first to go.
//!
//! Pushing never waits, so that a slow reader slows nobody: what does not fit closes the connection with a code that says "resume".

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::{
    codec::Frame,
    protocol::{CloseCode, limits},
    traces::Open,
};

/// Whether a frame must arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Answers, messages, membership: part of what the protocol promises.
    Kept,
    /// Typing, presence, receipts: worth nothing to a client that cannot keep up.
    Ephemeral,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It waits for the writer.
    Queued,
    /// It was ephemeral and the queue is over half full.
    Shed,
    /// The queue was full: the connection closes. Told once; later pushes are [`Pushed::Closed`].
    Overflowed,
    /// The connection is closing already.
    Closed,
}

/// What the writer does next.
#[derive(Debug)]
pub enum Next {
    /// Write these, then flush once.
    Frames(Batch),
    /// Take no more requests, and close when those that came have been answered.
    Leave(CloseCode),
    /// Send a close frame and stop.
    Close(CloseCode),
}

/// Frames taken out of the queue together.
#[derive(Debug, Default)]
pub struct Batch {
    /// In order.
    pub frames: VecDeque<Frame>,
    /// A ping is due.
    pub ping: bool,
}

/// The queue of one connection.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Frame>,
    /// Bytes queued or taken and not yet handed to the socket.
    bytes: usize,
    ping: bool,
    leaving: Option<CloseCode>,
    closing: Option<CloseCode>,
    /// Presence changes, for which the writer is not woken while they are few. Pointers, since a crowd's arrival fills all queues at once.
    quiet: Vec<Arc<Frame>>,
    /// Frames whose writes are traced; of nearly all connections there are none.
    traced: Vec<Traced>,
    /// Numbers of presence changes that went through, newest last: a user in five shared rooms is announced once.
    presence: [u64; RECENT_PRESENCE],
}

/// A frame whose write is traced.
#[derive(Debug)]
struct Traced {
    /// Bytes that go to the socket before it is through, its own included. Presence that waits quietly is counted among them, and goes in the same
    /// batch behind it.
    left: usize,
    write: Box<Open>,
}

/// Presence changes remembered per connection; repeats of one change come within milliseconds of each other.
const RECENT_PRESENCE: usize = 8;

/// Presence changes that wait for company.
const QUIET: usize = 64;

/// So many within a second are a crowd that comes or goes. Nobody looks at each of them, and more will follow.
const CROWD: usize = 16;

/// Bytes written before the connection is read again: a slow client's pongs are heard between batches.
const BATCH_BYTES: usize = 64 * 1024;

impl Queue {
    /// Puts a frame at the end, unless it does not fit.
    pub fn push(&self, frame: Frame, class: Class) -> Pushed {
        self.put(frame, class, None)
    }

    /// The same for a frame that is kept; `write` ends when it is in the socket.
    pub(crate) fn push_traced(&self, frame: Frame, write: Option<Box<Open>>) -> Pushed {
        self.put(frame, Class::Kept, write)
    }

    fn put(&self, frame: Frame, class: Class, write: Option<Box<Open>>) -> Pushed {
        let mut state = self.lock();
        let pushed = state.admit(frame.len(), class);
        if pushed == Pushed::Queued {
            if let Some(write) = write {
                let left = state.bytes;
                state.traced.push(Traced { left, write });
            }
            let wake = state.frames.is_empty();
            state.frames.push_back(frame);
            drop(state);
            if wake {
                self.wake.notify_one();
            }
        } else if pushed == Pushed::Overflowed {
            drop(state);
            self.wake.notify_one();
        }
        pushed
    }

    /// Puts an ephemeral frame of a presence change at the end, which several rooms may bring; `change` is its number. It waits for a frame
    /// of another kind, for company, or for [`Queue::nudge`]: when a crowd comes, each of its members hears of hundreds of others, and one
    /// write for each would cost more than everything else about the arrival.
    pub fn push_presence(&self, frame: Arc<Frame>, change: u64) -> Pushed {
        let mut state = self.lock();
        if state.presence.contains(&change) {
            return Pushed::Queued;
        }
        state.presence.rotate_left(1);
        state.presence[RECENT_PRESENCE - 1] = change;
        let pushed = state.admit(frame.len(), Class::Ephemeral);
        if pushed == Pushed::Queued {
            state.quiet.push(frame);
            let wake = state.quiet.len() == QUIET && state.frames.is_empty();
            drop(state);
            if wake {
                self.wake.notify_one();
            }
        }
        pushed
    }

    /// Has written what waits quietly; a crowd's changes only with patience at its end.
    pub fn nudge(&self, patient: bool) {
        let waiting = self.lock().quiet.len();
        if waiting > 0 && (waiting < CROWD || !patient) {
            self.wake.notify_one();
        }
    }

    /// Whether a replay may add a frame of this many bytes. Replays stop at a quarter, so that live frames find room behind them.
    #[must_use]
    pub fn takes_replay(&self, bytes: usize) -> bool {
        let state = self.lock();
        state.bytes == 0 || state.bytes + bytes <= limits::QUEUE_BYTES / 4
    }

    /// Whether so little waits that a replay may read on in the store: well under what [`Queue::takes_replay`] allows, so that what is
    /// read finds room.
    #[must_use]
    pub fn is_low(&self) -> bool {
        self.lock().bytes <= limits::QUEUE_BYTES / 8
    }

    /// Asks the writer for a ping.
    pub fn ping(&self) {
        self.lock().ping = true;
        self.wake.notify_one();
    }

    /// Closes the connection; what waits is written first unless the client is too slow for that. The first code counts.
    pub fn close(&self, code: CloseCode) {
        let mut state = self.lock();
        if state.closing.is_none() {
            close(&mut state, code);
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Has the connection close once what was asked over it has been answered.
    pub fn leave(&self, code: CloseCode) {
        self.lock().leaving = Some(code);
        self.wake.notify_one();
    }

    /// The code that the connection closes with, if it does.
    #[must_use]
    pub fn closing(&self) -> Option<CloseCode> {
        self.lock().closing
    }

    /// Waits for something to write.
    pub async fn next(&self) -> Next {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.wake.notified().await;
        }
    }

    /// Waits until the connection is to be closed at once, whatever still waits: for a writer that is stuck.
    pub async fn overflowed(&self) {
        loop {
            if self.closing().is_some_and(gives_up) {
                return;
            }
            self.wake.notified().await;
        }
    }

    /// Tells that frames of this many bytes went to the socket.
    pub fn written(&self, bytes: usize) {
        let mut state = self.lock();
        state.bytes = state.bytes.saturating_sub(bytes);
        if !state.traced.is_empty() {
            state.note_written(bytes);
        }
    }

    fn take(&self) -> Option<Next> {
        let mut state = self.lock();
        if !state.frames.is_empty() || !state.quiet.is_empty() || state.ping {
            let ping = std::mem::take(&mut state.ping);
            let mut frames = take_batch(&mut state.frames);
            if state.frames.is_empty() && !state.quiet.is_empty() {
                frames.extend(std::mem::take(&mut state.quiet).iter().map(|frame| Frame::clone(frame)));
            }
            return Some(Next::Frames(Batch { frames, ping }));
        }
        state.closing.map(Next::Close).or_else(|| state.leaving.take().map(Next::Leave))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ends the writes of traced frames that are through.
    fn note_written(&mut self, bytes: usize) {
        for frame in &mut self.traced {
            frame.left = frame.left.saturating_sub(bytes);
        }
        // In order, so those that are through are the first.
        let through = self.traced.iter().take_while(|frame| frame.left == 0).count();
        self.traced.drain(..through).for_each(|frame| frame.write.end());
    }

    /// Counts a frame in, sheds it, or closes the queue.
    fn admit(&mut self, bytes: usize, class: Class) -> Pushed {
        if self.closing.is_some() {
            return Pushed::Closed;
        }
        let full = self.bytes + bytes;
        if class == Class::Ephemeral && full > limits::QUEUE_EPHEMERAL_BYTES {
            return Pushed::Shed;
        }
        if full > limits::QUEUE_BYTES {
            close(self, CloseCode::TooSlow);
            return Pushed::Overflowed;
        }
        self.bytes = full;
        Pushed::Queued
    }
}

/// The first frames, as many as one batch holds; all of them nearly always.
fn take_batch(frames: &mut VecDeque<Frame>) -> VecDeque<Frame> {
    let mut bytes = 0;
    let over = frames.iter().position(|frame| {
        bytes += frame.len();
        bytes > BATCH_BYTES
    });
    match over {
        None => std::mem::take(frames),
        // At least one, however large.
        Some(at) => frames.drain(..at.max(1)).collect(),
    }
}

fn close(state: &mut State, code: CloseCode) {
    state.closing = Some(code);
    state.ping = false;
    if gives_up(code) {
        (state.frames, state.quiet) = Default::default();
        state.traced = Vec::new();
        state.bytes = 0;
    }
}

/// Whether a close does not wait for what is queued.
fn gives_up(code: CloseCode) -> bool {
    matches!(code, CloseCode::TooSlow | CloseCode::Silent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces::Recorder;

    fn frame(bytes: usize) -> Frame {
        "x".repeat(bytes).into()
    }

    #[test]
    fn sheds_ephemera_at_half_and_overflows_once_at_full() {
        let queue = Queue::default();
        assert_eq!(queue.push(frame(limits::QUEUE_EPHEMERAL_BYTES), Class::Ephemeral), Pushed::Queued);
        assert_eq!(queue.push(frame(1), Class::Ephemeral), Pushed::Shed);
        assert_eq!(queue.push(frame(limits::QUEUE_EPHEMERAL_BYTES), Class::Kept), Pushed::Queued);
        assert_eq!(queue.push(frame(1), Class::Kept), Pushed::Overflowed);
        assert_eq!(queue.push(frame(1), Class::Kept), Pushed::Closed);
        assert_eq!(queue.closing(), Some(CloseCode::TooSlow));
    }

    #[tokio::test]
    async fn counts_frames_until_they_are_written() {
        let queue = Queue::default();
        queue.push(frame(limits::QUEUE_BYTES), Class::Kept);
        assert!(matches!(queue.next().await, Next::Frames(_)));
        assert_eq!(queue.push(frame(1), Class::Ephemeral), Pushed::Shed);
        queue.written(limits::QUEUE_BYTES);
        assert_eq!(queue.push(frame(1), Class::Ephemeral), Pushed::Queued);
    }

    #[tokio::test]
    async fn writes_what_waits_before_an_orderly_close() {
        let queue = Queue::default();
        queue.push(frame(3), Class::Kept);
        queue.close(CloseCode::Stopping);
        assert!(matches!(queue.next().await, Next::Frames(batch) if batch.frames.len() == 1));
        assert!(matches!(queue.next().await, Next::Close(CloseCode::Stopping)));
    }

    #[tokio::test]
    async fn leaving_is_told_once_and_still_takes_answers() {
        let queue = Queue::default();
        queue.leave(CloseCode::Stopping);
        assert!(matches!(queue.next().await, Next::Leave(CloseCode::Stopping)));
        assert_eq!(queue.push(frame(1), Class::Kept), Pushed::Queued);
        assert!(matches!(queue.next().await, Next::Frames(_)));
        assert!(queue.take().is_none());
    }

    #[tokio::test]
    async fn presence_waits_for_another_frame_or_a_nudge() {
        let woken = async |queue: &Queue| {
            let next = tokio::time::timeout(std::time::Duration::from_millis(1), queue.wake.notified());
            next.await.is_ok()
        };
        let queue = Queue::default();
        let say = |change| queue.push_presence(frame(1).into(), change);
        say(7);
        say(8);
        assert!(!woken(&queue).await);
        queue.push(frame(1), Class::Ephemeral);
        assert!(woken(&queue).await);
        say(9);
        assert!(!woken(&queue).await, "the writer knows already");
        assert!(matches!(queue.next().await, Next::Frames(batch) if batch.frames.len() == 4));
        say(10);
        queue.nudge(true);
        assert!(woken(&queue).await);
        for change in 0..CROWD as u64 {
            say(100 + change);
        }
        queue.nudge(true);
        assert!(!woken(&queue).await, "more of a crowd will follow");
        queue.nudge(false);
        assert!(woken(&queue).await);
    }

    #[tokio::test]
    async fn presence_that_has_company_waits_no_longer() {
        let queue = Queue::default();
        let few = (1..QUIET as u64).map(|change| queue.push_presence(frame(1).into(), change));
        assert!(few.into_iter().all(|pushed| pushed == Pushed::Queued));
        assert!(futures::poll!(std::pin::pin!(queue.wake.notified())).is_pending());
        queue.push_presence(frame(1).into(), 0xffff);
        assert!(futures::poll!(std::pin::pin!(queue.wake.notified())).is_ready());
        assert!(matches!(queue.next().await, Next::Frames(batch) if batch.frames.len() == QUIET));
        queue.written(QUIET);
        assert!(queue.is_low());
    }

    #[test]
    fn announces_one_presence_change_once() {
        let queue = Queue::default();
        queue.push_presence(frame(1).into(), 7);
        queue.push_presence(frame(1).into(), 7);
        assert!(matches!(queue.take(), Some(Next::Frames(batch)) if batch.frames.len() == 1));
    }

    #[test]
    fn the_write_of_a_traced_frame_ends_when_its_own_bytes_are_through() {
        let (write, mut recorder) = Recorder::of_a_span(1);
        let queue = Queue::default();
        queue.push(frame(10), Class::Kept);
        assert_eq!(queue.push_traced(frame(5), Some(Box::new(write))), Pushed::Queued);
        queue.push(frame(7), Class::Kept);
        queue.written(10);
        assert_eq!(recorder.ended(), None, "only what is before it is written");
        queue.written(5);
        assert_eq!(recorder.ended(), Some(Ok(())));
        queue.written(7);

        let (write, mut recorder) = Recorder::of_a_span(1);
        queue.push_traced(frame(5), Some(Box::new(write)));
        queue.push(frame(limits::QUEUE_BYTES), Class::Kept);
        assert_eq!(recorder.ended(), Some(Err("given_up")), "a client that was too slow never got it");
        let (write, mut recorder) = Recorder::of_a_span(1);
        assert_eq!(queue.push_traced(frame(5), Some(Box::new(write))), Pushed::Closed);
        assert_eq!(recorder.ended(), Some(Err("given_up")));
    }
}
