//! Rooms and their members.

use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Outcome, Pipeline, people};
use crate::{
    broker::Key,
    connection::session::Session,
    hub::{Following, event::Event},
    model::{Role, RoomId, RoomKind, UserId},
    protocol::{Answer, ErrorCode, WireError, request::Who},
    store::{Changed, NewRoom, OutboxEvent, StoredEvent},
};

/// The fields of `create_room`.
pub(super) struct Wanted {
    pub(super) kind: RoomKind,
    pub(super) title: String,
    pub(super) members: Vec<Who>,
    pub(super) room_key: Option<Uuid>,
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
        (RoomKind::Group, _) => wanted.room_key.map_or_else(|| RoomId(Uuid::now_v7()), |key| keyed_room(creator, key)),
    };
    let limit = pipeline.services.config.limits.rooms_per_connection as usize;
    let follows_all = session.codec.follows_all();
    if follows_all && session.room_count() >= limit && !session.follows(id) {
        return Err(WireError::new(ErrorCode::Limit, format!("a connection follows at most {limit} rooms")));
    }
    let title = if wanted.kind == RoomKind::Direct { String::new() } else { wanted.title };
    let new = NewRoom { id, kind: wanted.kind, title, creator, members };
    let Changed { value: (room, created), events } = store.create_room(new).await?;
    apply_for(pipeline, creator, &events).await;
    if follows_all {
        pipeline.hub.follow(session, &[Following::newest(&room)]).await;
    }
    Ok(Outcome { answer: Answer::Room { room: room.into(), created }, events, entry: None })
}

/// Adds a member.
pub(super) async fn add_member(
    pipeline: &Pipeline,
    session: &Session,
    room: RoomId,
    member: Who,
) -> Result<Outcome, WireError> {
    let store = &pipeline.services.store;
    let mut found = people::find(&**store, "member", &[member]).await?;
    let Some(member) = found.pop() else {
        return Err(WireError::new(ErrorCode::NotFound, "no such user"));
    };
    let Changed { events, .. } = store.add_member(room, session.user.id, member).await?;
    Ok(Outcome { answer: Answer::Ok, events, entry: None })
}

/// Removes a member.
pub(super) async fn remove_member(
    pipeline: &Pipeline,
    session: &Session,
    room: RoomId,
    member: Who,
) -> Result<Outcome, WireError> {
    let member = people::id_of(&member);
    let Changed { events, .. } = pipeline.services.store.remove_member(room, session.user.id, member).await?;
    apply_for(pipeline, session.user.id, &events).await;
    Ok(Outcome { answer: Answer::Ok, events, entry: None })
}

/// Gives a member another role.
pub(super) async fn set_role(
    pipeline: &Pipeline,
    session: &Session,
    room: RoomId,
    member: &Who,
    role: Role,
) -> Result<Outcome, WireError> {
    let member = people::id_of(member);
    let Changed { events, .. } = pipeline.services.store.set_role(room, session.user.id, member, role).await?;
    Ok(Outcome { answer: Answer::Ok, events, entry: None })
}

/// Notes until when the user wants no notifications of a room, and tells the user's connections.
pub(super) async fn mute(
    pipeline: &Pipeline,
    session: &Session,
    room: RoomId,
    until: Option<Timestamp>,
) -> Result<Outcome, WireError> {
    pipeline.services.store.mute(room, session.user.id, until).await?;
    pipeline.hub.hint(Key::User(session.user.id), Event::Muted { room, until }).await;
    Ok(Answer::Ok.into())
}

/// Brings the asking user's own room list up to date before the answer, so that a `rooms` right after it is right. What fails here
/// the relay does later.
async fn apply_for(pipeline: &Pipeline, user: UserId, events: &[OutboxEvent]) {
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

fn derived(what: &str, first: Uuid, second: Uuid) -> RoomId {
    let digest =
        Sha256::new().chain_update(what).chain_update(first.as_bytes()).chain_update(second.as_bytes()).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    RoomId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}
