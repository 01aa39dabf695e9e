//! Why there is no session, in a word for conditions and a sentence for people. Credentials never get into either.

use chat_gateway_config::stats::Component;
use redis::RedisError;

use crate::redis_link;

/// Why a session could not be opened, or ended.
#[derive(Debug, thiserror::Error)]
pub(in crate::broker) enum SessionError {
    /// The file with the URL cannot be read.
    #[error("{0}")]
    Secret(String),
    /// The file holds no URL.
    #[error("the Redis URL is malformed; use redis://:password@host:6379")]
    Url,
    /// Something took longer than it may.
    #[error("Redis did not answer in time while {0}")]
    Timeout(&'static str),
    /// The server refused or the connection failed.
    #[error("{}", .0.message)]
    Redis(Component),
    /// The server closed the subscribing connection, as it does with readers that are too slow.
    #[error("Redis closed the subscribing connection")]
    Closed,
    /// Somebody saw publishes go unanswered.
    #[error("Redis stopped answering publishes")]
    Suspected,
}

impl From<RedisError> for SessionError {
    fn from(error: RedisError) -> Self {
        Self::Redis(redis_link::describe(&error))
    }
}

impl SessionError {
    /// For `/stats`.
    pub(super) fn component(&self) -> Component {
        let reason = match self {
            Self::Redis(component) => return component.clone(),
            Self::Secret(_) => "SecretMissing",
            Self::Url => "InvalidUrl",
            Self::Timeout(_) | Self::Suspected => "Timeout",
            Self::Closed => "ConnectionLost",
        };
        Component { available: false, reason: reason.into(), message: self.to_string() }
    }
}
