//! What clients ask, and how a frame becomes a request.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    contents, encoding,
    error::{ErrorCode, WireError},
    fields::{Fields, seq_of, text_of, uuid_of},
    limits, pages,
    value::{Map, Value},
};
use crate::{
    model::{Content, MessageId, Role, RoomId, RoomKind, Seq, UserId},
    store::{Page, View},
};

/// A request with its number, if an answer is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// Number chosen by the client.
    pub id: Option<u64>,
    /// What is asked.
    pub request: Request,
}

/// Requests by their `type`.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// The first one.
    Hello {
        /// Token from sign-in.
        token: String,
        /// Last seq that the client has, by room.
        resume: Vec<(RoomId, Seq)>,
    },
    /// Makes a room.
    CreateRoom {
        /// Kind.
        kind: RoomKind,
        /// Title; empty when absent.
        title: String,
        /// Names or ids of the others.
        members: Vec<Who>,
        /// Makes a repeat find the first room.
        room_key: Option<Uuid>,
    },
    /// Adds somebody to a group.
    AddMember {
        /// The room.
        room: RoomId,
        /// Who.
        member: Who,
    },
    /// Removes somebody from a group.
    RemoveMember {
        /// The room.
        room: RoomId,
        /// Who.
        member: Who,
    },
    /// Gives a member of a group another role.
    SetRole {
        /// The room.
        room: RoomId,
        /// Who.
        member: Who,
        /// The new role.
        role: Role,
    },
    /// Wants no notifications of a room for a time, or wants them again.
    Mute {
        /// The room.
        room: RoomId,
        /// Until when; `None`: wants them.
        until: Option<Timestamp>,
    },
    /// Lists the user's rooms.
    Rooms {
        /// The last room of the page before.
        after: Option<RoomId>,
        /// How many.
        limit: u32,
    },
    /// Lists a room's members.
    Members {
        /// The room.
        room: RoomId,
        /// Cursor of the page before; 0 for the first.
        after: i64,
        /// How many.
        limit: u32,
    },
    /// Sends, edits or deletes a message, or reacts to one.
    Send {
        /// The room.
        room: RoomId,
        /// Idempotency key.
        message_id: MessageId,
        /// What it says or changes.
        content: Content,
    },
    /// Pages through messages.
    History {
        /// The room.
        room: RoomId,
        /// Where.
        page: Page,
        /// What of it.
        view: View,
        /// How many.
        limit: u32,
    },
    /// Begins, renews or ends typing.
    Typing {
        /// The room.
        room: RoomId,
        /// Which.
        state: super::event::TypingState,
    },
    /// Confirms that everything up to `seq` arrived.
    Delivered {
        /// The room.
        room: RoomId,
        /// Up to here.
        seq: Seq,
    },
    /// Says that everything up to `seq` was read.
    Read {
        /// The room.
        room: RoomId,
        /// Up to here.
        seq: Seq,
    },
    /// Asks who is there.
    Presence {
        /// Whom to ask for.
        users: Vec<UserId>,
    },
    /// Follows a room, from a connection of the Centrifuge door.
    Subscribe(Subscribe),
    /// Ceases to follow a room, from a connection of the Centrifuge door.
    Unsubscribe {
        /// The room.
        room: RoomId,
    },
    /// Asks which members of a room are there, from a connection of the Centrifuge door.
    RoomPresence {
        /// The room.
        room: RoomId,
    },
    /// Goes on under a new token, from a connection of the Centrifuge door.
    Refresh {
        /// Of the same user.
        token: String,
    },
    /// Asks whether the connection lives.
    Ping,
}

/// A wish to follow one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// The room.
    pub room: RoomId,
    /// Where to go on.
    pub recover: Recover,
    /// Whether to refuse rather than go on live when there is no way to go on there.
    pub strict: bool,
}

/// Where a subscription goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recover {
    /// Live.
    No,
    /// After this seq.
    From(Seq),
    /// At a position of another history, where nothing can go on.
    Elsewhere,
}

/// A user by id or by sign-in name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// By id.
    Id(UserId),
    /// By name, folded.
    Name(String),
}

impl Request {
    /// The room that a request is about, if it is about one that exists.
    #[must_use]
    pub fn room(&self) -> Option<RoomId> {
        match self {
            Self::AddMember { room, .. }
            | Self::RemoveMember { room, .. }
            | Self::SetRole { room, .. }
            | Self::Mute { room, .. }
            | Self::Members { room, .. }
            | Self::Send { room, .. }
            | Self::History { room, .. }
            | Self::Typing { room, .. }
            | Self::Subscribe(Subscribe { room, .. })
            | Self::Unsubscribe { room }
            | Self::RoomPresence { room }
            | Self::Delivered { room, .. }
            | Self::Read { room, .. } => Some(*room),
            Self::Hello { .. }
            | Self::CreateRoom { .. }
            | Self::Rooms { .. }
            | Self::Presence { .. }
            | Self::Refresh { .. }
            | Self::Ping => None,
        }
    }
}

/// A frame that is no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Number of the request, as far as it could be read.
    pub id: Option<u64>,
    /// What to answer.
    pub error: WireError,
}

