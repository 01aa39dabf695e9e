//! Stage 7: the answer, queued as soon as it is true. Publishing comes after it and never delays it.

use crate::{
    connection::{queue::Class, session::Session},
    protocol::{Answer, ErrorCode, WireError, encode_answer, limits},
};

/// Bytes of one answer: with half of the queue it never makes the connection count as slow by itself.
const ANSWER_BYTES: usize = limits::QUEUE_BYTES / 2;

/// Answers each of the numbers.
pub(super) fn answer(session: &Session, ids: &[u64], answer: &Answer) {
    for id in ids {
        let mut frame = encode_answer(Some(*id), answer);
        if frame.len() > ANSWER_BYTES {
            let error = WireError::new(ErrorCode::Limit, "the answer is too large");
            frame = encode_answer(Some(*id), &Answer::Error(error));
        }
        session.push(frame, Class::Kept);
    }
}
