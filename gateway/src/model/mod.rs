//! The domain's types: what a user, a room and a message are, apart from how they travel or where they are kept.

mod entry;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::entry::{Content, EntryKind, Message, Reaction};

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

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                crate::protocol::schema::id(generator)
            }
        }
    };
}

id! {
    /// A user: UUIDv8 derived from the sign-in name, or from issuer and subject.
    UserId
}
id! {
    /// A room: UUIDv7 made by the gateway, or derived from what makes it unique.
    RoomId
}
id! {
    /// A message: UUIDv7 made by the client; it is the idempotency key.
    MessageId
}

id! {
    /// A request that changes a room or its members: UUIDv7 made by the client; it is the idempotency key.
    RequestId
}

id! {
    /// A sign-in: UUIDv7 made by the gateway. Access tokens carry it as `sid`; it is no secret.
    SessionId
}

/// Position in a room: 1 is the first message, 0 is "before the first".
pub type Seq = i64;

/// A user as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct User {
    /// Id.
    pub id: UserId,
    /// Sign-in name, folded.
    pub name: String,
    /// Name to show.
    pub display_name: String,
}

/// What kind of conversation a room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoomKind {
    /// Exactly two people, for ever.
    Direct,
    /// Any number of people, added and removed.
    Group,
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Made the room, or was made its owner: gives roles, removes anybody.
    Owner,
    /// Removes members, deletes anybody's messages.
    Admin,
    /// Everyone else.
    Member,
}

impl Role {
    /// The role as stores and the wire call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }

    /// The role of this name; a name that a newer program wrote counts as the least one.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        match name {
            "owner" => Self::Owner,
            "admin" => Self::Admin,
            _ => Self::Member,
        }
    }
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
    /// The room's count of changes of members, at which the viewing member is one; 0 when that was not asked for. Clients are not told.
    pub member_version: i64,
}

/// A room in the list of one of its members, with what is new in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomSummary {
    /// The room.
    pub room: Room,
    /// The member's role.
    pub role: Role,
    /// Until when the member wants no notifications, if that is so.
    pub muted_until: Option<Timestamp>,
    /// Members.
    pub members: u32,
    /// Texts of others after the read mark, counted over the next [`crate::store::limits::UNREAD_WINDOW`] entries.
    pub unread: u32,
    /// Those of them that mention the member.
    pub mentioned: u32,
    /// The newest text, cut to [`crate::store::limits::PREVIEW_CHARS`]; `None` when there is none among the newest entries.
    pub newest: Option<Newest>,
}

/// The newest text of a room, as its list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// Its place.
    pub seq: Seq,
    /// Who sent it.
    pub sender: UserId,
    /// The sender's display name when it was sent.
    pub sender_name: String,
    /// The beginning of its body.
    pub body: String,
    /// When it was sent.
    pub at: Timestamp,
    /// Whether it was deleted.
    pub deleted: bool,
}

/// A member of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
