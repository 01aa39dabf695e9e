//! Requests of one connection: in order, except that those about different rooms do not wait for each other.
//!
//! A shard that is away holds up only the rooms it owns. Marks that wait for the same room become one.

use std::{collections::VecDeque, sync::Arc};

use tokio::task::{Id, JoinSet};

use super::session::Session;
use crate::{codec::Tag, model::RoomId, pipeline::Pipeline, protocol::Request, traces::Sending};

/// Requests that wait or run; with more the connection is not read, which slows the client down.
const REQUESTS: usize = 32;

/// Requests that run at once.
const RUNNING: usize = 8;

/// Tags that one merged mark answers.
const MERGED: usize = 64;

/// A request that came.
pub(super) struct Asked {
    /// What to answer under, if an answer is wanted.
    pub(super) tag: Option<Tag>,
    /// What is asked.
    pub(super) request: Request,
    /// Its trace, of the few that have one.
    pub(super) sending: Option<Box<Sending>>,
}

/// The requests of one connection. A connection that asks for nothing has room for none.
#[derive(Default)]
pub(super) struct Lanes(Option<Box<Requests>>);

#[derive(Default)]
struct Requests {
    /// Requests of a frame that held more than may wait; bounded by what fits in one frame.
    held: VecDeque<Asked>,
    waiting: VecDeque<Job>,
    running: JoinSet<()>,
    busy: Vec<(Id, Lane)>,
}

/// What a request must keep its order with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    /// Requests about this room.
    Room(RoomId),
    /// Everything.
    All,
}

struct Job {
    lane: Lane,
    request: Request,
    tags: Vec<Tag>,
    sending: Option<Box<Sending>>,
}

impl Lanes {
    /// Whether another request may be read.
    pub(super) fn has_room(&self) -> bool {
        self.0.as_ref().is_none_or(|requests| requests.held.is_empty() && requests.takes_more())
    }

    /// Whether something runs.
    pub(super) fn is_busy(&self) -> bool {
        self.0.as_ref().is_some_and(|requests| !requests.busy.is_empty())
    }

    /// Takes a request in, and starts it if its turn is now.
    pub(super) fn admit(&mut self, asked: Asked, session: &Arc<Session>, pipeline: &Arc<Pipeline>) {
        let requests = self.0.get_or_insert_default();
        requests.held.push_back(asked);
        requests.start(session, pipeline);
    }

    /// Waits for one that runs to end, then starts what waited for it. Pending when nothing runs.
    pub(super) async fn turn(&mut self, session: &Arc<Session>, pipeline: &Arc<Pipeline>) {
        let Some(requests) = &mut self.0 else { return std::future::pending().await };
        let ended = match requests.running.join_next_with_id().await {
            None => return std::future::pending().await,
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => {
                tracing::error!(%error, session = %session.id, "a request ended without an answer");
                error.id()
            }
        };
        requests.busy.retain(|(id, _)| *id != ended);
        requests.start(session, pipeline);
        // What runs nothing has nothing that waits.
        if requests.busy.is_empty() {
            self.0 = None;
        }
    }

    /// Waits until all that run have ended, and forgets those that wait.
    pub(super) async fn finish(self) {
        let Some(mut requests) = self.0 else { return };
        requests.held.clear();
        requests.waiting.clear();
        while requests.running.join_next().await.is_some() {}
    }
}

impl Requests {
    fn takes_more(&self) -> bool {
        self.waiting.len() + self.busy.len() < REQUESTS
    }

    /// Merges a mark into one that waits: marks are cumulative.
    fn merge(&mut self, tag: Option<Tag>, request: &Request) -> bool {
        let Some(last) = self.waiting.iter_mut().rev().find(|job| job.request.room() == request.room()) else {
            return false;
        };
        let seq = match (&mut last.request, request) {
            (Request::Delivered { seq, .. }, Request::Delivered { seq: new, .. })
            | (Request::Read { seq, .. }, Request::Read { seq: new, .. })
                if last.tags.len() < MERGED =>
            {
                (*seq).max(*new)
            }
            _ => return false,
        };
        if let Request::Delivered { seq: kept, .. } | Request::Read { seq: kept, .. } = &mut last.request {
            *kept = seq;
        }
        last.tags.extend(tag);
        true
    }

    fn start(&mut self, session: &Arc<Session>, pipeline: &Arc<Pipeline>) {
        while self.takes_more()
            && let Some(Asked { tag, request, sending }) = self.held.pop_front()
        {
            if !self.merge(tag, &request) {
                let lane = lane_of(&request);
                self.waiting.push_back(Job { lane, request, tags: tag.into_iter().collect(), sending });
            }
        }
        while self.busy.len() < RUNNING {
            let Some(job) = self.next_free().and_then(|at| self.waiting.remove(at)) else { return };
            let (session, pipeline) = (Arc::clone(session), Arc::clone(pipeline));
            let Job { lane, request, tags, sending } = job;
            // A task of its own, so that a client that takes no answers never holds a connection of the store's pool.
            let task = self.running.spawn(async move { pipeline.process(&session, &tags, request, sending).await });
            self.busy.push((task.id(), lane));
        }
    }

    /// The first one that waits for nothing before it.
    fn next_free(&self) -> Option<usize> {
        for (at, job) in self.waiting.iter().enumerate() {
            match job.lane {
                Lane::All => return (at == 0 && self.busy.is_empty()).then_some(at),
                Lane::Room(_) => {
                    let before = self.waiting.iter().take(at).map(|job| job.lane);
                    let mut blocking = self.busy.iter().map(|(_, lane)| *lane).chain(before);
                    if blocking.all(|lane| lane != job.lane && lane != Lane::All) {
                        return Some(at);
                    }
                }
            }
        }
        None
    }
}

fn lane_of(request: &Request) -> Lane {
    match request {
        // These change what the connection follows, so nothing overtakes them.
        Request::AddMember { .. } | Request::RemoveMember { .. } => Lane::All,
        other => other.room().map_or(Lane::All, Lane::Room),
    }
}
