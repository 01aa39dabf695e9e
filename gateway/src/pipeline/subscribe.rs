//! Subscriptions: a connection of the Centrifuge door follows the rooms that it asks for.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Outcome, Pipeline};
use crate::{
    auth::Claims,
    connection::session::Session,
    hub::Following,
    model::{RoomId, Seq, User},
    protocol::{
        Answer, ErrorCode, WireError, limits,
        request::{Recover, Subscribe},
    },
};

/// Members read at once when a room's presence is asked for.
const PAGE: u32 = 1_000;

/// Where delivery begins, once the answer is on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    following: Following,
    stored: Seq,
}

impl Entry {
    /// Begins delivery.
    pub(super) async fn enter(self, pipeline: &Pipeline, session: &Arc<Session>) {
        pipeline.hub.enter(session, self.following, self.stored).await;
    }
}

/// Follows a room, from where the client says if that can be done.
pub(super) async fn subscribe(
    pipeline: &Pipeline,
    session: &Arc<Session>,
    Subscribe { room, recover, strict }: Subscribe,
) -> Result<Outcome, WireError> {
    let limit = pipeline.services.config.get().limits.rooms_per_connection as usize;
    if session.room_count() >= limit && !session.follows(room) {
        return Err(WireError::new(ErrorCode::Limit, format!("a connection follows at most {limit} rooms")));
    }
    let Some(found) = pipeline.hub.open(session, room).await? else {
        return Err(WireError {
            field: Some("channel"),
            ..WireError::new(ErrorCode::Conflict, "the connection is subscribed already")
        });
    };
    let stored = found.last_seq;
    let from = match recover {
        // A position beyond the end is of another history of this room.
        Recover::From(seq) => Some(seq).filter(|seq| (0..=limits::RESUME_DISTANCE).contains(&(stored - seq))),
        Recover::No | Recover::Elsewhere => None,
    };
    let recovered = (recover != Recover::No).then_some(from.is_some());
    if strict && recovered == Some(false) {
        pipeline.hub.unfollow(session, room).await;
        return Err(WireError::field(
            "epoch",
            "publications since that position cannot be recovered; take the history",
        ));
    }
    let cursor = from.unwrap_or(stored);
    let following = Following { room, cursor, member_version: found.member_version };
    let answer = Answer::Subscribed { position: cursor, recovered };
    Ok(Outcome { answer, events: Vec::new(), entry: Some(Entry { following, stored }) })
}

/// Ceases to follow a room; nothing to do where it was not followed.
pub(super) async fn unsubscribe(pipeline: &Pipeline, session: &Arc<Session>, room: RoomId) -> Outcome {
    pipeline.hub.unfollow(session, room).await;
    Answer::Ok.into()
}

/// The members of a room who are online.
pub(super) async fn presence(pipeline: &Pipeline, session: &Session, room: RoomId) -> Result<Outcome, WireError> {
    let (store, mut after) = (&pipeline.services.store, 0);
    let mut online = Vec::new();
    // Rooms are bounded, so this ends.
    loop {
        let (members, next) = store.members(room, session.user.id, after, PAGE).await?;
        let ids: Vec<_> = members.iter().map(|member| member.user).collect();
        let there = pipeline.services.presence.online(&ids).await.users;
        let members = members.into_iter().zip(there).filter(|(_, there)| *there);
        online.extend(members.map(|(m, _)| User { id: m.user, name: m.name, display_name: m.display_name }));
        match next {
            Some(next) => after = next,
            None => return Ok(Answer::RoomPresence { online }.into()),
        }
    }
}

/// Goes on under a new token.
pub(super) async fn refresh(pipeline: &Pipeline, session: &Session, token: &str) -> Result<Outcome, WireError> {
    let Claims { user, session: sign_in, expires_at } = pipeline.services.tokens.verify(token).await?;
    // The connection ends with the sign-in it began with; under a token of another one it would outlive it or end too early.
    if user.id != session.user.id || sign_in != session.sign_in {
        return Err(WireError::new(ErrorCode::Unauthenticated, "the token is of another sign-in"));
    }
    session.renew(expires_at);
    Ok(Answer::Refreshed { expires_in: expires_at - Timestamp::now().as_second() }.into())
}
