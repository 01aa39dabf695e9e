//! Frames of clients.

use chat_gateway::{
    codec::{Codec, Frame, Read},
    pipeline::frame::Reader,
    protocol::Answer,
};

/// A text frame of a connection in this codec. What is no UTF-8 never gets this far: the transport refuses it.
pub(super) fn text(codec: Codec, data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        read(codec, &Frame::Text(text.into()));
    }
}

/// A binary frame.
pub(super) fn binary(codec: Codec, data: &[u8]) {
    read(codec, &Frame::Binary(data.to_vec().into()));
}

fn read(codec: Codec, frame: &Frame) {
    let mut reader = Reader::new(codec);
    let first = reader.read(frame);
    for read in first.iter().flatten() {
        // Whatever was asked, there are answers to it: a refusal, and a sign of life where that has a form.
        let (tag, answer) = match read {
            Read::Request { tag, .. } => (*tag, Answer::Pong),
            Read::Refused { tag, error } => {
                assert!(!error.message.is_empty());
                (*tag, Answer::Error(error.clone()))
            }
        };
        let _ = codec.answer(tag, &answer);
    }
    // A frame means the same whenever it comes, but for the ids that are made for it.
    let second = Reader::new(codec).read(frame);
    assert_eq!(first.map(|reads| reads.len()), second.map(|reads| reads.len()));
}
