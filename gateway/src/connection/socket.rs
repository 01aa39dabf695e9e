//! The WebSocket under a connection, in the connection's language: which kinds of frames it takes, what it is pinged with, how it ends.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use super::{
    incoming::{Fault, Heard},
    queue::{Batch, Queue},
    wire::Wire,
};
use crate::{
    codec::{Codec, Frame, Goodbye},
    protocol::{CloseCode, limits},
};

/// What came in.
#[derive(Debug)]
pub(super) enum Inbound {
    /// A frame of the kind that the codec takes.
    Frame(Frame),
    /// Ping or pong: a sign of life.
    Alive,
    /// Something to close for.
    Bad(CloseCode),
    /// The client closed, or the network did.
    Gone,
}

/// The WebSocket of one connection.
pub(super) struct Socket<S> {
    wire: Wire<S>,
    pub(super) codec: Codec,
    control: Control,
}

/// Counts pings and pongs, second by second.
struct Control {
    since: Instant,
    count: u32,
}

impl Control {
    /// Counts one; false when there were too many within a second.
    fn admit(&mut self) -> bool {
        if self.since.elapsed() >= Duration::from_secs(1) {
            *self = Self { since: Instant::now(), count: 0 };
        }
        self.count += 1;
        self.count <= limits::CONTROL_FRAMES
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// A socket over a stream whose handshake is done; `early` is what came with it.
    pub(super) fn new(stream: S, early: Vec<u8>, codec: Codec) -> Self {
        let control = Control { since: Instant::now(), count: 0 };
        Self { wire: Wire::new(stream, early, limits::FRAME_BYTES), codec, control }
    }

    /// Waits for a frame. Safe to abandon.
    pub(super) async fn read(&mut self) -> Inbound {
        match self.wire.hear().await {
            Ok(Heard::Message(frame)) if frame.is_binary() == self.codec.is_binary() => Inbound::Frame(frame),
            Ok(Heard::Message(_)) => Inbound::Bad(CloseCode::FrameKind),
            Ok(Heard::Ping(_) | Heard::Pong) if self.control.admit() => Inbound::Alive,
            Ok(Heard::Ping(_) | Heard::Pong) => Inbound::Bad(CloseCode::Flooding),
            Err(Some(Fault::TooLarge)) => Inbound::Bad(CloseCode::TooLarge),
            Ok(Heard::Close(_)) | Err(_) => Inbound::Gone,
        }
    }

    /// Writes everything. Waits as long as the client's window is closed.
    pub(super) async fn write(&mut self, batch: Batch, queue: &Queue) -> io::Result<()> {
        if batch.ping {
            self.wire.interpose(self.codec.ping());
        }
        self.wire.write(batch.frames, |bytes| queue.written(bytes)).await
    }

    /// Sends a close frame and waits a moment for the client to have seen it.
    pub(super) async fn close(self, code: CloseCode) {
        let Goodbye { code, reason, .. } = self.codec.goodbye(code);
        self.wire.close(code, reason).await;
    }
}
