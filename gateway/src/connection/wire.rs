//! The server's side of a WebSocket (RFC 6455, without extensions) over a stream whose handshake is done. It holds what is on its way and
//! nothing else: an idle one costs its socket and some pointers.

use std::{collections::VecDeque, future::poll_fn, io, pin::Pin, task::Poll, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite},
    time::timeout,
};

use super::{
    incoming::{Fault, Heard, Incoming, Lost},
    outgoing::Outgoing,
};
use crate::codec::Frame;

/// Time for a close frame to go out and for the client's to come in.
const GOODBYE: Duration = Duration::from_secs(2);

/// Bytes of a client that keeps talking after the close which are read and thrown away, so that its unread data does not reset the
/// connection before it sees the code.
const LEFTOVER_BYTES: usize = 1024 * 1024;

/// See the module's documentation.
pub struct Wire<S> {
    stream: S,
    incoming: Incoming,
    outgoing: Outgoing,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// A WebSocket that takes messages of up to `largest` bytes. `early` are the bytes that came with the handshake.
    pub fn new(stream: S, early: Vec<u8>, largest: usize) -> Self {
        Self { stream, incoming: Incoming::new(early, largest), outgoing: Outgoing::default() }
    }

    /// What the client says next. Pings, closes and faults are answered; a fault that a close may still be written for is not, see
    /// [`Wire::close`]. Safe to abandon.
    ///
    /// # Errors
    /// What is wrong with what the client sent; none when the connection has ended.
    pub async fn hear(&mut self) -> Result<Heard, Option<Fault>> {
        let Self { stream, incoming, outgoing } = self;
        poll_fn(|context| {
            // What could not be written when it was due. An error is found by reading, too.
            let _ = outgoing.poll_controls(stream, context);
            let heard = std::task::ready!(incoming.poll(stream, context));
            match &heard {
                Ok(Heard::Ping(payload)) => outgoing.pong(payload),
                Ok(Heard::Close(code)) => outgoing.close(*code, ""),
                Err(Lost::Fault(fault)) if *fault != Fault::TooLarge => outgoing.close(Some(fault.code()), ""),
                _ => return Poll::Ready(heard),
            }
            let _ = outgoing.poll_controls(stream, context);
            Poll::Ready(heard)
        })
        .await
        .map_err(|lost| match lost {
            Lost::Gone => None,
            Lost::Fault(fault) => Some(fault),
        })
    }

    /// Writes a message.
    ///
    /// # Errors
    /// The stream's.
    pub async fn send(&mut self, frame: Frame) -> io::Result<()> {
        self.write(VecDeque::from([frame]), |_| {}).await
    }

    /// Puts a whole frame, head included, before those that wait and are not begun.
    pub(super) fn interpose(&mut self, frame: &'static [u8]) {
        self.outgoing.interpose(frame);
    }

    /// Writes messages; `done` hears of the bytes of each one that is through. Waits as long as the client's window is closed; what was
    /// written when this is abandoned is remembered.
    pub(super) async fn write(&mut self, frames: VecDeque<Frame>, done: impl FnMut(usize)) -> io::Result<()> {
        self.outgoing.load(frames);
        self.outgoing.write(&mut self.stream, done).await
    }

    /// Sends a close frame and waits a moment for the client to have seen it.
    pub(super) async fn close(mut self, code: u16, reason: &'static str) {
        let goodbye = async {
            self.outgoing.cut();
            self.outgoing.close(Some(code), reason);
            self.outgoing.write(&mut self.stream, |_| {}).await?;
            self.see_off().await
        };
        // Whoever does not take a goodbye in time goes without.
        let _ = timeout(GOODBYE, goodbye).await;
    }

    /// Reads until the client has closed as well.
    async fn see_off(&mut self) -> io::Result<()> {
        let mut left = LEFTOVER_BYTES;
        loop {
            let (incoming, stream) = (&mut self.incoming, &mut self.stream);
            let heard = poll_fn(|context| incoming.poll(stream, context)).await;
            let bytes = match heard {
                Ok(Heard::Message(frame)) => frame.len(),
                Ok(Heard::Ping(_) | Heard::Pong) => 0,
                Ok(Heard::Close(_)) | Err(Lost::Gone) => return Ok(()),
                Err(Lost::Fault(_)) => break,
            };
            // Even the shortest frame is some bytes.
            left = left.saturating_sub(bytes + 6);
            if left == 0 {
                return Ok(());
            }
        }
        let mut scratch = [0; 1024];
        while left > 0 {
            match Pin::new(&mut self.stream).read(&mut scratch).await? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        Ok(())
    }
}
