//! Why there is no session, in a word for conditions and a sentence for people. Credentials never get into either.

use std::error::Error as _;

use chat_gateway_config::stats::Component;
use krafka::error::{ErrorCode, KrafkaError};

use super::topic::{self, RETENTION_MS};
use crate::broker::{io_reason::io_reason, link::Failure};

/// Why a session could not be opened, or ended.
#[derive(Debug, thiserror::Error)]
pub(in crate::broker) enum SessionError {
    /// A file with a secret cannot be used.
    #[error("{0}")]
    Secret(String),
    /// Something took longer than it may.
    #[error("Kafka did not answer in time while {0}")]
    Timeout(&'static str),
    /// The library reports an error, the server's own included.
    #[error("{0}")]
    Kafka(#[from] KrafkaError),
    /// There is no topic, and it cannot be made.
    #[error(
        "there is no topic {topic}, and this user cannot make it ({cause}); let the user create and describe it, or make it: \
         kafka-topics.sh --create --topic {topic} --partitions 12 --config retention.ms={RETENTION_MS}"
    )]
    Absent {
        /// The topic.
        topic: String,
        /// What the server said.
        cause: String,
    },
    /// The user may not use the topic.
    #[error("this user may not use topic {topic}; it needs the operations Describe, Read and Write on it")]
    Forbidden {
        /// The topic.
        topic: String,
    },
    /// A partition is led by nobody.
    #[error("partition {0} of the topic has no leader: too many of Kafka's servers are away")]
    NoLeader(i32),
    /// The topic was deleted and made anew.
    #[error("the topic was made anew")]
    Changed,
    /// The topic no longer has what was to be read next.
    #[error("records were deleted from the topic before this gateway had read them; it catches up from the store")]
    FellBehind,
    /// Readers do not get what the topic has.
    #[error(
        "records {position} to {end} of partition {partition} do not arrive although Kafka answers; this gateway catches up from the store"
    )]
    Stuck {
        /// The partition.
        partition: i32,
        /// What was to come next.
        position: i64,
        /// Where the partition was last seen to end.
        end: i64,
    },
    /// A reader brought another record than the next one.
    #[error(
        "partition {partition} brought record {offset} where {expected} was next: the topic was compacted or truncated, or records were lost; \
         this gateway catches up from the store"
    )]
    OutOfStep {
        /// The partition.
        partition: i32,
        /// What was to come next.
        expected: i64,
        /// What came.
        offset: i64,
    },
    /// Somebody saw publishes go unanswered.
    #[error("Kafka stopped confirming what was published")]
    Suspected,
}

impl Failure for SessionError {
    fn component(&self) -> Component {
        Component { available: false, reason: self.reason().into(), message: self.to_string() }
    }
}

impl SessionError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Secret(_) => "SecretMissing",
            Self::Timeout(_) | Self::Suspected => "Timeout",
            Self::Absent { .. } => "TopicMissing",
            Self::Forbidden { .. } => "AuthorizationFailed",
            Self::NoLeader(_) => "NoLeader",
            Self::Changed | Self::Stuck { .. } | Self::OutOfStep { .. } => "ConnectionLost",
            Self::FellBehind => "FellBehind",
            Self::Kafka(error) => kafka_reason(error),
        }
    }
}

fn kafka_reason(error: &KrafkaError) -> &'static str {
    match error {
        // When no server could be reached, the error of the last one stands behind the error.
        KrafkaError::Network(cause) => match cause.source().and_then(|last| last.downcast_ref()) {
            Some(last) => kafka_reason(last),
            None => io_reason(cause),
        },
        // Only the handshake of TLS comes with a cause.
        KrafkaError::Auth { source: Some(_), .. } => "TlsFailed",
        KrafkaError::Auth { .. } | KrafkaError::Broker { code: ErrorCode::SaslAuthenticationFailed, .. } => {
            "AuthenticationFailed"
        }
        KrafkaError::Timeout { .. } | KrafkaError::DeliveryTimeout { .. } => "Timeout",
        KrafkaError::Closed { .. } => "ConnectionLost",
        KrafkaError::UnknownTopic { .. } => "TopicMissing",
        KrafkaError::Broker { code: ErrorCode::LeaderNotAvailable, .. } => "NoLeader",
        error if topic::is_forbidden(error) => "AuthorizationFailed",
        KrafkaError::Config { .. } => "InvalidSettings",
        _ => "ProtocolError",
    }
}
