//! The WebSocket under a connection: reads through the library, writes batches past it, and says goodbye in bounded time.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message, Utf8Bytes,
        error::CapacityError,
        protocol::{CloseFrame, WebSocketConfig},
    },
};

use super::{
    outgoing::Outgoing,
    queue::{Batch, Queue},
};
use crate::{
    codec::{Codec, Frame, Goodbye},
    protocol::{CloseCode, limits},
};

/// Time for a close frame to go out and for the client's to come in.
const GOODBYE: Duration = Duration::from_secs(2);

/// Bytes of a client that keeps talking after the close which are read and thrown away, so that its unread data does not reset the
/// connection before it sees the code.
const LEFTOVER_BYTES: usize = 1024 * 1024;

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

/// Buffers and bounds of a socket. The read buffer is resident for the life of the connection, and what most clients send fits it. The write
/// buffer holds pings, pongs and the close frame only; everything else is [`Outgoing`].
#[must_use]
pub fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(1024)
        .write_buffer_size(0)
        // Any frame that the queue takes fits, or writing it would be an error for ever.
        .max_write_buffer_size(limits::QUEUE_BYTES + limits::FRAME_BYTES)
        .max_message_size(Some(limits::FRAME_BYTES))
        .max_frame_size(Some(limits::FRAME_BYTES))
}

/// The WebSocket of one connection.
pub(super) struct Socket<S> {
    stream: WebSocketStream<S>,
    pub(super) codec: Codec,
    outgoing: Outgoing,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// A socket over a WebSocket whose handshake is done.
    pub(super) fn new(stream: WebSocketStream<S>, codec: Codec) -> Self {
        Self { stream, codec, outgoing: Outgoing::default() }
    }

    /// Waits for a frame. Safe to abandon.
    pub(super) async fn read(&mut self) -> Inbound {
        match self.stream.next().await {
            Some(Ok(Message::Text(text))) if !self.codec.is_binary() => Inbound::Frame(Frame::Text(text)),
            Some(Ok(Message::Binary(bytes))) if self.codec.is_binary() => Inbound::Frame(Frame::Binary(bytes)),
            Some(Ok(Message::Text(_) | Message::Binary(_))) => Inbound::Bad(CloseCode::Binary),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Inbound::Alive,
            Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. }))) => Inbound::Bad(CloseCode::TooLarge),
            Some(Ok(Message::Close(_)) | Err(_)) | None => Inbound::Gone,
        }
    }

    /// Writes everything. Waits as long as the client's window is closed.
    pub(super) async fn write(&mut self, batch: Batch, queue: &Queue) -> Result<(), Error> {
        if batch.ping {
            self.stream.feed(self.codec.ping()).await?;
        }
        // Answers to pings that the library holds go first: nothing may get between two parts of a frame.
        self.stream.flush().await?;
        self.outgoing.load(batch.frames);
        Ok(self.outgoing.write(self.stream.get_mut(), |bytes| queue.written(bytes)).await?)
    }

    /// Sends a close frame and waits a moment for the client to have seen it.
    pub(super) async fn close(mut self, code: CloseCode) {
        let Goodbye { code, reason, .. } = self.codec.goodbye(code);
        let frame = CloseFrame { code: code.into(), reason: Utf8Bytes::from_static(reason) };
        let goodbye = async {
            self.outgoing.cut();
            self.outgoing.write(self.stream.get_mut(), |_| {}).await?;
            self.stream.close(Some(frame)).await?;
            let stream = self.stream.get_mut();
            let mut scratch = [0; 1024];
            let mut left = LEFTOVER_BYTES;
            while left > 0 {
                match stream.read(&mut scratch).await? {
                    0 => break,
                    read => left = left.saturating_sub(read),
                }
            }
            Ok::<(), Error>(())
        };
        // Whoever does not take a goodbye in time goes without.
        let _ = timeout(GOODBYE, goodbye).await;
    }
}
