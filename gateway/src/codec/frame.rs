//! What crosses the seam between a connection and its language.

use tokio_tungstenite::tungstenite::{Bytes, Utf8Bytes};

use crate::protocol::{Request, WireError};

/// A data frame. Cheap to clone: clones share the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A text frame.
    Text(Utf8Bytes),
    /// A binary frame.
    Binary(Bytes),
}

impl Frame {
    /// Bytes of the content.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// The content.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Whether it is a binary frame and not a text.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        matches!(self, Self::Binary(_))
    }

    /// Whether there is no content.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<String> for Frame {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

/// What a request is answered under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Number chosen by the client.
    pub id: u64,
    /// What the answer looks like.
    pub form: Form,
}

impl Tag {
    /// For an answer in the form of `chat.v1`.
    #[must_use]
    pub fn plain(id: u64) -> Self {
        Self { id, form: Form::Plain }
    }
}

/// Which result of the Centrifuge protocol an answer becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// None: the answer itself, as `chat.v1` has it.
    Plain,
    /// Of `connect`.
    Connect,
    /// Of `subscribe`.
    Subscribe,
    /// Of `unsubscribe`.
    Unsubscribe,
    /// Of `publish`.
    Publish,
    /// Of `history`.
    History {
        /// Newest first.
        reverse: bool,
        /// The position alone.
        position_only: bool,
    },
    /// Of `presence`.
    Presence,
    /// Of `presence_stats`.
    PresenceStats,
    /// Of `rpc`.
    Rpc,
    /// Of `refresh`.
    Refresh,
}

/// One thing that a client said.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    /// A request.
    Request {
        /// What to answer under, if an answer is wanted.
        tag: Option<Tag>,
        /// What is asked.
        request: Request,
    },
    /// Something to answer with an error.
    Refused {
        /// What to answer under, as far as it could be read.
        tag: Option<Tag>,
        /// What to answer.
        error: WireError,
    },
}

/// A frame that does not follow the protocol so far that an answer could be addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;
