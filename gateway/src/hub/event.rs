//! What gateways tell each other through the broker.
//!
//! The JSON crosses versions of the gateway during a rollout, so a kind or a field is only ever added: unknown kinds read as
//! [`Event::Unknown`] and are ignored.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    model::{Message, Role, RoomId, Seq, UserId},
    protocol::{answer::PresenceState, event::TypingState},
    traces::{Context, lenient},
};

/// The body of one publish: events under one key, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Number of the process that published; its own echo is no duplicate.
    pub origin: u64,
    /// What happened.
    pub events: Vec<Event>,
}

/// Something that others must hear of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A message was committed.
    Message {
        /// The message.
        message: Message,
        /// The newest removal from the room before it, or a later one: it is for those who were members at that one. 0 where a gateway of
        /// the version before did not say.
        #[serde(default)]
        removal: i64,
        /// The span that the message is on its way in, of the few that are traced. Gateways of versions that know nothing of it pass it over.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
        traceparent: Option<Context>,
    },
    /// A member's marks moved.
    Receipt {
        /// The member.
        user: UserId,
        /// Newest confirmed seq.
        delivered_seq: Seq,
        /// Newest read seq.
        read_seq: Seq,
    },
    /// A member began, goes on, or ceased to type.
    Typing {
        /// The member.
        user: UserId,
        /// Name to show.
        name: String,
        /// Which.
        state: TypingState,
    },
    /// Somebody came or went.
    Presence {
        /// Who.
        user: UserId,
        /// Which.
        state: PresenceState,
        /// The same in all rooms that hear of one change.
        change: u64,
    },
    /// Somebody became a member of the key's room.
    MemberAdded {
        /// Who.
        user: UserId,
        /// Sign-in name.
        name: String,
        /// Counts the room's membership changes.
        version: i64,
    },
    /// Somebody ceased to be a member of the key's room.
    MemberRemoved {
        /// Who.
        user: UserId,
        /// Counts the room's membership changes.
        version: i64,
    },
    /// A member of the key's room has another role.
    RoleChanged {
        /// Who.
        user: UserId,
        /// The new role.
        role: Role,
        /// Counts the room's membership changes; two members may change with one.
        version: i64,
    },
    /// The key's user muted a room, or no longer does.
    Muted {
        /// The room.
        room: RoomId,
        /// Until when.
        until: Option<Timestamp>,
    },
    /// The key's user became a member.
    RoomAdded {
        /// Of this room.
        room: RoomId,
    },
    /// The key's user ceased to be a member.
    RoomRemoved {
        /// Of this room.
        room: RoomId,
    },
    /// Sessions of the key's user have ended; which, the store says.
    SessionsEnded,
    /// A kind that a newer gateway knows.
    #[serde(other)]
    Unknown,
}

impl Event {
    /// The span that it is on its way in, if it is traced.
    #[must_use]
    pub fn traceparent(&self) -> Option<Context> {
        match self {
            Self::Message { traceparent, .. } => *traceparent,
            _ => None,
        }
    }
}

impl Envelope {
    /// The bytes to publish.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        // Only string keys and plain values: serialisation cannot fail.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// Reads what the broker brought.
    ///
    /// # Errors
    /// When it is no envelope; the caller drops it, since the store has what matters.
    pub fn decode(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignores_kinds_of_newer_gateways() -> Result<(), serde_json::Error> {
        let envelope = Envelope::decode(br#"{"origin":1,"v":9,"events":[{"kind":"poll","x":[1]},{"kind":"room_removed","room":"0197a000-0000-7000-8000-000000000001","why":"later"}]}"#)?;
        assert_eq!(envelope.events[0], Event::Unknown);
        assert!(matches!(envelope.events[1], Event::RoomRemoved { .. }));
        Ok(())
    }

    #[test]
    fn a_message_that_is_not_traced_carries_nothing_more_and_one_that_is_can_be_read_whatever_it_carries() {
        let message = |traceparent: &str| {
            let text = format!(
                r#"{{"origin":1,"events":[{{"kind":"message","message":{{"room":"0197a000-0000-7000-8000-000000000001","message_id":"0197a000-0000-7000-8000-000000000002","seq":1,"sender":"0197a000-0000-7000-8000-000000000003","sender_name":"Ann","body":"hello","at":"2025-01-01T00:00:00Z"}},"removal":0{traceparent}}}]}}"#
            );
            Envelope::decode(text.as_bytes()).unwrap()
        };
        let plain = message("");
        assert!(!String::from_utf8_lossy(&plain.encode()).contains("trace"));
        let context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let traced = message(&format!(r#","traceparent":"{context}""#));
        assert_eq!(traced.events[0].traceparent().unwrap().to_string(), context);
        assert_eq!(Envelope::decode(&traced.encode()).unwrap(), traced);
        for bad in ["null", "7", r#""""#, r#""00-0-0-0""#, r#"{"a":[1]}"#] {
            assert_eq!(message(&format!(r#","traceparent":{bad}"#)), plain, "{bad}");
        }
    }
}
