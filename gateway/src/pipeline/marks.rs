//! Receipts: a member's delivered and read marks.

use super::{Outcome, Pipeline};
use crate::{
    broker::Key,
    connection::session::Session,
    hub::event::Event,
    model::{RoomId, Seq},
    protocol::{Answer, WireError},
    store::Marks,
};

/// Raises marks and tells the room when that moved one.
pub(super) async fn raise(
    pipeline: &Pipeline,
    session: &Session,
    room: RoomId,
    delivered: Option<Seq>,
    read: Option<Seq>,
) -> Result<Outcome, WireError> {
    let user = session.user.id;
    let Marks { delivered_seq, read_seq, changed } = pipeline.services.store.mark(room, user, delivered, read).await?;
    if changed {
        pipeline.hub.hint(Key::Room(room), Event::Receipt { user, delivered_seq, read_seq }).await;
    }
    Ok(Answer::Ok.into())
}
