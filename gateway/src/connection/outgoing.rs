//! Data frames on their way into a socket. Server frames carry no mask, so the bytes of a payload are the same for every client: they go
//! from where all connections share them straight to the system, several frames in one call, and no connection keeps a buffer for them.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use crate::codec::Frame;
use tokio::io::AsyncWrite;

/// Frames in one system call.
const TOGETHER: usize = 16;

/// Frames in order; the first one may be partly written.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    frames: VecDeque<Frame>,
    /// Bytes of the first frame, header included, that are written.
    written: usize,
}

impl Outgoing {
    /// Puts these frames behind what waits.
    pub(super) fn load(&mut self, frames: VecDeque<Frame>) {
        if self.frames.is_empty() {
            self.frames = frames;
        } else {
            self.frames.extend(frames);
        }
    }

    /// Writes all; `done` hears of the payload's bytes of each frame that is through. Safe to abandon: what was written is remembered.
    pub(super) async fn write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        mut done: impl FnMut(usize),
    ) -> io::Result<()> {
        while !self.frames.is_empty() {
            let count = poll_fn(|context| self.poll(stream, context)).await?;
            self.advance(count, &mut done);
        }
        // The buffer of a burst is not kept.
        self.frames = VecDeque::new();
        Ok(())
    }

    /// Drops the frames that were not begun, so that a close frame may follow the one that was.
    pub(super) fn cut(&mut self) {
        self.frames.truncate(usize::from(self.written > 0));
    }

    fn poll<S: AsyncWrite + Unpin>(&self, stream: &mut S, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut headers = [Header::default(); TOGETHER];
        for (header, frame) in headers.iter_mut().zip(&self.frames) {
            *header = Header::of(frame);
        }
        let mut slices = [IoSlice::new(&[]); 2 * TOGETHER];
        let mut count = 0;
        let mut skip = self.written;
        for (header, frame) in headers.iter().zip(&self.frames) {
            for part in [header.bytes(), frame.as_bytes()] {
                let rest = part.get(skip..).unwrap_or_default();
                skip = skip.saturating_sub(part.len());
                slices[count] = IoSlice::new(rest);
                count += 1;
            }
        }
        match ready!(Pin::new(stream).poll_write_vectored(context, &slices[..count])) {
            Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            outcome => Poll::Ready(outcome),
        }
    }

    fn advance(&mut self, count: usize, done: &mut impl FnMut(usize)) {
        self.written += count;
        while let Some(frame) = self.frames.front() {
            let payload = frame.len();
            let whole = Header::of(frame).length + payload;
            if self.written < whole {
                return;
            }
            self.written -= whole;
            self.frames.pop_front();
            done(payload);
        }
    }
}

/// Header of a whole, unmasked data frame (RFC 6455, section 5.2).
#[derive(Clone, Copy, Debug, Default)]
struct Header {
    bytes: [u8; 10],
    length: usize,
}

impl Header {
    const TEXT: u8 = 0x81;
    const BINARY: u8 = 0x82;

    fn of(frame: &Frame) -> Self {
        let payload = frame.len();
        let mut bytes = [0; 10];
        bytes[0] = if matches!(frame, Frame::Text(_)) { Self::TEXT } else { Self::BINARY };
        let length = match (u8::try_from(payload), u16::try_from(payload)) {
            (Ok(short @ 0..=125), _) => {
                bytes[1] = short;
                2
            }
            (_, Ok(medium)) => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&medium.to_be_bytes());
                4
            }
            _ => {
                bytes[1] = 127;
                bytes[2..].copy_from_slice(&(payload as u64).to_be_bytes());
                10
            }
        };
        Self { bytes, length }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use tokio::io::{AsyncReadExt as _, duplex};
    use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};

    use super::*;

    fn frames() -> Vec<String> {
        let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 3];
        // More than go together, and of each kind of header.
        (0..40).map(|nth| "x".repeat(lengths[nth % lengths.len()])).collect()
    }

    fn outgoing() -> Outgoing {
        let mut outgoing = Outgoing::default();
        outgoing.load(frames().into_iter().map(Frame::from).collect());
        outgoing
    }

    #[tokio::test]
    async fn a_client_reads_every_frame_through_a_pipe_of_any_size() {
        for pipe in [1_000, 4_096, 1 << 20] {
            let (mut near, far) = duplex(pipe);
            let reader = tokio::spawn(async move {
                let client = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
                client.take(40).map(|frame| frame.unwrap().into_text().unwrap().to_string()).collect::<Vec<_>>().await
            });
            let mut through = Vec::new();
            outgoing().write(&mut near, |bytes| through.push(bytes)).await.unwrap();
            assert_eq!(through, frames().iter().map(String::len).collect::<Vec<_>>());
            assert_eq!(reader.await.unwrap(), frames());
        }
    }

    #[tokio::test]
    async fn an_abandoned_write_goes_on_with_the_rest_of_the_frame_it_was_in() {
        let (mut near, mut far) = duplex(70_000);
        let mut outgoing = outgoing();
        assert!(futures::poll!(std::pin::pin!(outgoing.write(&mut near, |_| {}))).is_pending());
        outgoing.cut();
        let rest = tokio::spawn(async move { outgoing.write(&mut near, |_| {}).await });
        let mut bytes = Vec::new();
        far.read_to_end(&mut bytes).await.unwrap();
        rest.await.unwrap().unwrap();
        // Up to 65,535 all are in the pipe; the one after them was begun, and nothing follows it.
        let whole: usize =
            frames().into_iter().take(7).map(Frame::from).map(|frame| frame.len() + Header::of(&frame).length).sum();
        assert_eq!(bytes.len(), whole);
    }
}
