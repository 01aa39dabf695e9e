//! One connection: a task that owns the socket, the queue that others fill, and what others know of it.
//!
//! The way to `welcome` is a future of its own that is gone afterwards: the steady task of an idle connection stays small.

mod actor;
mod handshake;
mod incoming;
mod lanes;
mod outgoing;
pub mod queue;
pub mod session;
mod socket;
mod wire;

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout_at},
};

use self::{
    actor::Actor,
    queue::{Batch, Queue},
    session::Session,
    socket::{Inbound, Socket},
};
use crate::{
    audit::{self, Act, By, Record},
    auth::names,
    codec::{Codec, Read},
    http::ClientAddress,
    model::UserId,
    pipeline::{Pipeline, frame::Reader},
    protocol::{Answer, CloseCode, ErrorCode},
    services::Counters,
};

pub use self::{
    incoming::{Fault, Heard},
    wire::Wire,
};

/// One of the connections that a gateway accepts; given back when dropped.
#[derive(Debug)]
pub struct Permit(Option<Arc<Counters>>);

impl Permit {
    /// Takes one, if fewer than `most` are out.
    #[must_use]
    pub fn take(counters: &Arc<Counters>, most: u32) -> Option<Self> {
        let connections: &AtomicU64 = &counters.connections;
        let more = |count: u64| (count < u64::from(most)).then_some(count + 1);
        connections.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(Some(Arc::clone(counters))))
    }

    /// One beside those that are counted, for the operator's probe and nobody else.
    #[must_use]
    pub fn for_the_probe() -> Self {
        Self(None)
    }

    /// Whether this user may have it.
    fn is_for(&self, user: UserId) -> bool {
        self.0.is_some() || names::is_probe(user)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(counters) = &self.0 {
            counters.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A stream that has become a WebSocket, and what came with the handshake.
#[derive(Debug)]
pub struct Accepted<S> {
    /// The stream.
    pub stream: S,
    /// The client's first bytes, if they came early.
    pub early: Vec<u8>,
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Whom limits by address are about.
    pub client: ClientAddress,
    /// Who opened the connection: the client itself, or a proxy before it.
    pub peer: IpAddr,
}

/// Serves an accepted WebSocket in its language: `hello`, then a task of its own until the connection ends.
pub async fn serve<S>(pipeline: Arc<Pipeline>, accepted: Accepted<S>, (codec, source): (Codec, Source), permit: Permit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut socket = Socket::new(accepted.stream, accepted.early, codec);
    let greeted = Box::pin(greet(&pipeline, &mut socket, source)).await;
    match greeted {
        Ok((session, _)) if !permit.is_for(session.user.id) => {
            let code = CloseCode::Unauthenticated;
            note_refusal(source, code);
            pipeline.hub.forget(&session).await;
            pipeline.services.counters.closed.add(codec.goodbye(code).name);
            socket.close(code).await;
        }
        Ok((session, early)) => {
            if pipeline.services.entrance.turns_away() {
                pipeline.hub.ask_to_leave(&session);
            }
            tokio::spawn(Actor { socket, session, pipeline, early, permit }.run());
        }
        Err(Some(code)) => {
            pipeline.services.counters.closed.add(codec.goodbye(code).name);
            socket.close(code).await;
        }
        Err(None) => {}
    }
}

/// Reads frames until `hello`; returns what came in one frame with it, too. `Err` carries the code to close with, if there is still
/// somebody to tell.
async fn greet<S>(
    pipeline: &Pipeline,
    socket: &mut Socket<S>,
    source: Source,
) -> Result<(Arc<Session>, Vec<Read>), Option<CloseCode>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let time = pipeline.services.config.get().http.timeouts.hello_seconds;
    let deadline = Instant::now() + Duration::from_secs(time.into());
    let queue = Arc::new(Queue::default());
    let mut reader = Reader::new(socket.codec);
    loop {
        let inbound = timeout_at(deadline, socket.read()).await.map_err(|_| Some(CloseCode::Silent))?;
        let frame = match inbound {
            Inbound::Frame(frame) => frame,
            Inbound::Alive => continue,
            Inbound::Bad(code) => return Err(Some(code)),
            Inbound::Gone => return Err(None),
        };
        let mut reads = reader.read(&frame).ok_or(Some(CloseCode::NotJson))?.into_iter();
        let Some(first) = reads.next() else { continue };
        let (frame, code) = match first {
            Read::Request { tag, request } => {
                match handshake::hello(pipeline, &queue, (socket.codec, source), (tag, request)).await {
                    Ok(session) => {
                        if !names::is_probe(session.user.id) {
                            pipeline.services.counters.signed_in.fetch_add(1, Ordering::Relaxed);
                        }
                        return Ok((session, reads.collect()));
                    }
                    Err(refused) => {
                        pipeline.services.counters.sign_ins_refused.fetch_add(1, Ordering::Relaxed);
                        note_refusal(source, refused.code);
                        (refused.frame, Some(refused.code))
                    }
                }
            }
            Read::Refused { tag, error } => (Some(socket.codec.answer(tag, &Answer::Error(error))), None),
        };
        let batch = Batch { frames: frame.into_iter().collect(), ping: false };
        timeout_at(deadline, socket.write(batch, &queue))
            .await
            .map_err(|_| Some(CloseCode::Silent))?
            .map_err(|_| None)?;
        if code.is_some() {
            return Err(code);
        }
    }
}

/// Tells the audit log of a token that was refused. That there is no room or no backend says nothing of who came.
fn note_refusal(source: Source, code: CloseCode) {
    if code != CloseCode::Stopping {
        let why = if code == CloseCode::Expired { ErrorCode::TokenExpired } else { ErrorCode::Unauthenticated };
        Record::new(Act::Token, By::Unknown, Some(source.client.0)).write(audit::refusal(why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an idle connection costs beside its session.
    #[test]
    fn the_steady_task_stays_small() {
        fn size<F>(_: impl FnOnce(Actor<crate::http::Seated>) -> F) -> usize {
            size_of::<F>()
        }
        let steady = size(Actor::run);
        assert!(steady <= 1_088, "{steady}");
    }
}
