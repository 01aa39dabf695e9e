//! Requests that change nothing.

use super::{Outcome, Pipeline};
use crate::{
    connection::session::Session,
    model::{RoomId, UserId},
    protocol::{
        Answer, WireError,
        answer::{PresenceState, PresenceView},
    },
    store::Page,
};

/// The user's rooms. Those of a shard that is away are left out rather than the others withheld.
pub(super) async fn rooms(pipeline: &Pipeline, session: &Session) -> Result<Outcome, WireError> {
    let (rooms, _complete) = pipeline.services.store.user_rooms(session.user.id).await?;
    Ok(Answer::Rooms { rooms: rooms.into_iter().map(Into::into).collect() }.into())
}

/// A room's members.
pub(super) async fn members(pipeline: &Pipeline, session: &Session, room: RoomId) -> Result<Outcome, WireError> {
    let members = pipeline.services.store.members(room, session.user.id).await?;
    Ok(Answer::Members { room, members }.into())
}

/// A page of messages.
pub(super) async fn history(
    pipeline: &Pipeline,
    session: &Session,
    room: RoomId,
    page: Page,
    limit: u32,
) -> Result<Outcome, WireError> {
    let (messages, more) = pipeline.services.store.history(room, session.user.id, page, limit).await?;
    Ok(Answer::History { room, messages: messages.into_iter().map(Into::into).collect(), more }.into())
}

/// Who is there.
pub(super) async fn presence(pipeline: &Pipeline, users: &[UserId]) -> Outcome {
    let online = pipeline.services.presence.online(users).await;
    let state = |online| if online { PresenceState::Online } else { PresenceState::Offline };
    let users = users.iter().zip(online).map(|(user, online)| PresenceView { user: *user, state: state(online) }).collect();
    Answer::PresenceList { users }.into()
}
