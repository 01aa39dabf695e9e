//! The protocol's frames as a client sees them, written from `docs/reference/protocol.md` and not from the gateway's types.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// Sub-protocol of the WebSocket.
pub const SUB_PROTOCOL: &str = "chat.v1";

/// A frame from the gateway: an answer when `re` is there, else an event.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// Number of the request that this answers.
    pub re: Option<u64>,
    /// What it says.
    pub body: Body,
}

/// Answers and events by their `type`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields are those of the protocol page")]
pub enum Body {
    Welcome(Box<Welcome>),
    Room {
        room: Room,
        created: bool,
    },
    Rooms {
        rooms: Vec<Room>,
    },
    Members {
        room: Uuid,
        members: Vec<Member>,
    },
    Sent(Sent),
    History {
        room: Uuid,
        messages: Vec<Message>,
        more: bool,
    },
    PresenceList {
        users: Vec<Presence>,
        /// Absent in what gateways of before say.
        #[serde(default)]
        incomplete: bool,
    },
    Ok,
    Pong,
    Error(Refusal),
    Message {
        message: Message,
    },
    Receipt {
        room: Uuid,
        user: Uuid,
        delivered_seq: u64,
        read_seq: u64,
    },
    Typing {
        room: Uuid,
        user: Uuid,
        name: String,
        state: String,
    },
    Presence(Presence),
    RoomAdded {
        room: Room,
    },
    RoomRemoved {
        room: Uuid,
    },
    MemberAdded {
        room: Uuid,
        user: Uuid,
    },
    MemberRemoved {
        room: Uuid,
        user: Uuid,
    },
    Reconnect {
        after_ms: u64,
        reason: String,
    },
}

/// First answer of a connection.
#[derive(Clone, Debug, Deserialize)]
pub struct Welcome {
    /// Id of the session.
    pub session: Value,
    /// Who the token belongs to.
    pub user: User,
    /// Name of the gateway.
    pub gateway: String,
    /// Seconds between the gateway's pings.
    pub ping_seconds: u64,
    /// The user's rooms.
    pub rooms: Vec<Room>,
    /// What became of the rooms that `hello` named.
    pub resumed: Vec<Resumed>,
}

/// A user as others see them.
#[derive(Clone, Debug, Deserialize)]
pub struct User {
    /// Id.
    pub id: Uuid,
    /// Sign-in name.
    pub name: String,
    /// Name to show.
    pub display_name: String,
}

/// A room as one of its members sees it.
#[derive(Clone, Debug, Deserialize)]
pub struct Room {
    /// Id.
    pub id: Uuid,
    /// `direct` or `group`.
    pub kind: String,
    /// Seq of the newest message, 0 in a room without messages.
    pub last_seq: u64,
    /// The asking user's own read mark.
    pub read_seq: u64,
    /// The asking user's own delivered mark.
    pub delivered_seq: u64,
}

/// Answer to one entry of `hello.resume`.
#[derive(Clone, Debug, Deserialize)]
pub struct Resumed {
    /// The room.
    pub room: Uuid,
    /// Seq that the client named.
    pub from: u64,
    /// Newest seq at that moment.
    pub to: u64,
    /// Whether the messages between are replayed.
    pub recovered: bool,
}

/// A member of a room.
#[derive(Clone, Debug, Deserialize)]
pub struct Member {
    /// User id.
    pub user: Uuid,
    /// Sign-in name.
    pub name: String,
    /// `owner` or `member`.
    pub role: String,
    /// Everything up to here has reached a device of theirs.
    pub delivered_seq: u64,
    /// Everything up to here was read.
    pub read_seq: u64,
}

