//! Typing notices: never stored, never waited for.

use super::{Outcome, Pipeline};
use crate::{
    broker::Key,
    connection::session::Session,
    hub::event::Event,
    model::RoomId,
    protocol::{Answer, event::TypingState},
};

/// Tells the room that the user types or no longer does.
pub(super) async fn tell(pipeline: &Pipeline, session: &Session, room: RoomId, state: TypingState) -> Outcome {
    let event = Event::Typing { user: session.user.id, name: session.user.display_name.clone(), state };
    pipeline.hub.hint(Key::Room(room), event).await;
    Answer::Ok.into()
}
