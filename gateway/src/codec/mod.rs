//! The languages that connections speak: how a frame becomes requests, and how answers, events and goodbyes become frames.
//!
//! A connection's codec is chosen at the upgrade and stays. Behind it everything is the same for all: session, queue, pipeline, hub.

mod frame;
mod shared;

pub use self::{
    frame::{Form, Frame, Read, Tag, Unreadable},
    shared::Shared,
};

use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::{
    centrifuge,
    protocol::{Answer, ClientEvent, CloseCode, Incoming, encode_answer, encode_event, parse},
};

/// A language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Codec {
    /// `chat.v1`, see `docs/reference/protocol.md`.
    #[default]
    Chat,
    /// The Centrifuge client protocol in JSON, see `docs/reference/centrifuge.md`.
    CentrifugeJson,
    /// The Centrifuge client protocol in Protobuf.
    CentrifugeProtobuf,
}

/// How a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goodbye {
    /// Close code on the wire.
    pub code: u16,
    /// The code as text, for metrics.
    pub name: &'static str,
    /// One sentence for a person reading a trace.
    pub reason: &'static str,
}

impl Codec {
    /// Number of codecs.
    pub(crate) const COUNT: usize = 3;

    /// Place of this codec among all.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Chat => 0,
            Self::CentrifugeJson => 1,
            Self::CentrifugeProtobuf => 2,
        }
    }

    /// Whether a connection follows all rooms of its user, and not only those that it asks for.
    #[must_use]
    pub fn follows_all(self) -> bool {
        self == Self::Chat
    }

    /// Whether frames are binary and not text.
    #[must_use]
    pub fn is_binary(self) -> bool {
        self == Self::CentrifugeProtobuf
    }

    /// Reads what a client sent; one frame of the Centrifuge protocol may hold several commands, or none.
    ///
    /// # Errors
    /// [`Unreadable`] when there is no way to tell what to answer to whom.
    pub fn read(self, frame: &Frame) -> Result<Vec<Read>, Unreadable> {
        match (self, frame) {
            (Self::Chat, Frame::Text(text)) => Ok(vec![match parse(text) {
                Ok(Incoming { id, request }) => Read::Request { tag: id.map(Tag::plain), request },
                Err(refusal) => Read::Refused { tag: refusal.id.map(Tag::plain), error: refusal.error },
            }]),
            (Self::CentrifugeJson, Frame::Text(text)) => centrifuge::read_json(text),
            (Self::CentrifugeProtobuf, Frame::Binary(bytes)) => centrifuge::read_protobuf(bytes.clone()),
            (Self::Chat | Self::CentrifugeJson, Frame::Binary(_)) | (Self::CentrifugeProtobuf, Frame::Text(_)) => {
                Err(Unreadable)
            }
        }
    }

    /// The frame of an answer; `tag` is absent when the request was too broken to have one.
    #[must_use]
    pub fn answer(self, tag: Option<Tag>, answer: &Answer) -> Frame {
        match self {
            Self::Chat => Frame::Text(encode_answer(tag.map(|tag| tag.id), answer)),
            Self::CentrifugeJson => centrifuge::write_json(&centrifuge::reply(tag, answer)),
            Self::CentrifugeProtobuf => centrifuge::write_protobuf(&centrifuge::reply(tag, answer)),
        }
    }

    /// The frame of an event. For more than one connection, [`Shared`] encodes it once.
    #[must_use]
    pub fn event(self, event: &ClientEvent) -> Frame {
        match self {
            Self::Chat => Frame::Text(encode_event(event)),
            Self::CentrifugeJson => centrifuge::write_json(&centrifuge::push(event)),
            Self::CentrifugeProtobuf => centrifuge::write_protobuf(&centrifuge::push(event)),
        }
    }

    /// What a client is pinged with: `chat.v1` uses the WebSocket's own pings, Centrifuge an empty reply.
    pub(crate) fn ping(self) -> Message {
        match self {
            Self::Chat => Message::Ping(Bytes::new()),
            Self::CentrifugeJson => Message::text("{}"),
            // The length of an empty message.
            Self::CentrifugeProtobuf => Message::Binary(Bytes::from_static(&[0])),
        }
    }

    /// The close frame's content for a reason to close.
    #[must_use]
    pub fn goodbye(self, code: CloseCode) -> Goodbye {
        match self {
            Self::Chat => Goodbye { code: code.code(), name: code.name(), reason: code.reason() },
            Self::CentrifugeJson | Self::CentrifugeProtobuf => centrifuge::goodbye(code),
        }
    }
}
