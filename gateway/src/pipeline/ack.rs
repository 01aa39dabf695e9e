//! Stage 7: the answer, queued as soon as it is true. Publishing comes after it and never delays it.

use crate::{
    connection::{queue::Class, session::Session},
    protocol::{Answer, encode_answer},
};

/// Answers each of the numbers.
pub(super) fn answer(session: &Session, ids: &[u64], answer: &Answer) {
    for id in ids {
        session.push(encode_answer(Some(*id), answer), Class::Kept);
    }
}
