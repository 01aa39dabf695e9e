//! What a failed statement means for the request that made it.

use chat_shards::Refusal;

use crate::store::{
    StoreError,
    changes::{REACTIONS, SENDER_ONLY},
    membership::{DIRECT, GIVES_ROLES, OWNERLESS, REMOVES},
};
pub(crate) use crate::tls_failure::TLS_FAILED;

/// The shard knows the user or the password not: nothing that waiting would mend.
pub(crate) const AUTHENTICATION_FAILED: &str = "AuthenticationFailed";

/// A pooler before the server lacks something that statements rely on: nothing that waiting would mend.
pub(crate) const INVALID_SETTINGS: &str = "InvalidSettings";

/// A failure by what is to be done about it.
#[derive(Debug)]
pub(super) enum Failure {
    /// Ask the peer.
    Moved { peer: String, epoch: i64, arriving: bool },
    /// Ask again in a moment.
    Fenced,
    /// Find out who owns the slot, then ask there.
    NotOwned,
    /// The shard did not answer; whether it did the work is unknown.
    Away(Cause),
    /// The answer.
    Final(StoreError),
}

/// Why a shard counts as away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    /// Reason word of `chat_gateway_config::stats::Component`.
    pub(crate) reason: &'static str,
    /// A sentence without credentials.
    pub(crate) message: String,
}

impl Cause {
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// Sorts an error of the driver.
pub(super) fn classify(error: &sqlx::Error) -> Failure {
    if let Some(refusal) = Refusal::from_error(error) {
        return refused(refusal);
    }
    match cause(error) {
        Some(cause) => Failure::Away(cause),
        None => Failure::Final(StoreError::Internal(error.to_string())),
    }
}

fn refused(refusal: Refusal) -> Failure {
    Failure::Final(match refusal {
        Refusal::Moved { peer, epoch, arriving } => return Failure::Moved { peer, epoch, arriving },
        Refusal::Fenced => return Failure::Fenced,
        Refusal::NotOwned => return Failure::NotOwned,
        Refusal::WrongIsolation => StoreError::Internal("the session is not READ COMMITTED".to_owned()),
        Refusal::RoomNotFound | Refusal::NotMember => StoreError::RoomNotFound,
        Refusal::OwnerOnly => StoreError::Forbidden(GIVES_ROLES),
        Refusal::RoleTooLow => StoreError::Forbidden(REMOVES),
        Refusal::Ownerless => StoreError::Forbidden(OWNERLESS),
        Refusal::SenderOnly => StoreError::Forbidden(SENDER_ONLY),
        Refusal::DirectRoom => StoreError::Forbidden(DIRECT),
        Refusal::NameTaken => StoreError::NameTaken,
        Refusal::Limit => StoreError::Limit("members of a room"),
        Refusal::TooManyReactions => StoreError::Limit(REACTIONS),
        Refusal::UserNotFound => StoreError::UserNotFound("not a member of the room".to_owned()),
        Refusal::MessageIdReused => StoreError::MessageIdReused,
        Refusal::RequestIdReused => StoreError::RequestIdReused,
        Refusal::TargetNotFound => StoreError::MessageNotFound("target"),
        Refusal::ReplyToNotFound => StoreError::MessageNotFound("reply_to"),
        Refusal::ReactionNotFound => StoreError::MessageNotFound("emoji"),
    })
}

/// Why an error means that the shard cannot serve now; `None` when it says something about the statement.
pub(crate) fn cause(error: &sqlx::Error) -> Option<Cause> {
    let reason = match error {
        sqlx::Error::Io(io) if io.get_ref().is_some_and(|cause| cause.is::<rustls::Error>()) => TLS_FAILED,
        sqlx::Error::Tls(_) => TLS_FAILED,
        sqlx::Error::Io(io) if io.kind() == std::io::ErrorKind::TimedOut => "Timeout",
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => "ConnectionRefused",
        sqlx::Error::PoolTimedOut => "Timeout",
        sqlx::Error::Protocol(_) | sqlx::Error::Configuration(_) => "ProtocolError",
        sqlx::Error::Database(database) if is_unknown_parameter(&**database) => INVALID_SETTINGS,
        sqlx::Error::Database(database) => code_reason(&database.code().unwrap_or_default())?,
        _ => return None,
    };
    // The driver adds a line number of the server's source, which helps nobody.
    let message = error.as_database_error().map_or_else(|| error.to_string(), |database| database.message().to_owned());
    if reason == INVALID_SETTINGS {
        let setting = if error.as_database_error().is_some_and(is_unknown_parameter) {
            "ignore_startup_parameters = extra_float_digits,options"
        } else {
            "max_prepared_statements = 200"
        };
        let message = format!(
            "{message}: the URI leads through a pooler; PgBouncer 1.21 or newer needs {setting}; or name the server itself in the URI"
        );
        return Some(Cause::new(reason, message));
    }
    // The alert names whose certificate it is by what it is called: the server sends it when it is the gateway's.
    let message = match error {
        sqlx::Error::Io(io) if reason == TLS_FAILED && is_alert(io) => {
            format!("{message}: the server refuses the certificate that it is shown, or is shown none")
        }
        _ => message,
    };
    Some(Cause::new(reason, message))
}

/// Whether the other side ended the handshake.
fn is_alert(error: &std::io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    matches!(cause, Some(rustls::Error::AlertReceived(_)))
}

/// Whether a shard that has too much to do fails like this. It says nothing against connections on which others are answered.
pub(super) fn is_overload(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut => true,
        // Out of connections or memory, statement or lock timeout, deadlock, serialization.
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            code.starts_with("53") || code_reason(&code) == Some("Timeout")
        }
        _ => false,
    }
}

