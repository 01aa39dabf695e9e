//! The languages that connections speak: how a frame becomes requests, and how answers, events and goodbyes become frames.
//!
//! A connection's codec is chosen at the upgrade and stays. Behind it everything is the same for all: session, queue, pipeline, hub.

mod frame;
mod shared;

pub use self::{
    frame::{Form, Frame, Read, Tag, Unreadable},
    shared::Shared,
};

use crate::{
    centrifuge,
    protocol::{
        Answer, ClientEvent, CloseCode, Incoming, Refusal, encode_answer, encode_answer_cbor, encode_event,
        encode_event_cbor, parse, parse_cbor,
    },
};

/// A language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Codec {
    /// `chat.v1`, see `docs/reference/protocol.md`.
    #[default]
    Chat,
    /// `chat.v1.cbor`: the same in binary.
    ChatCbor,
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
    pub(crate) const COUNT: usize = 4;

    /// Place of this codec among all.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Chat => 0,
            Self::ChatCbor => 1,
            Self::CentrifugeJson => 2,
            Self::CentrifugeProtobuf => 3,
        }
    }

    /// Whether this is the protocol of this gateway's own, in either encoding.
    #[must_use]
    pub fn is_chat(self) -> bool {
        matches!(self, Self::Chat | Self::ChatCbor)
    }

    /// Whether a connection follows all rooms of its user, and not only those that it asks for.
    #[must_use]
    pub fn follows_all(self) -> bool {
        self.is_chat()
    }

    /// Whether frames are binary and not text.
    #[must_use]
    pub fn is_binary(self) -> bool {
        matches!(self, Self::ChatCbor | Self::CentrifugeProtobuf)
    }

    /// Reads what a client sent; one frame of the Centrifuge protocol may hold several commands, or none.
    ///
    /// # Errors
    /// [`Unreadable`] when there is no way to tell what to answer to whom.
    pub fn read(self, frame: &Frame) -> Result<Vec<Read>, Unreadable> {
        match (self, frame) {
            (Self::Chat, Frame::Text(text)) => Ok(vec![one(parse(text))]),
            (Self::ChatCbor, Frame::Binary(bytes)) => Ok(vec![one(parse_cbor(bytes))]),
            (Self::CentrifugeJson, Frame::Text(text)) => centrifuge::read_json(text),
            (Self::CentrifugeProtobuf, Frame::Binary(bytes)) => centrifuge::read_protobuf(bytes.clone()),
            (Self::Chat | Self::CentrifugeJson, Frame::Binary(_))
            | (Self::ChatCbor | Self::CentrifugeProtobuf, Frame::Text(_)) => Err(Unreadable),
        }
    }

    /// The frame of an answer; `tag` is absent when the request was too broken to have one.
    #[must_use]
    pub fn answer(self, tag: Option<Tag>, answer: &Answer) -> Frame {
        match self {
            Self::Chat => Frame::Text(encode_answer(tag.map(|tag| tag.id), answer)),
            Self::ChatCbor => Frame::Binary(encode_answer_cbor(tag.map(|tag| tag.id), answer)),
            Self::CentrifugeJson => centrifuge::write_json(&centrifuge::reply(tag, answer)),
            Self::CentrifugeProtobuf => centrifuge::write_protobuf(&centrifuge::reply(tag, answer)),
        }
    }

    /// The frame of an event. For more than one connection, [`Shared`] encodes it once.
    #[must_use]
    pub fn event(self, event: &ClientEvent) -> Frame {
        match self {
            Self::Chat => Frame::Text(encode_event(event)),
            Self::ChatCbor => Frame::Binary(encode_event_cbor(event)),
            Self::CentrifugeJson => centrifuge::write_json(&centrifuge::push(event)),
            Self::CentrifugeProtobuf => centrifuge::write_protobuf(&centrifuge::push(event)),
        }
    }

    /// The frame that a client is pinged with, head included: `chat.v1` uses the WebSocket's own pings, Centrifuge an empty reply.
    pub(crate) fn ping(self) -> &'static [u8] {
        match self {
            Self::Chat | Self::ChatCbor => b"\x89\x00",
            Self::CentrifugeJson => b"\x81\x02{}",
            // The length of an empty message.
            Self::CentrifugeProtobuf => b"\x82\x01\x00",
        }
    }

    /// The close frame's content for a reason to close.
    #[must_use]
    pub fn goodbye(self, code: CloseCode) -> Goodbye {
        match self {
            Self::Chat | Self::ChatCbor => Goodbye { code: code.code(), name: code.name(), reason: code.reason() },
            Self::CentrifugeJson | Self::CentrifugeProtobuf => centrifuge::goodbye(code),
        }
    }
}

/// What a frame of this gateway's own protocol says.
fn one(parsed: Result<Incoming, Refusal>) -> Read {
    match parsed {
        Ok(Incoming { id, request }) => Read::Request { tag: id.map(Tag::plain), request },
        Err(Refusal { id, error }) => Read::Refused { tag: id.map(Tag::plain), error },
    }
}
