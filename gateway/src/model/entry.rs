//! What a room's log consists of: texts, and what changes texts.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MessageId, RoomId, Seq, UserId};

/// What an entry of a room's log is. Each has a seq of its own, so it is ordered, relayed, resumed and repeated like any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// Somebody said something.
    #[default]
    Text,
    /// The target has another body.
    Edit,
    /// The target is gone.
    Delete,
    /// Somebody reacts to the target; the body is the emoji.
    React,
    /// Somebody no longer does.
    Unreact,
    /// A kind that a newer gateway wrote: it has a seq like any other, and clients skip it.
    #[serde(other)]
    Unknown,
}

impl EntryKind {
    /// The kind as stores and the wire call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Edit => "edit",
            Self::Delete => "delete",
            Self::React => "react",
            Self::Unreact => "unreact",
            Self::Unknown => "unknown",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let known = [Self::Text, Self::Edit, Self::Delete, Self::React, Self::Unreact];
        known.into_iter().find(|kind| kind.name() == name).unwrap_or(Self::Unknown)
    }

    /// For serialisation.
    #[must_use]
    pub fn is_text(&self) -> bool {
        *self == Self::Text
    }
}

/// What a member wants to put into a room's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A text.
    Text {
        /// What it says.
        body: String,
        /// The text that it answers.
        reply_to: Option<Seq>,
        /// Members whom it addresses; others are left out.
        mentions: Vec<UserId>,
    },
    /// Another body for one's own text.
    Edit {
        /// The text.
        target: Seq,
        /// What it says from now on.
        body: String,
    },
    /// The end of a text: one's own, or in a group anybody's for its owner and admins.
    Delete {
        /// The text.
        target: Seq,
    },
    /// A reaction to a text.
    React {
        /// The text.
        target: Seq,
        /// Which.
        emoji: String,
    },
    /// The end of one's own reaction.
    Unreact {
        /// The text.
        target: Seq,
        /// Which.
        emoji: String,
    },
}

impl Content {
    /// A text that answers and addresses nobody.
    #[must_use]
    pub fn text(body: impl Into<String>) -> Self {
        Self::Text { body: body.into(), reply_to: None, mentions: Vec::new() }
    }

    /// Kind of the entry.
    #[must_use]
    pub fn kind(&self) -> EntryKind {
        match self {
            Self::Text { .. } => EntryKind::Text,
            Self::Edit { .. } => EntryKind::Edit,
            Self::Delete { .. } => EntryKind::Delete,
            Self::React { .. } => EntryKind::React,
            Self::Unreact { .. } => EntryKind::Unreact,
        }
    }

    /// Body of the entry; empty for a deletion.
    #[must_use]
    pub fn body(&self) -> &str {
        match self {
            Self::Text { body, .. } | Self::Edit { body, .. } => body,
            Self::React { emoji, .. } | Self::Unreact { emoji, .. } => emoji,
            Self::Delete { .. } => "",
        }
    }

    /// The text that is changed, for anything but a text.
    #[must_use]
    pub fn target(&self) -> Option<Seq> {
        match self {
            Self::Text { .. } => None,
            Self::Edit { target, .. }
            | Self::Delete { target }
            | Self::React { target, .. }
            | Self::Unreact { target, .. } => Some(*target),
        }
    }

    /// The text that a text answers.
    #[must_use]
    pub fn reply_to(&self) -> Option<Seq> {
        if let Self::Text { reply_to, .. } = self { *reply_to } else { None }
    }

    /// The members whom a text addresses.
    #[must_use]
    pub fn mentions(&self) -> &[UserId] {
        if let Self::Text { mentions, .. } = self { mentions } else { &[] }
    }
}

/// A stored entry. Read later, a text shows what edits and a deletion have made of it; the JSON crosses versions of the gateway, so a
/// field is only ever added and has a default.
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
    /// Text, or the emoji of a reaction.
    pub body: String,
    /// When it was committed.
    pub at: Timestamp,
    /// What it is.
    #[serde(default, skip_serializing_if = "EntryKind::is_text")]
    pub kind: EntryKind,
    /// The text that it changes, for anything but a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Seq>,
    /// The text that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Seq>,
    /// Members whom it addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<UserId>,
    /// When the body was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Timestamp>,
    /// The body is gone: a text was deleted, or an edit was superseded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// How often a text got one reaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Reaction {
    /// Which.
    pub emoji: String,
    /// How many members.
    pub count: u32,
    /// Whether the asking member is one of them.
    pub mine: bool,
}
