//! Frames on their way in (RFC 6455). An idle connection keeps no buffer: what the system has goes over the stack, and only the beginning of
//! a frame whose end has not come is kept.

use std::{
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, ReadBuf};
use tokio_tungstenite::tungstenite::{Bytes, Utf8Bytes};

use crate::codec::Frame;

/// Bytes taken from the system at once: nearly every frame that clients send fits.
const SCRATCH: usize = 4 * 1024;

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A whole message.
    Message(Frame),
    /// A ping, to be answered with the same bytes.
    Ping(Bytes),
    /// A pong.
    Pong,
    /// A close frame and its code, if it has one.
    Close(Option<u16>),
}

/// What is wrong with what a client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is no WebSocket frame, or none that may come here.
    Protocol,
    /// A text, or the reason of a close, is no UTF-8.
    NotUtf8,
    /// The message is larger than allowed.
    TooLarge,
}

impl Fault {
    /// The close code for it.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Protocol => 1002,
            Self::NotUtf8 => 1007,
            Self::TooLarge => 1009,
        }
    }
}

/// Why nothing more comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The connection has ended.
    Gone,
    /// The client does not keep to the protocol.
    Fault(Fault),
}

/// What has come in and is not yet a message.
#[derive(Debug)]
pub(super) struct Incoming {
    /// Read, and not yet taken apart from `taken` on.
    rest: Vec<u8>,
    taken: usize,
    /// The fragments of a message so far.
    message: Option<Box<Fragments>>,
    /// Bytes of a message.
    largest: usize,
}

#[derive(Debug)]
struct Fragments {
    binary: bool,
    bytes: Vec<u8>,
    /// Up to here a text is UTF-8; a character may be cut by the end of a fragment.
    valid: usize,
}

impl Incoming {
    /// Takes messages of up to `largest` bytes; `early` is what came with the handshake.
    pub(super) fn new(early: Vec<u8>, largest: usize) -> Self {
        Self { rest: early, taken: 0, message: None, largest }
    }

    /// The next thing that the client sent. Safe to abandon.
    pub(super) fn poll<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<Result<Heard, Lost>> {
        loop {
            if self.taken < self.rest.len() {
                let rest = std::mem::take(&mut self.rest);
                let took = self.take(&rest[self.taken..]);
                self.rest = rest;
                let (bytes, heard) = took.map_err(Lost::Fault)?;
                self.taken += bytes;
                if self.taken == self.rest.len() {
                    (self.rest, self.taken) = (Vec::new(), 0);
                }
                if let Some(heard) = heard {
                    return Poll::Ready(Ok(heard));
                }
            }
            let mut scratch = [MaybeUninit::uninit(); SCRATCH];
            let mut buffer = ReadBuf::uninit(&mut scratch);
            if ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer)).is_err() || buffer.filled().is_empty() {
                return Poll::Ready(Err(Lost::Gone));
            }
            let mut new = buffer.filled();
            let mut heard = None;
            if self.rest.is_empty() {
                let (bytes, first) = self.take(new).map_err(Lost::Fault)?;
                (new, heard) = (&new[bytes..], first);
            }
            self.rest.drain(..std::mem::take(&mut self.taken));
            self.rest.extend_from_slice(new);
            if let Some(heard) = heard {
                return Poll::Ready(Ok(heard));
            }
        }
    }

    /// The first thing in these bytes, and how many of them are taken with it.
    fn take(&mut self, bytes: &[u8]) -> Result<(usize, Option<Heard>), Fault> {
        let mut left = bytes;
        while let Some((head, payload, after)) = self.split(left)? {
            left = after;
            if let Some(heard) = self.understand(head, payload)? {
                return Ok((bytes.len() - left.len(), Some(heard)));
            }
        }
        Ok((bytes.len() - left.len(), None))
    }

    /// Splits a whole frame off.
    #[expect(clippy::type_complexity, reason = "three parts of one slice")]
    fn split<'a>(&self, bytes: &'a [u8]) -> Result<Option<(Head, &'a [u8], &'a [u8])>, Fault> {
        let Some((head, start)) = Head::read(bytes)? else { return Ok(None) };
        let before = self.message.as_ref().map_or(0, |message| message.bytes.len());
        match (head.kind, &self.message) {
            (Kind::Continuation, None) | (Kind::Text | Kind::Binary, Some(_)) => return Err(Fault::Protocol),
            (Kind::Continuation | Kind::Text | Kind::Binary, _)
                if head.length > (self.largest.saturating_sub(before)) as u64 =>
            {
                return Err(Fault::TooLarge);
            }
            _ => {}
        }
        // At most `largest`, or 125 of a control frame.
        let end = start + usize::try_from(head.length).map_err(|_| Fault::TooLarge)?;
        Ok(bytes.get(start..end).map(|payload| (head, payload, &bytes[end..])))
    }

    fn understand(&mut self, head: Head, payload: &[u8]) -> Result<Option<Heard>, Fault> {
        let bytes = unmask(payload, head.mask);
        match head.kind {
            Kind::Ping => return Ok(Some(Heard::Ping(bytes.into()))),
            Kind::Pong => return Ok(Some(Heard::Pong)),
            Kind::Close => return Ok(Some(Heard::Close(close_code(&bytes)?))),
            Kind::Text | Kind::Binary if head.last => return whole(head.kind == Kind::Binary, bytes).map(Some),
            Kind::Text | Kind::Binary => {
                self.message = Some(Box::new(Fragments { binary: head.kind == Kind::Binary, bytes, valid: 0 }));
            }
            Kind::Continuation => {
                if let Some(message) = &mut self.message {
                    message.bytes.extend_from_slice(&bytes);
                }
            }
        }
        let Some(message) = &mut self.message else { return Ok(None) };
        if head.last {
            let message = self.message.take().map(|message| *message);
            return message.map(|Fragments { binary, bytes, .. }| whole(binary, bytes)).transpose();
        }
        // A text that cannot become one is refused before its end comes.
        if !message.binary
            && let Err(error) = std::str::from_utf8(&message.bytes[message.valid..])
        {
            if error.error_len().is_some() {
                return Err(Fault::NotUtf8);
            }
            message.valid += error.valid_up_to();
        } else {
            message.valid = message.bytes.len();
        }
        Ok(None)
    }
}