/// Acknowledgement of a message: it is committed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Sent {
    /// The room.
    pub room: Uuid,
    /// The id that the client chose.
    pub message_id: Uuid,
    /// Its place in the room.
    pub seq: u64,
    /// When it was committed, RFC 3339.
    pub at: String,
    /// Whether an earlier send of the same id was the one that counted.
    pub duplicate: bool,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Message {
    /// The room.
    pub room: Uuid,
    /// Its place in the room.
    pub seq: u64,
    /// The id that the sender chose.
    pub message_id: Uuid,
    /// User id of the sender.
    pub sender: Uuid,
    /// Name of the sender to show.
    pub sender_name: String,
    /// Text.
    pub body: String,
    /// When it was committed, RFC 3339.
    pub at: String,
}

/// Whether a user is there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Presence {
    /// User id.
    pub user: Uuid,
    /// `online` or `offline`.
    pub state: String,
}

/// The error answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Refusal {
    /// Stable code.
    pub code: String,
    /// For a person.
    pub message: String,
    /// Field that is wrong.
    #[serde(default)]
    pub field: Option<String>,
    /// Milliseconds to wait before a repeat.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    /// Whether a repeat with the same ids may succeed.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self.code.as_str(), "rate_limited" | "busy" | "unavailable" | "internal")
    }
}

/// Position of a client in a room, as `hello.resume` carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The room.
    pub room: Uuid,
    /// Last seq that the client has.
    pub seq: u64,
}

/// A frame that does not follow the protocol page.
#[derive(Debug, thiserror::Error)]
#[error("the gateway sent a frame that does not follow the protocol: {frame}")]
pub struct WireError {
    /// The frame, cut after 300 characters.
    pub frame: String,
    #[source]
    source: serde_json::Error,
}

/// Reads one text frame. An event of an unknown type is an error on purpose: this client is a test.
///
/// # Errors
/// The frame is no JSON object of a known type with all its fields.
pub fn parse(text: &str) -> Result<Inbound, WireError> {
    inbound(value(text)?).map_err(|source| wrong(text, source))
}

/// Reads one text frame of whatever type.
///
/// # Errors
/// The frame is no JSON.
pub fn value(text: &str) -> Result<Value, WireError> {
    serde_json::from_str(text).map_err(|source| wrong(text, source))
}

fn wrong(text: &str, source: serde_json::Error) -> WireError {
    WireError { frame: text.chars().take(300).collect(), source }
}

/// Reads one binary frame.
///
/// # Errors
/// As of [`parse`].
pub fn parse_cbor(bytes: &[u8]) -> Result<Inbound, WireError> {
    inbound(value_of_cbor(bytes)?).map_err(|source| wrong_bytes(bytes, source))
}

/// Reads one binary frame of whatever type.
///
/// # Errors
/// The frame is no CBOR.
pub fn value_of_cbor(bytes: &[u8]) -> Result<Value, WireError> {
    crate::cbor::decode(bytes).map_err(|error| wrong_bytes(bytes, serde::de::Error::custom(error)))
}

fn wrong_bytes(bytes: &[u8], source: serde_json::Error) -> WireError {
    WireError { frame: format!("{:02x?}", bytes.get(..100).unwrap_or(bytes)), source }
}

fn inbound(value: Value) -> Result<Inbound, serde_json::Error> {
    let re = value.get("re").and_then(Value::as_u64);
    let body = Body::deserialize(value)?;
    Ok(Inbound { re, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_an_answer_and_an_event() {
        let room = Uuid::nil();
        let answer = parse(&format!(
            r#"{{"type":"sent","re":7,"room":"{room}","message_id":"{room}","seq":3,"at":"2026-01-01T00:00:00.000Z","duplicate":false}}"#
        ))
        .expect("a valid answer");
        assert_eq!(answer.re, Some(7));
        assert!(matches!(answer.body, Body::Sent(Sent { seq: 3, .. })));
        let event = parse(r#"{"type":"reconnect","after_ms":250,"reason":"draining"}"#).expect("a valid event");
        assert!(event.re.is_none());
    }

    #[test]
    fn refuses_what_the_page_does_not_know() {
        for bad in ["{}", "[1]", r#"{"type":"surprise"}"#, r#"{"type":"sent","re":1}"#, "no json"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
