//! Stage 4: only members get anything out of a room, and others cannot tell it from one that does not exist.

use crate::{
    connection::session::Session,
    protocol::{Request, WireError},
    store::Store,
};

/// Checks membership for requests whose own store call does not. A message's transaction checks again: this check only keeps the
/// rest of the pipeline from working for strangers.
pub(super) async fn check(store: &dyn Store, session: &Session, request: &Request) -> Result<(), WireError> {
    let room = match request {
        Request::Send { room, .. } | Request::Typing { room, .. } => *room,
        _ => return Ok(()),
    };
    if session.follows(room) || store.membership(room, session.user.id).await?.is_some() {
        return Ok(());
    }
    Err(WireError::no_room())
}
