//! What clients ask, and how a frame becomes a request.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    changes, contents, encoding,
    error::{ErrorCode, WireError},
    fields::{Fields, seq_of, uuid_of},
    limits, pages,
    value::{Map, Value},
};
use crate::{
    model::{Content, MessageId, RequestId, Role, RoomId, RoomKind, Seq, UserId},
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
        /// Idempotency key.
        request_id: Option<RequestId>,
    },
    /// Adds somebody to a group.
    AddMember {
        /// The room.
        room: RoomId,
        /// Who.
        member: Who,
        /// Idempotency key.
        request_id: Option<RequestId>,
    },
    /// Removes somebody from a group.
    RemoveMember {
        /// The room.
        room: RoomId,
        /// Who.
        member: Who,
        /// Idempotency key.
        request_id: Option<RequestId>,
    },
    /// Gives a member of a group another role.
    SetRole {
        /// The room.
        room: RoomId,
        /// Who.
        member: Who,
        /// The new role.
        role: Role,
        /// Idempotency key.
        request_id: Option<RequestId>,
    },
    /// Wants no notifications of a room for a time, or wants them again.
    Mute {
        /// The room.
        room: RoomId,
        /// Until when; `None`: wants them.
        until: Option<Timestamp>,
        /// Idempotency key.
        request_id: Option<RequestId>,
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
        "create_room" => changes::create_room(fields)?,
        "add_member" => changes::add_member(fields)?,
        "remove_member" => changes::remove_member(fields)?,
        "set_role" => changes::set_role(fields)?,
        "mute" => changes::mute(fields)?,
        "unmute" => changes::unmute(fields)?,
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
    key_of("message_id", &fields.need("message_id")?).map(MessageId)
}

/// An idempotency key.
pub(super) fn key_of(field: &'static str, value: &Value) -> Result<Uuid, WireError> {
    let id = uuid_of(field, value)?;
    // Random ids would scatter over the store's index; time-ordered ones stay at its end.
    if id.get_version_num() != 7 {
        return Err(WireError::field(field, format!("{field} must be a UUIDv7")));
    }
    Ok(id)
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
