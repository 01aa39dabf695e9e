//! Requests that change nothing.

use std::collections::HashMap;

use super::{Outcome, Pipeline};
use crate::{
    connection::session::Session,
    model::{Message, Reaction, RoomId, Seq, UserId},
    presence::Attendance,
    protocol::{
        Answer, WireError,
        answer::{MessageView, PresenceState, PresenceView},
        limits,
        rooms::SummaryView,
    },
    store::{Entries, Page, View},
};

/// Bytes of bodies in one page: a quarter of the queue, so that an answer never makes a connection count as slow.
const HISTORY_BYTES: usize = limits::QUEUE_BYTES / 4;

/// A page of the user's rooms. Those of a shard that is away are left out rather than the others withheld.
pub(super) async fn rooms(
    pipeline: &Pipeline,
    session: &Session,
    after: Option<RoomId>,
    limit: u32,
) -> Result<Outcome, WireError> {
    let (store, user) = (&pipeline.services.store, session.user.id);
    let mut ids = store.room_ids(user).await?;
    if let Some(after) = after {
        // By order and not by place: the room of the page before may have been left meanwhile.
        ids.retain(|id| *id < after);
    }
    let limit = limit as usize;
    let more = ids.len() > limit;
    ids.truncate(limit);
    let next = ids.last().copied().filter(|_| more);
    let (mut rooms, complete) = store.summaries(user, &ids).await?;
    let now = store.now();
    rooms.sort_by_key(|summary| std::cmp::Reverse(summary.room.id));
    let rooms = rooms.into_iter().map(|summary| SummaryView::new(summary, now)).collect();
    Ok(Answer::Rooms { rooms, incomplete: !complete, next }.into())
}

/// A page of a room's members.
pub(super) async fn members(
    pipeline: &Pipeline,
    session: &Session,
    room: RoomId,
    after: i64,
    limit: u32,
) -> Result<Outcome, WireError> {
    let (members, next) = pipeline.services.store.members(room, session.user.id, after, limit).await?;
    Ok(Answer::Members { room, members, next }.into())
}

/// What of a room's log is asked for.
pub(super) struct Wanted {
    pub(super) page: Page,
    pub(super) view: View,
    pub(super) limit: u32,
}

/// A page of messages.
pub(super) async fn history(
    pipeline: &Pipeline,
    session: &Session,
    room: RoomId,
    Wanted { page, view, limit }: Wanted,
) -> Result<Outcome, WireError> {
    let found = pipeline.services.store.history(room, session.user.id, page, view, limit).await?;
    let Entries { mut messages, reactions, mut more, last_seq } = found;
    more |= cut(&mut messages, page);
    let mut reactions: HashMap<Seq, Vec<Reaction>> = reactions.into_iter().collect();
    let view = |message: Message| {
        let reactions = reactions.remove(&message.seq).unwrap_or_default();
        MessageView::from(message).with_reactions(reactions)
    };
    let messages = messages.into_iter().map(view).collect();
    Ok(Answer::History { room, messages, more, last_seq }.into())
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
    let Attendance { users: online, incomplete } = pipeline.services.presence.online(users).await;
    let state = |online| if online { PresenceState::Online } else { PresenceState::Offline };
    let users =
        users.iter().zip(online).map(|(user, online)| PresenceView { user: *user, state: state(online) }).collect();
    Answer::PresenceList { users, incomplete }.into()
}
