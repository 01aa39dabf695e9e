//! Stage 7: the answer, queued as soon as it is true. Publishing comes after it and never delays it.

use std::{sync::atomic::Ordering, time::Instant};

use crate::{
    auth::names,
    codec::Tag,
    connection::{queue::Class, session::Session},
    protocol::{Answer, ErrorCode, WireError, limits},
    services::Services,
};

/// Bytes of one answer: with half of the queue it never makes the connection count as slow by itself.
const ANSWER_BYTES: usize = limits::QUEUE_BYTES / 2;

/// Counts a message that was acknowledged for the first time. The operator's probe is none of the cluster's load.
pub(super) fn count(
    services: &Services,
    session: &Session,
    (tags, taken_up): (&[Tag], Option<Instant>),
    answer: &Answer,
) {
    if let Answer::Sent { room, seq, duplicate: false, .. } = answer {
        // Who wants no answer is promised nothing.
        if !tags.is_empty() {
            services.books.accepted(*room, *seq);
        }
        if !names::is_probe(session.user.id) {
            services.counters.accepted.fetch_add(1, Ordering::Relaxed);
            if let Some(taken_up) = taken_up {
                services.counters.acks.observe(taken_up.elapsed());
            }
        }
    }
}

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
