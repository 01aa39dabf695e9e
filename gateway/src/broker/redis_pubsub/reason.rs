//! Why there is no session, in a word for conditions and a sentence for people. Credentials never get into either.

use chat_gateway_config::stats::Component;
use redis::RedisError;

use crate::{
    broker::link::Failure,
    redis_server::{describe, down},
};

/// Why a session could not be opened, or ended.
#[derive(Debug, thiserror::Error)]
pub(in crate::broker) enum SessionError {
    /// The URL is no use, a server refused, or a connection failed.
    #[error("{}", .0.message)]
    Redis(Component),
    /// Something took longer than it may.
    #[error("Redis did not answer in time while {0}")]
    Timeout(&'static str),
    /// The server closed the subscribing connection, as it does with readers that are too slow.
    #[error("Redis closed the subscribing connection")]
    Closed,
    /// Somebody saw publishes go unanswered.
    #[error("Redis stopped answering publishes")]
    Suspected,
    /// The sentinels mean another server by now.
    #[error("the sentinels name another primary")]
    Moved,
    /// What was read as an answer was none.
    #[error("Redis gave an answer that belongs to no question")]
    OutOfStep,
}

impl From<RedisError> for SessionError {
    fn from(error: RedisError) -> Self {
        Self::Redis(describe(&error))
    }
}

impl From<Component> for SessionError {
    fn from(component: Component) -> Self {
        Self::Redis(component)
    }
}

impl Failure for SessionError {
    fn component(&self) -> Component {
        let reason = match self {
            Self::Redis(component) => return component.clone(),
            Self::Timeout(_) | Self::Suspected => "Timeout",
            Self::Closed => "ConnectionLost",
            Self::Moved => "NotPrimary",
            Self::OutOfStep => "ProtocolError",
        };
        down(reason, self.to_string())
    }
}
