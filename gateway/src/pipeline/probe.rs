//! The operator's probe talks for ever in rooms that nobody reads again: its gateway keeps them short.

use chat_gateway_config::probe::{KEPT, TRIM_EVERY};

use crate::{auth::names, connection::session::Session, protocol::Answer, store::Store};

/// Trims the room of a message of the probe, now and then. What fails is done with one of the next messages.
pub(super) async fn trim(store: &dyn Store, session: &Session, answer: &Answer) {
    if let Answer::Sent { room, seq, duplicate: false, .. } = answer
        && names::is_probe(session.user.id)
        && seq % TRIM_EVERY == 0
        && let Err(error) = store.trim(*room, KEPT).await
    {
        tracing::debug!(%room, %error, "a room of the probe could not be trimmed yet");
    }
}
