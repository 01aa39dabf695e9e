//! Why Redis is away, without credentials.

use chat_gateway_config::stats::Component;
use redis::{ErrorKind, RedisError};

use crate::tls_failure::{self, TLS_FAILED};

/// The field with certificates: of `spec.redis`, or of `spec.broker.redisPubSub` where that has a Redis of its own.
const TLS: &str = "tls";

/// A component that is away.
pub(crate) fn down(reason: &str, message: impl Into<String>) -> Component {
    Component { available: false, reason: reason.into(), message: message.into() }
}

/// What an error means to a person.
pub(crate) fn describe(error: &RedisError) -> Component {
    if error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("WRONGPASS" | "NOAUTH" | "NOPERM"))
    {
        return down("AuthenticationFailed", "Redis refuses the user or password of the URL");
    }
    if let Some(failure) = tls_failure::behind(error) {
        return down(TLS_FAILED, tls_failure::explain(failure, TLS));
    }
    if error.is_connection_refusal() {
        return down("ConnectionRefused", "nothing listens at the address of the Redis URL");
    }
    if error.is_timeout() {
        return down("Timeout", "Redis did not answer in time");
    }
    if let Some(code) = error.code() {
        return down("Refused", format!("Redis refuses a command ({code})"));
    }
    // Without `detail()`: it may repeat the URL.
    down("ConnectionFailed", format!("the connection to Redis failed ({:?})", error.kind()))
}
