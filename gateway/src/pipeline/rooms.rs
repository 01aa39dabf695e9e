//! Rooms that are made.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Outcome, Pipeline, people};
use crate::{
    connection::session::Session,
    hub::Following,
    model::{RequestId, Room, RoomId, RoomKind, UserId},
    protocol::{Answer, ErrorCode, WireError, limits, request::Who},
    store::{Changed, NewRoom, OutboxEvent, StoreError, StoredEvent},
};

/// The fields of `create_room`.
pub(super) struct Wanted {
    pub(super) kind: RoomKind,
    pub(super) title: String,
    pub(super) members: Vec<Who>,
    pub(super) room_key: Option<Uuid>,
    pub(super) request_id: Option<RequestId>,
}

/// Makes a room, or finds the one that the same request made.
pub(super) async fn create(pipeline: &Pipeline, session: &Arc<Session>, wanted: Wanted) -> Result<Outcome, WireError> {
    let creator = session.user.id;
    let store = &pipeline.services.store;
    let mut members = people::find(&**store, "members", &wanted.members).await?;
    members.retain(|member| member.id != creator);
    let id = match (wanted.kind, members.first()) {
        (RoomKind::Direct, None) => return Err(WireError::field("members", "a direct room is with somebody else")),
        (RoomKind::Direct, Some(other)) => direct_room(creator, other.id),
        (RoomKind::Group, _) => match (wanted.room_key, wanted.request_id) {
            (Some(key), _) => keyed_room(creator, key),
            (None, Some(request)) => asked_room(creator, request),
            (None, None) => RoomId(Uuid::now_v7()),
        },
    };
    let title = if wanted.kind == RoomKind::Direct { String::new() } else { wanted.title };
    let new = NewRoom { id, kind: wanted.kind, title, creator, members };
    let limit = pipeline.services.config.get().limits.rooms_per_connection as usize;
    if is_full(pipeline, session, id, limit).await? {
        // What was made under this request counts already.
        if let Some(request) = wanted.request_id
            && let Some((room, created)) = store.made_before(&new, request).await?
        {
            return Ok(Answer::Room { room: room.into(), created }.into());
        }
        return Err(WireError::new(ErrorCode::Limit, format!("a connection follows at most {limit} rooms")));
    }
    let Changed { value: (room, created), events } = store.create_room(new, wanted.request_id).await?;
    apply_for(pipeline, creator, &events).await;
    if session.codec.follows_all() {
        let repeat = wanted.request_id.is_some() && events.is_empty();
        follow(pipeline, session, &room, repeat).await?;
    }
    Ok(Outcome { answer: Answer::Room { room: room.into(), created }, events, entry: None })
}

/// Whether the user can have no further room on a connection. One of the Centrifuge door follows what it subscribes to, so there those
/// rooms count that a connection of the other door would follow.
async fn is_full(pipeline: &Pipeline, session: &Session, id: RoomId, limit: usize) -> Result<bool, StoreError> {
    if session.codec.follows_all() {
        return Ok(session.room_count() >= limit && !session.follows(id));
    }
    let rooms = pipeline.services.store.room_ids(session.user.id).await?;
    Ok(rooms.len() >= limit && !rooms.contains(&id))
}

/// Follows a room that was made or found. After a repeat the user may be in it no more, and its log may have gone far beyond what the
/// first answer said.
async fn follow(pipeline: &Pipeline, session: &Arc<Session>, room: &Room, repeat: bool) -> Result<(), WireError> {
    let mut following = Following::newest(room);
    if repeat {
        match pipeline.services.store.room(room.id, session.user.id).await {
            Ok(now) => {
                following.member_version = now.member_version;
                if now.last_seq - following.cursor > limits::RESUME_DISTANCE {
                    following.cursor = now.last_seq;
                }
            }
            Err(StoreError::RoomNotFound) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    pipeline.hub.follow(session, &[following]).await;
    Ok(())
}

/// Brings the asking user's own room list up to date before the answer, so that a `rooms` right after it is right. What fails here
/// the relay does later.
pub(super) async fn apply_for(pipeline: &Pipeline, user: UserId, events: &[OutboxEvent]) {
    for OutboxEvent { event, .. } in events {
        let concerns = match event {
            StoredEvent::Joined { user: whom, .. } | StoredEvent::Left { user: whom, .. } => *whom == user,
            StoredEvent::Message { .. } | StoredEvent::Role { .. } => false,
        };
        if concerns && let Err(error) = pipeline.services.store.apply_membership(event).await {
            tracing::debug!(%error, "a room list is brought up to date later");
        }
    }
}

/// The one direct room of a pair.
fn direct_room(one: UserId, other: UserId) -> RoomId {
    let (low, high) = if one <= other { (one, other) } else { (other, one) };
    derived("direct:", low.0, high.0)
}

/// The group that a user's key names.
fn keyed_room(creator: UserId, key: Uuid) -> RoomId {
    derived("group:", creator.0, key)
}

/// The group that a request without a key makes, so that its repeat finds it.
fn asked_room(creator: UserId, request: RequestId) -> RoomId {
    derived("request:", creator.0, request.0)
}

fn derived(what: &str, first: Uuid, second: Uuid) -> RoomId {
    let digest =
        Sha256::new().chain_update(what).chain_update(first.as_bytes()).chain_update(second.as_bytes()).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    RoomId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}
