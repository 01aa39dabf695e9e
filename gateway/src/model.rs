//! The domain's types: what a user, a room and a message are, apart from how they travel or where they are kept.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A user: UUIDv8 derived from the sign-in name, or from issuer and subject.
    UserId
}
id! {
    /// A room: UUIDv7 made by the gateway; its random part is not guessable.
    RoomId
}
id! {
    /// A message: UUIDv7 made by the client; it is the idempotency key.
    MessageId
}

id! {
    /// A sign-in: UUIDv7 made by the gateway. Access tokens carry it as `sid`; it is no secret.
    SessionId
}

/// Position in a room: 1 is the first message, 0 is "before the first".
pub type Seq = i64;

/// A user as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Id.
    pub id: UserId,
    /// Sign-in name, folded.
    pub name: String,
    /// Name to show.
    pub display_name: String,
}

/// What kind of conversation a room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomKind {
    /// Exactly two people, for ever.
    Direct,
    /// Any number of people, added and removed.
    Group,
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Made the room; removes members.
    Owner,
    /// Everyone else.
    Member,
}

/// A room as one of its members sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Id.
    pub id: RoomId,
    /// Kind.
    pub kind: RoomKind,
    /// Title; empty in a direct room.
    pub title: String,
    /// Seq of the newest message.
    pub last_seq: Seq,
    /// The viewing member's read mark.
    pub read_seq: Seq,
    /// The viewing member's delivered mark.
    pub delivered_seq: Seq,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A member of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Id of the user.
    pub user: UserId,
    /// Sign-in name.
    pub name: String,
    /// Name to show.
    pub display_name: String,
    /// Role.
    pub role: Role,
    /// Newest seq that one of the member's clients confirmed.
    pub delivered_seq: Seq,
    /// Newest seq that the member has read.
    pub read_seq: Seq,
}

/// A stored message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Room.
    pub room: RoomId,
    /// Position in the room.
    pub seq: Seq,
    /// Id given by the client.
    pub message_id: MessageId,
    /// Who sent it.
    pub sender: UserId,
    /// The sender's display name when it was sent.
    pub sender_name: String,
    /// Text.
    pub body: String,
    /// When it was committed.
    pub at: Timestamp,
}
