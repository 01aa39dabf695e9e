//! The bytes of a WebSocket after its handshake, as the gateway's own reader of frames takes them.

use std::{
    io, iter,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use chat_gateway::{
    codec::Frame,
    connection::{Fault, Heard, Wire},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{Role, WebSocketConfig, WebSocketContext},
};

/// Bytes of a message: few, so that an input reaches beyond them. A control frame, which has its own bound, fits.
const LARGEST: usize = 300;

/// Somebody who says this, at most `piece` bytes at once, listens, and leaves.
struct Client<'a> {
    says: &'a [u8],
    piece: usize,
    hears: Vec<u8>,
}

impl AsyncRead for Client<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let count = self.says.len().min(self.piece).min(buffer.remaining());
        let (now, later) = self.says.split_at(count);
        buffer.put_slice(now);
        self.says = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Client<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.hears.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What came of it, up to a close frame, a fault or the end.
#[derive(Debug, PartialEq)]
struct Talk {
    heard: Vec<Heard>,
    fault: Option<Fault>,
    answered: Vec<u8>,
}

impl Talk {
    /// A client whose first `early` bytes come with its handshake, and the others in pieces.
    fn with(bytes: &[u8], early: usize, piece: usize) -> Self {
        let (early, says) = bytes.split_at(early.min(bytes.len()));
        let mut client = Client { says, piece, hears: Vec::new() };
        let mut wire = Wire::new(&mut client, early.to_vec(), LARGEST);
        let mut context = Context::from_waker(Waker::noop());
        let mut heard = Vec::new();
        let fault = loop {
            let next = pin!(wire.hear()).poll(&mut context);
            match next {
                Poll::Ready(Ok(one)) => {
                    let last = matches!(one, Heard::Close(_));
                    heard.push(one);
                    if last {
                        break None;
                    }
                }
                Poll::Ready(Err(fault)) => break fault,
                Poll::Pending => panic!("nobody lets it wait"),
            }
        };
        drop(wire);
        Self { heard, fault, answered: client.hears }
    }

    /// A pong for each ping, and a close for a close or a fault; what is too large is answered later, with more.
    fn due(&self) -> Vec<u8> {
        let close = |code: Option<u16>| {
            let payload: Vec<u8> = code.iter().flat_map(|code| code.to_be_bytes()).collect();
            (0x88, payload)
        };
        let answers = self.heard.iter().filter_map(|heard| match heard {
            Heard::Ping(payload) => Some((0x8a, payload.to_vec())),
            Heard::Close(code) => Some(close(*code)),
            Heard::Message(_) | Heard::Pong => None,
        });
        let fault = self.fault.filter(|fault| *fault != Fault::TooLarge).map(|fault| close(Some(fault.code())));
        answers
            .chain(fault)
            .flat_map(|(first, payload)| {
                let length = u8::try_from(payload.len()).expect("a control frame is short");
                [vec![first, length], payload].concat()
            })
            .collect()
    }
}

/// What another implementation hears, up to a close frame, a fault or the end.
fn by_another(bytes: &[u8]) -> Vec<Heard> {
    let config = WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST));
    let mut context = WebSocketContext::from_partially_read(bytes.to_vec(), Role::Server, Some(config));
    let mut stream = io::Cursor::new(Vec::new());
    iter::from_fn(|| match context.read(&mut stream).ok()? {
        Message::Text(text) => Some(Heard::Message(Frame::Text(text))),
        Message::Binary(bytes) => Some(Heard::Message(Frame::Binary(bytes))),
        Message::Ping(bytes) => Some(Heard::Ping(bytes)),
        Message::Pong(_) => Some(Heard::Pong),
        // Which codes may come is settled differently there.
        Message::Close(_) | Message::Frame(_) => None,
    })
    .collect()
}

/// What comes before a control frame whose length is written as only longer frames need to. None may be so long and a length is to be written
/// shortly (RFC 6455, sections 5.5 and 5.2), so it is refused here; the other implementation takes it.
fn before_wide_control(bytes: &[u8]) -> &[u8] {
    let mut at = 0;
    while let Some([first, second, rest @ ..]) = bytes.get(at..) {
        let (is_control, short) = (first & 0x08 != 0, second & 0x7f);
        if is_control && short > 125 {
            return &bytes[..at];
        }
        let width = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some(wide) = rest.get(..width) else { break };
        let wide = wide.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
        let length = if width == 0 { usize::from(short) } else { wide };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        at = at.saturating_add(2 + width + mask).saturating_add(length);
    }
    bytes
}

/// A byte that says in which pieces the others come.
pub(super) fn frames(data: &[u8]) {
    let Some((&cut, bytes)) = data.split_first() else { return };
    let talk = Talk::with(bytes, 0, usize::MAX);
    assert_eq!(talk.answered, talk.due());
    let (early, piece) = (usize::from(cut >> 4), usize::from(cut & 0x0f) + 1);
    assert_eq!(Talk::with(bytes, early, piece), talk, "{early} bytes early, then {piece} at once");
    let until = talk.heard.iter().position(|heard| matches!(heard, Heard::Close(_))).unwrap_or(talk.heard.len());
    assert_eq!(talk.heard[..until], by_another(before_wide_control(bytes)), "this implementation and another");
}
