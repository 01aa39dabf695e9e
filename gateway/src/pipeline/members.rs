//! Who is in a room, as what, and who wants to hear of it.

use jiff::Timestamp;

use super::{Outcome, Pipeline, people, rooms::apply_for};
use crate::{
    audit::{self, Act, Record},
    broker::Key,
    connection::session::Session,
    hub::event::Event,
    model::{RequestId, Role, RoomId},
    protocol::{Answer, ErrorCode, WireError, request::Who},
    store::Changed,
};

/// Adds a member.
pub(super) async fn add(
    pipeline: &Pipeline,
    session: &Session,
    room: RoomId,
    member: Who,
    request: Option<RequestId>,
) -> Result<Outcome, WireError> {
    let store = &pipeline.services.store;
    let mut found = people::find(&**store, "member", &[member]).await?;
    let Some(member) = found.pop() else {
        return Err(WireError::new(ErrorCode::NotFound, "no such user"));
    };
    let Changed { events, .. } = store.add_member(room, session.user.id, member, request).await?;
    Ok(Outcome { answer: Answer::Ok, events, entry: None })
}

/// Removes a member.
pub(super) async fn remove(
    pipeline: &Pipeline,
    session: &Session,
    room: RoomId,
    member: &Who,
    request: Option<RequestId>,
) -> Result<Outcome, WireError> {
    let (store, member) = (&pipeline.services.store, people::id_of(member));
    let removed = store.remove_member(room, session.user.id, member, request).await.map_err(WireError::from);
    // Who leaves needs no privilege for it.
    if member != session.user.id {
        let (request, room, user) = (request.map(|request| request.0), Some(room), Some(member));
        Record { request, room, user, ..Record::of(Act::RemoveMember, session) }.write(came_of(&removed));
    }
    let Changed { events, .. } = removed?;
    apply_for(pipeline, session.user.id, &events).await;
    Ok(Outcome { answer: Answer::Ok, events, entry: None })
}

/// Gives a member another role.
pub(super) async fn set_role(
    pipeline: &Pipeline,
    session: &Session,
    room: RoomId,
    (member, role): (&Who, Role),
    request: Option<RequestId>,
) -> Result<Outcome, WireError> {
    let (store, member) = (&pipeline.services.store, people::id_of(member));
    let changed = store.set_role(room, session.user.id, member, role, request).await.map_err(WireError::from);
    let (request, room, user, role) = (request.map(|request| request.0), Some(room), Some(member), Some(role));
    Record { request, room, user, role, ..Record::of(Act::SetRole, session) }.write(came_of(&changed));
    let Changed { events, .. } = changed?;
    Ok(Outcome { answer: Answer::Ok, events, entry: None })
}

/// What came of a change of members. One that nobody must hear of was none.
fn came_of<T>(changed: &Result<Changed<T>, WireError>) -> audit::Outcome<'static> {
    audit::outcome(changed, |error| error.code, |changed| !changed.events.is_empty())
}

/// Notes until when the user wants no notifications of a room, and tells the user's connections.
pub(super) async fn mute(
    pipeline: &Pipeline,
    session: &Session,
    room: RoomId,
    until: Option<Timestamp>,
    request: Option<RequestId>,
) -> Result<Outcome, WireError> {
    let user = session.user.id;
    // A repeat that finds something else noted has nothing to tell.
    if pipeline.services.store.mute(room, user, until, request).await? {
        pipeline.hub.hint(Key::User(user), Event::Muted { room, until }).await;
    }
    Ok(Answer::Ok.into())
}
