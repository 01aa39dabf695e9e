//! Requests that change nothing.

use super::{Outcome, Pipeline};
use crate::{
    connection::session::Session,
    model::{Message, RoomId, UserId},
    protocol::{
        Answer, WireError,
        answer::{PresenceState, PresenceView},
        limits,
    },
    store::Page,
};

/// Bytes of bodies in one page: a quarter of the queue, so that an answer never makes a connection count as slow.
const HISTORY_BYTES: usize = limits::QUEUE_BYTES / 4;

/// Rooms in one answer, the newest: at most some 500 bytes each.
const ROOMS: usize = 1_000;

/// The user's rooms. Those of a shard that is away are left out rather than the others withheld.
pub(super) async fn rooms(pipeline: &Pipeline, session: &Session) -> Result<Outcome, WireError> {
    let (mut rooms, _complete) = pipeline.services.store.user_rooms(session.user.id).await?;
    rooms.truncate(ROOMS);
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
    let (mut messages, mut more) = pipeline.services.store.history(room, session.user.id, page, limit).await?;
    more |= cut(&mut messages, page);
    Ok(Answer::History { room, messages: messages.into_iter().map(Into::into).collect(), more }.into())
}

/// Cuts a page of long messages to [`HISTORY_BYTES`], at the end that the next page goes on from; true when something was cut.
fn cut(messages: &mut Vec<Message>, page: Page) -> bool {
    // As encoded: a control character takes six bytes.
    let size = |message: &Message| serde_json::to_string(&message.body).map_or(0, |body| body.len());
    let mut bytes = 0;
    let mut fits = |message: &&Message| {
        bytes += size(message);
        bytes <= HISTORY_BYTES
    };
    let before = messages.len();
    match page {
        Page::After(_) => {
            let kept = messages.iter().take_while(&mut fits).count().max(1);
            messages.truncate(kept);
        }
        Page::Before(_) | Page::Newest => {
            let kept = messages.iter().rev().take_while(&mut fits).count().max(1);
            messages.drain(..before.saturating_sub(kept));
        }
    }
    messages.len() < before
}

/// Who is there.
pub(super) async fn presence(pipeline: &Pipeline, users: &[UserId]) -> Outcome {
    let online = pipeline.services.presence.online(users).await;
    let state = |online| if online { PresenceState::Online } else { PresenceState::Offline };
    let users =
        users.iter().zip(online).map(|(user, online)| PresenceView { user: *user, state: state(online) }).collect();
    Answer::PresenceList { users }.into()
}
