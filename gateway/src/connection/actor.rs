//! The task that owns a signed-in connection's socket. It reads only as many requests as it can carry out, writes what others queue,
//! and never waits for a store: requests run in tasks of their own.

use std::{sync::Arc, time::SystemTime};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinHandle,
};

use super::{
    Permit,
    lanes::{Asked, Lanes},
    queue::{Batch, Class, Next},
    session::Session,
    socket::{Inbound, Socket},
};
use crate::{
    codec::Read,
    hub::Hub,
    pipeline::{Pipeline, frame::Reader},
    protocol::{Answer, CloseCode},
};

/// A signed-in connection.
pub(super) struct Actor<S> {
    pub(super) socket: Socket<S>,
    pub(super) session: Arc<Session>,
    pub(super) pipeline: Arc<Pipeline>,
    /// What came in one frame with the request that signed in.
    pub(super) early: Vec<Read>,
    /// Given back when the connection has ended.
    pub(super) permit: Permit,
}

/// How a connection ends.
enum End {
    /// The socket is gone.
    Gone,
    /// With a close frame.
    Close(CloseCode),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Actor<S> {
    /// Serves the connection to its end, then takes it out of the hub.
    pub(super) async fn run(mut self) {
        let mut lanes = Lanes::default();
        let mut finding_out: Option<JoinHandle<()>> = None;
        let end = self.serve(&mut lanes, &mut finding_out).await;
        // Boxed: what happens once at the end must not make the task larger all its life.
        Box::pin(self.end(end, lanes, finding_out)).await;
    }

    async fn end(self, end: End, lanes: Lanes, finding_out: Option<JoinHandle<()>>) {
        let Self { socket, session, pipeline, permit, .. } = self;
        if let End::Close(code) = end {
            tracing::debug!(session = %session.id, code = code.code(), "closing a connection");
            pipeline.services.counters.closed.add(session.codec.goodbye(code).name);
            socket.close(code).await;
        } else {
            drop(socket);
        }
        session.close(CloseCode::Normal);
        // They may still follow a room; only then is it known what to leave.
        lanes.finish().await;
        if let Some(task) = finding_out {
            let _ = task.await;
        }
        let rooms = Hub::known_rooms(&session);
        pipeline.hub.forget(&session).await;
        pipeline.hub.departed(session.user.id, rooms);
        drop(permit);
    }

    async fn serve(&mut self, lanes: &mut Lanes, finding_out: &mut Option<JoinHandle<()>>) -> End {
        let session = Arc::clone(&self.session);
        let mut reader = Reader::new(session.codec);
        for read in std::mem::take(&mut self.early) {
            self.accept(read, None, lanes);
        }
        let mut leaving = None;
        loop {
            if let Some(code) = leaving
                && !lanes.is_busy()
            {
                session.close(code);
            }
            tokio::select! {
                next = session.queue.next() => match next {
                    Next::Frames(batch) => if let Some(end) = self.write(batch).await { return end },
                    Next::Leave(code) => leaving = Some(code),
                    Next::Close(code) => return End::Close(code),
                },
                inbound = self.socket.read(), if lanes.has_room() && leaving.is_none() => {
                    if let Some(end) = self.take(inbound, &mut reader, lanes) {
                        return end;
                    }
                }
                () = lanes.turn(&self.session, &self.pipeline), if lanes.is_busy() => {}
                () = session.controls_waiting(), if finding_out.is_none() => *finding_out = Some(self.find_out()),
                () = ended(finding_out), if finding_out.is_some() => *finding_out = None,
            }
        }
    }

    /// Writes a batch; gives up when the client is too slow or silent.
    async fn write(&mut self, batch: Batch) -> Option<End> {
        let session = Arc::clone(&self.session);
        tokio::select! {
            written = self.socket.write(batch, &session.queue) => written.is_err().then_some(End::Gone),
            () = session.queue.overflowed() => session.queue.closing().map(End::Close),
        }
    }

    /// Takes a frame in.
    fn take(&mut self, inbound: Inbound, reader: &mut Reader, lanes: &mut Lanes) -> Option<End> {
        let frame = match inbound {
            Inbound::Frame(frame) => frame,
            Inbound::Alive => {
                self.session.see(self.pipeline.hub.second());
                return None;
            }
            Inbound::Bad(code) => return Some(End::Close(code)),
            Inbound::Gone => return Some(End::Gone),
        };
        self.session.see(self.pipeline.hub.second());
        let heard = self.pipeline.services.tracer.clock();
        let Some(reads) = reader.read(&frame) else { return Some(End::Close(CloseCode::NotJson)) };
        for read in reads {
            self.accept(read, heard, lanes);
        }
        None
    }

    /// Carries out what was read; `heard` is when its frame came, where traces want that known.
    fn accept(&self, read: Read, heard: Option<SystemTime>, lanes: &mut Lanes) {
        match read {
            Read::Request { tag, request } => {
                let sending = self.pipeline.services.tracer.sample(heard, &self.session, &request);
                lanes.admit(Asked { tag, request, sending }, &self.session, &self.pipeline);
            }
            Read::Refused { tag, error } => {
                self.pipeline.services.counters.refused.add(error.code.name());
                self.session.push(self.session.codec.answer(tag, &Answer::Error(error)), Class::Kept);
            }
        }
    }

    /// Looks into what the hub wants to be found out, in a task of its own.
    fn find_out(&self) -> JoinHandle<()> {
        let (session, pipeline) = (Arc::clone(&self.session), Arc::clone(&self.pipeline));
        tokio::spawn(async move {
            while let Some(control) = session.take_control() {
                pipeline.hub.find_out(&session, control).await;
            }
        })
    }
}

/// Waits for the task to end; pending without one.
async fn ended(task: &mut Option<JoinHandle<()>>) {
    match task {
        Some(task) => {
            let _ = task.await;
        }
        None => std::future::pending().await,
    }
}
