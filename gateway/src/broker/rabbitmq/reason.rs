//! Why there is no session, in a word for conditions and a sentence for people. Credentials never get into either.

use chat_gateway_config::stats::Component;
use lapin::ErrorKind;

use crate::{
    broker::{io_reason::io_reason, link::Failure},
    tls_failure,
};

/// The field with certificates.
const TLS: &str = "spec.broker.rabbitmq.tls";

/// Why a session could not be opened, or ended.
#[derive(Debug, thiserror::Error)]
pub(in crate::broker) enum SessionError {
    /// The file with the URI, or the one with authorities, cannot be used.
    #[error("the broker's URI cannot be used: {0}")]
    Uri(String),
    /// Something took longer than it may.
    #[error("RabbitMQ did not answer in time while {0}")]
    Timeout(&'static str),
    /// The library reports an error.
    #[error("{0}")]
    Amqp(#[from] lapin::Error),
    /// The server ended the consumer: its queue is gone.
    #[error("the gateway's queue was taken away")]
    ConsumerEnded,
    /// Somebody saw publishes go unanswered.
    #[error("RabbitMQ stopped confirming what was published")]
    Suspected,
}

impl Failure for SessionError {
    fn component(&self) -> Component {
        let message = match self.tls_failure() {
            Some(failure) => tls_failure::explain(failure, TLS),
            None => self.to_string(),
        };
        Component { available: false, reason: self.reason().into(), message }
    }
}

impl SessionError {
    fn tls_failure(&self) -> Option<&rustls::Error> {
        let Self::Amqp(error) = self else { return None };
        match error.kind() {
            ErrorKind::IOError(cause) => tls_failure::behind(&**cause),
            _ => None,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Uri(_) => "InvalidUri",
            Self::Timeout(_) | Self::Suspected => "Timeout",
            Self::ConsumerEnded => "ProtocolError",
            Self::Amqp(error) => match error.kind() {
                ErrorKind::IOError(cause) => io_reason(cause),
                ErrorKind::MissingHeartbeatError => "Timeout",
                // 403 ACCESS_REFUSED is what a wrong password and a vhost without permission come to; 530 is a vhost that is not there.
                ErrorKind::ProtocolError(cause) if matches!(cause.get_id(), 403 | 530) => "AuthenticationFailed",
                ErrorKind::AuthProviderError(_) => "AuthenticationFailed",
                ErrorKind::InvalidConnectionState(_) | ErrorKind::InvalidChannelState(..) => "ConnectionLost",
                _ => "ProtocolError",
            },
        }
    }
}
