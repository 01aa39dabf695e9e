//! Stage 7: the answer, queued as soon as it is true. Publishing comes after it and never delays it.

use crate::{
    codec::Tag,
    connection::{queue::Class, session::Session},
    protocol::{Answer, ErrorCode, WireError, limits},
};

/// Bytes of one answer: with half of the queue it never makes the connection count as slow by itself.
const ANSWER_BYTES: usize = limits::QUEUE_BYTES / 2;

/// Answers under each of the tags.
pub(super) fn answer(session: &Session, tags: &[Tag], answer: &Answer) {
    for tag in tags {
        let mut frame = session.codec.answer(Some(*tag), answer);
        if frame.len() > ANSWER_BYTES {
            let error = WireError::new(ErrorCode::Limit, "the answer is too large");
            frame = session.codec.answer(Some(*tag), &Answer::Error(error));
        }
        session.push(frame, Class::Kept);
    }
}