/// Reads one text frame.
///
/// # Errors
/// `bad_json` when it is no JSON object, `unknown_type`, or `bad_request` with the field at fault.
pub fn parse(text: &str) -> Result<Incoming, Refusal> {
    match encoding::read_json(text) {
        Some(map) => read(Fields::json(map)),
        None => Err(unreadable("a frame is one JSON object, which names each field once")),
    }
}

/// Reads one binary frame: a CBOR map with the fields of the JSON object. In it an id may be a byte string, and a time an integer of
/// milliseconds since the Unix epoch.
///
/// # Errors
/// As of [`parse`]; `bad_json` when it is not one CBOR map.
pub fn parse_cbor(bytes: &[u8]) -> Result<Incoming, Refusal> {
    match encoding::read_cbor(bytes) {
        Some(map) => read(Fields::cbor(map)),
        None => Err(unreadable("a frame is one CBOR map, which names each field once, by a text")),
    }
}

fn unreadable(message: &str) -> Refusal {
    Refusal { id: None, error: WireError::new(ErrorCode::BadJson, message) }
}

fn read(mut fields: Fields) -> Result<Incoming, Refusal> {
    let refuse = |id, error| Refusal { id, error };
    let id = match fields.take("id") {
        None => None,
        Some(value) => Some(
            value
                .as_u64()
                .filter(|id| *id <= limits::REQUEST_ID_MAX)
                .ok_or_else(|| refuse(None, WireError::field("id", "id must be an integer from 0 to 2^53")))?,
        ),
    };
    let kind = fields.text("type").map_err(|error| refuse(id, error))?;
    match request(&kind, &mut fields) {
        Ok(request) => Ok(Incoming { id, request }),
        Err(error) => Err(refuse(id, error)),
    }
}

/// Reads a request of this `type` out of its other fields.
///
/// # Errors
/// `unknown_type`, or `bad_request` with the field at fault.
pub(crate) fn read_request(kind: &str, fields: Map) -> Result<Request, WireError> {
    request(kind, &mut Fields::json(fields))
}

fn request(kind: &str, fields: &mut Fields) -> Result<Request, WireError> {
    use super::event::TypingState::{Start, Stop};
    Ok(match kind {
        "hello" => Request::Hello { token: fields.text("token")?, resume: resume(fields)? },
        "create_room" => create_room(fields)?,
        "add_member" => Request::AddMember { room: room(fields)?, member: member(fields)? },
        "remove_member" => Request::RemoveMember { room: room(fields)?, member: member(fields)? },
        "set_role" => Request::SetRole { room: room(fields)?, member: member(fields)?, role: role(fields)? },
        "mute" => Request::Mute { room: room(fields)?, until: Some(pages::until(fields)?) },
        "unmute" => Request::Mute { room: room(fields)?, until: None },
        "rooms" => pages::rooms(fields)?,
        "members" => pages::members(fields)?,
        "history" => pages::history(fields)?,
        "send" | "edit" | "delete" | "react" | "unreact" => Request::Send {
            room: room(fields)?,
            message_id: message_id(fields)?,
            content: contents::content(kind, fields)?,
        },
        "typing_start" => Request::Typing { room: room(fields)?, state: Start },
        "typing_stop" => Request::Typing { room: room(fields)?, state: Stop },
        "delivered" => Request::Delivered { room: room(fields)?, seq: fields.seq("seq")? },
        "read" => Request::Read { room: room(fields)?, seq: fields.seq("seq")? },
        "presence" => Request::Presence {
            users: fields
                .list("users", limits::PRESENCE_USERS)?
                .iter()
                .map(|value| uuid_of("users", value).map(UserId))
                .collect::<Result<_, _>>()?,
        },
        "ping" => Request::Ping,
        _ => return Err(WireError::new(ErrorCode::UnknownType, "no such request; see the protocol page")),
    })
}

pub(super) fn room(fields: &mut Fields) -> Result<RoomId, WireError> {
    fields.uuid("room").map(RoomId)
}

fn message_id(fields: &mut Fields) -> Result<MessageId, WireError> {
    let id = fields.uuid("message_id")?;
    // Random ids would scatter over the store's index; time-ordered ones stay at its end.
    if id.get_version_num() != 7 {
        return Err(WireError::field("message_id", "message_id must be a UUIDv7"));
    }
    Ok(MessageId(id))
}

fn resume(fields: &mut Fields) -> Result<Vec<(RoomId, Seq)>, WireError> {
    let bad = || WireError::field("resume", "resume is a list of {room, seq}");
    fields
        .optional_list("resume", limits::RESUME_ROOMS)?
        .iter()
        .map(|entry| {
            let room = uuid_of("resume", entry.get("room").ok_or_else(bad)?)?;
            let seq = seq_of("resume", entry.get("seq").ok_or_else(bad)?)?;
            Ok((RoomId(room), seq))
        })
        .collect()
}

fn create_room(fields: &mut Fields) -> Result<Request, WireError> {
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
    Ok(Request::CreateRoom { kind, title, members, room_key })
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
