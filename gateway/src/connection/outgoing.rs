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
const TOGETHER: usize = 64;

/// Bytes of pings, pongs and closes that wait; a client that pings and does not read gets no further pongs.
const CONTROLS: usize = 1024;

/// Frames in order; the first one may be partly written.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// Whole frames, heads included, or the rest of them: they go before the next data frame that is not begun.
    controls: Vec<u8>,
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

    /// Puts a whole frame before those that are not begun.
    pub(super) fn interpose(&mut self, frame: &[u8]) {
        self.controls.extend_from_slice(frame);
    }

    /// Answers a ping.
    pub(super) fn pong(&mut self, payload: &[u8]) {
        // RFC 6455, section 5.5.3: only the last of several pings needs an answer.
        if self.controls.len() <= CONTROLS {
            self.control(0x8a, payload);
        }
    }

    /// Says goodbye.
    pub(super) fn close(&mut self, code: Option<u16>, reason: &str) {
        let code = code.map(u16::to_be_bytes);
        let payload: Vec<u8> = code.iter().flatten().copied().chain(reason.bytes()).collect();
        self.control(0x88, &payload);
    }

    /// `payload` has at most 125 bytes, as every control frame's.
    fn control(&mut self, first: u8, payload: &[u8]) {
        let Ok(length @ 0..=125) = u8::try_from(payload.len()) else { return };
        self.controls.extend([first, length]);
        self.controls.extend_from_slice(payload);
    }

    /// Writes controls while no data frame is on its way.
    pub(super) fn poll_controls<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.controls.is_empty() && self.frames.is_empty() {
            match ready!(Pin::new(&mut *stream).poll_write(context, &self.controls))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.advance_controls(count),
            };
        }
        Poll::Ready(Ok(()))
    }

    /// Writes all; `done` hears of the payload's bytes of each frame that is through. Safe to abandon: what was written is remembered.
    pub(super) async fn write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        mut done: impl FnMut(usize),
    ) -> io::Result<()> {
        while !self.frames.is_empty() || !self.controls.is_empty() {
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
        let mut slices = [IoSlice::new(&[]); 2 * TOGETHER + 1];
        let mut count = 0;
        if self.written == 0 && !self.controls.is_empty() {
            slices[0] = IoSlice::new(&self.controls);
            count = 1;
        }
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

    fn advance(&mut self, mut count: usize, done: &mut impl FnMut(usize)) {
        if self.written == 0 {
            count -= self.advance_controls(count);
        }
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

    /// Forgets controls that are written; how many of these bytes were theirs.
    fn advance_controls(&mut self, count: usize) -> usize {
        let theirs = count.min(self.controls.len());
        if theirs == self.controls.len() {
            self.controls = Vec::new();
        } else {
            self.controls.drain(..theirs);
        }
        theirs
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
        (0..100).map(|nth| "x".repeat(lengths[nth % lengths.len()])).collect()
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
                client.take(100).map(|frame| frame.unwrap().into_text().unwrap().to_string()).collect::<Vec<_>>().await
            });
            let mut through = Vec::new();
            outgoing().write(&mut near, |bytes| through.push(bytes)).await.unwrap();
            assert_eq!(through, frames().iter().map(String::len).collect::<Vec<_>>());
            assert_eq!(reader.await.unwrap(), frames());
        }
    }

    #[tokio::test]
    async fn controls_go_between_whole_frames_only() {
        let (mut near, far) = duplex(70_000);
        let mut outgoing = outgoing();
        outgoing.pong(b"first");
        assert!(futures::poll!(std::pin::pin!(outgoing.write(&mut near, |_| {}))).is_pending());
        // A frame is half written.
        outgoing.pong(b"second");
        let context = &mut Context::from_waker(std::task::Waker::noop());
        assert!(outgoing.poll_controls(&mut near, context).is_ready(), "nothing to wait for");
        let client = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
        let reader = tokio::spawn(client.take(102).map(Result::unwrap).collect::<Vec<_>>());
        outgoing.write(&mut near, |_| {}).await.unwrap();
        let read = reader.await.unwrap();
        let texts: Vec<_> = read.iter().filter_map(|frame| frame.to_text().ok().filter(|_| frame.is_text())).collect();
        assert_eq!(texts, frames());
        assert!(read[0].is_pong() && read.iter().filter(|frame| frame.is_pong()).count() == 2);
    }

    #[test]
    fn pongs_do_not_pile_up() {
        let mut outgoing = Outgoing::default();
        (0..1_000_000).for_each(|_| outgoing.pong(&[0; 125]));
        assert!(outgoing.controls.len() <= CONTROLS + 127);
        outgoing.close(Some(1000), "still said");
        assert!(outgoing.controls.ends_with(b"still said"));
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
