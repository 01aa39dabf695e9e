//! Requests that change a room, its members or its mute.

use super::{
    error::WireError,
    fields::{Fields, text_of, uuid_of},
    limits, pages,
    request::{Request, Who, key_of, room},
    value::Value,
};
use crate::model::{RequestId, Role, RoomKind, UserId};

pub(super) fn create_room(fields: &mut Fields) -> Result<Request, WireError> {
    let kind = match fields.text("kind")?.as_str() {
        "direct" => RoomKind::Direct,
        "group" => RoomKind::Group,
        _ => return Err(WireError::field("kind", "kind must be direct or group")),
    };
    let title = fields.take("title").map(|value| text_of("title", value)).transpose()?.unwrap_or_default();
    if title.chars().count() > limits::TITLE_CHARS {
        return Err(WireError::field("title", "title has at most 128 characters"));
    }
    let members = fields
        .list("members", limits::ROOM_MEMBERS)?
        .iter()
        .map(|value| who("members", value))
        .collect::<Result<Vec<_>, _>>()?;
    if kind == RoomKind::Direct && members.len() != 1 {
        return Err(WireError::field("members", "a direct room has exactly one other member"));
    }
    let room_key = fields.take("room_key").map(|value| uuid_of("room_key", &value)).transpose()?;
    Ok(Request::CreateRoom { kind, title, members, room_key, request_id: request_id(fields)? })
}

pub(super) fn add_member(fields: &mut Fields) -> Result<Request, WireError> {
    Ok(Request::AddMember { room: room(fields)?, member: member(fields)?, request_id: request_id(fields)? })
}

pub(super) fn remove_member(fields: &mut Fields) -> Result<Request, WireError> {
    Ok(Request::RemoveMember { room: room(fields)?, member: member(fields)?, request_id: request_id(fields)? })
}

pub(super) fn set_role(fields: &mut Fields) -> Result<Request, WireError> {
    let (room, member, role) = (room(fields)?, member(fields)?, role(fields)?);
    Ok(Request::SetRole { room, member, role, request_id: request_id(fields)? })
}

pub(super) fn mute(fields: &mut Fields) -> Result<Request, WireError> {
    let (room, until) = (room(fields)?, Some(pages::until(fields)?));
    Ok(Request::Mute { room, until, request_id: request_id(fields)? })
}

pub(super) fn unmute(fields: &mut Fields) -> Result<Request, WireError> {
    Ok(Request::Mute { room: room(fields)?, until: None, request_id: request_id(fields)? })
}

/// The idempotency key, which old clients do not send.
fn request_id(fields: &mut Fields) -> Result<Option<RequestId>, WireError> {
    fields.take("request_id").map(|value| key_of("request_id", &value).map(RequestId)).transpose()
}

fn member(fields: &mut Fields) -> Result<Who, WireError> {
    let value = fields.need("member")?;
    who("member", &value)
}

fn role(fields: &mut Fields) -> Result<Role, WireError> {
    match fields.text("role")?.as_str() {
        "owner" => Ok(Role::Owner),
        "admin" => Ok(Role::Admin),
        "member" => Ok(Role::Member),
        _ => Err(WireError::field("role", "role must be owner, admin or member")),
    }
}

fn who(field: &'static str, value: &Value) -> Result<Who, WireError> {
    if let Ok(id) = uuid_of(field, value) {
        return Ok(Who::Id(UserId(id)));
    }
    let text = value.as_str().ok_or_else(|| WireError::field(field, format!("{field} takes names or ids")))?;
    // No name is longer than 32 characters; anything that is no name simply finds nobody.
    if text.is_empty() || text.len() > 128 || text.contains('\0') {
        return Err(WireError::field(field, format!("{field} takes names or ids")));
    }
    Ok(Who::Name(text.to_ascii_lowercase()))
}