fn whole(binary: bool, bytes: Vec<u8>) -> Result<Heard, Fault> {
    if binary {
        return Ok(Heard::Message(Frame::Binary(bytes.into())));
    }
    let text = Utf8Bytes::try_from(Bytes::from(bytes)).map_err(|_| Fault::NotUtf8)?;
    Ok(Heard::Message(Frame::Text(text)))
}

/// Code of a close frame; its reason is checked and forgotten.
fn close_code(payload: &[u8]) -> Result<Option<u16>, Fault> {
    let [high, low, reason @ ..] = payload else {
        return if payload.is_empty() { Ok(None) } else { Err(Fault::Protocol) };
    };
    std::str::from_utf8(reason).map_err(|_| Fault::NotUtf8)?;
    let code = u16::from_be_bytes([*high, *low]);
    // RFC 6455, section 7.4.2, and the registry of codes: 1004 to 1006 and 1015 are not for the wire.
    match code {
        1000..=1003 | 1007..=1014 | 3000..=4999 => Ok(Some(code)),
        _ => Err(Fault::Protocol),
    }
}

fn unmask(payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut bytes = payload.to_vec();
    let mut words = bytes.chunks_exact_mut(4);
    for word in &mut words {
        word.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    }
    words.into_remainder().iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    bytes
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// Head of a frame from a client (RFC 6455, section 5.2).
#[derive(Clone, Copy, Debug)]
struct Head {
    last: bool,
    kind: Kind,
    length: u64,
    mask: [u8; 4],
}

impl Head {
    /// The head at the beginning and its length; `None` when its end has not come.
    fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, Fault> {
        let [first, second, after @ ..] = bytes else { return Ok(None) };
        let last = first & 0x80 != 0;
        let kind = match first & 0x0f {
            0 => Kind::Continuation,
            1 => Kind::Text,
            2 => Kind::Binary,
            8 => Kind::Close,
            9 => Kind::Ping,
            10 => Kind::Pong,
            _ => return Err(Fault::Protocol),
        };
        let short = second & 0x7f;
        let control = first & 0x08 != 0;
        // No extension was agreed on, clients mask, and control frames are small and whole.
        if first & 0x70 != 0 || second & 0x80 == 0 || (control && (!last || short > 125)) {
            return Err(Fault::Protocol);
        }
        let (length, after) = match (short, after) {
            (126, [a, b, after @ ..]) => (u64::from(u16::from_be_bytes([*a, *b])), after),
            (127, [a, b, c, d, e, f, g, h, after @ ..]) => {
                (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), after)
            }
            (126 | 127, _) => return Ok(None),
            (short, after) => (u64::from(short), after),
        };
        let [a, b, c, d, after @ ..] = after else { return Ok(None) };
        let head = Self { last, kind, length, mask: [*a, *b, *c, *d] };
        Ok(Some((head, bytes.len() - after.len())))
    }
}

#[cfg(test)]
#[path = "incoming_tests.rs"]
mod tests;