/// Whether nobody was reached for reasons that may be on the way, as when a name is not resolved. A server that is gone refuses, or resets.
pub(super) fn is_on_the_way(error: &sqlx::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, UnexpectedEof};
    let sqlx::Error::Io(io) = error else { return false };
    ![BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, UnexpectedEof].contains(&io.kind())
}

/// Whether it is a pooler that refuses what a connection asks for; a server knows all of it.
fn is_unknown_parameter(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().as_deref() == Some("08P01") && error.message().contains("startup parameter")
}

/// SQLSTATEs after which the same statement may work later or elsewhere.
fn code_reason(code: &str) -> Option<&'static str> {
    Some(match code {
        "28P01" | "28000" => AUTHENTICATION_FAILED,
        // Schema, function or table is missing: the migration has not run.
        "3F000" | "42883" | "42P01" => "SchemaOutdated",
        // Prepared statements of one connection that others meet, or miss.
        "26000" | "42P05" => INVALID_SETTINGS,
        // Statement or lock timeout, deadlock, serialization: the shard is overloaded, or a mover holds the slot.
        "57014" | "55P03" | "40P01" | "40001" => "Timeout",
        // Read-only: a standby, or a primary that was demoted. Missing database. Out of connections, disk or memory.
        "25006" | "3D000" => "ConnectionRefused",
        _ if ["08", "53", "57", "58"].contains(&code.get(..2)?) => "ConnectionRefused",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_outages_from_defects() {
        assert_eq!(code_reason("57P01"), Some("ConnectionRefused"));
        assert_eq!(code_reason("28P01"), Some(AUTHENTICATION_FAILED));
        assert_eq!(code_reason("42883"), Some("SchemaOutdated"));
        assert_eq!(code_reason("23505"), None);
        assert_eq!(code_reason(""), None);
        assert!(matches!(classify(&sqlx::Error::PoolTimedOut), Failure::Away(_)));
        let io = |kind: std::io::ErrorKind| sqlx::Error::Io(kind.into());
        assert!(
            is_on_the_way(&io(std::io::ErrorKind::Other)) && !is_on_the_way(&io(std::io::ErrorKind::ConnectionRefused))
        );
        assert!(is_overload(&sqlx::Error::PoolTimedOut) && !is_overload(&sqlx::Error::WorkerCrashed));
        assert!(matches!(classify(&sqlx::Error::RowNotFound), Failure::Final(StoreError::Internal(_))));
    }
}
