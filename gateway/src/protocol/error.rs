//! Error codes, and how errors of the parts inside become errors on the wire.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{auth::TokenError, store::StoreError};

/// Stable codes of the `error` answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The frame is no JSON object, or no CBOR map; over HTTP: the body is no JSON.
    BadJson,
    /// A field is missing or has a wrong value.
    BadRequest,
    /// No such request.
    UnknownType,
    /// The body is over the cluster's limit.
    TooLarge,
    /// No token, or none that is valid here; over HTTP also a wrong name or password.
    Unauthenticated,
    /// The token was valid once.
    TokenExpired,
    /// No such room or user, or not for this user.
    NotFound,
    /// The role does not allow it.
    Forbidden,
    /// A name, message id or request id is used for something else.
    Conflict,
    /// Too many of something.
    Limit,
    /// Over the message rate.
    RateLimited,
    /// A pool is full.
    Busy,
    /// A part that is needed is away for now.
    Unavailable,
    /// A defect.
    Internal,
}

impl ErrorCode {
    /// Whether the fault is with the gateway or with what it needs, and not with what was asked.
    #[must_use]
    pub fn is_the_gateways(self) -> bool {
        matches!(self, Self::Busy | Self::Unavailable | Self::Internal)
    }

    /// All of them, in the order of the page.
    pub const ALL: [Self; 14] = [
        Self::BadJson,
        Self::BadRequest,
        Self::UnknownType,
        Self::TooLarge,
        Self::Unauthenticated,
        Self::TokenExpired,
        Self::NotFound,
        Self::Forbidden,
        Self::Conflict,
        Self::Limit,
        Self::RateLimited,
        Self::Busy,
        Self::Unavailable,
        Self::Internal,
    ];

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::RateLimited | Self::Busy | Self::Unavailable | Self::Internal)
    }

    /// The code as it is on the wire, for metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BadJson => "bad_json",
            Self::BadRequest => "bad_request",
            Self::UnknownType => "unknown_type",
            Self::TooLarge => "too_large",
            Self::Unauthenticated => "unauthenticated",
            Self::TokenExpired => "token_expired",
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::Conflict => "conflict",
            Self::Limit => "limit",
            Self::RateLimited => "rate_limited",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

/// An `error` answer without its `re`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub struct WireError {
    /// Stable code.
    pub code: ErrorCode,
    /// A sentence for a person.
    pub message: String,
    /// The field at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'static str>,
    /// Milliseconds after which a repeat makes sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// When to repeat what met a shard that is away: long enough for a failover to have a chance, short enough not to be felt.
const UNAVAILABLE_RETRY: Duration = Duration::from_millis(500);

impl WireError {
    /// An error with a code and a sentence.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None, retry_after_ms: None }
    }

    /// A field that is missing or wrong.
    #[must_use]
    pub fn field(field: &'static str, message: impl Into<String>) -> Self {
        Self { field: Some(field), ..Self::new(ErrorCode::BadRequest, message) }
    }

    /// The same with the time after which a repeat makes sense; at least 1 ms.
    #[must_use]
    pub fn retry_after(self, after: Duration) -> Self {
        let millis = u64::try_from(after.as_millis()).unwrap_or(u64::MAX).max(1);
        Self { retry_after_ms: Some(millis), ..self }
    }

    /// The room does not exist for this user.
    #[must_use]
    pub fn no_room() -> Self {
        Self { field: Some("room"), ..Self::new(ErrorCode::NotFound, "no such room") }
    }
}

impl From<StoreError> for WireError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::RoomNotFound => Self::no_room(),
            StoreError::UserNotFound(who) => Self::new(ErrorCode::NotFound, format!("no such user: {who}")),
            StoreError::MessageNotFound(field) => {
                let what = if field == "emoji" { "no such reaction of yours" } else { "no such message in this room" };
                Self { field: Some(field), ..Self::new(ErrorCode::NotFound, what) }
            }
            StoreError::Forbidden(what) => Self::new(ErrorCode::Forbidden, what),
            StoreError::NameTaken => Self::new(ErrorCode::Conflict, "the name is taken"),
            StoreError::MessageIdReused => Self {
                field: Some("message_id"),
                ..Self::new(ErrorCode::Conflict, "the message id was used for another message")
            },
            StoreError::RequestIdReused => Self {
                field: Some("request_id"),
                ..Self::new(ErrorCode::Conflict, "the request id was used for another request")
            },
            StoreError::Limit(what) => Self::new(ErrorCode::Limit, what),
            StoreError::Unavailable { shard, cause } => {
                tracing::debug!(%shard, %cause, "a request met a shard that is away");
                Self::new(ErrorCode::Unavailable, "the room's shard is away or moving").retry_after(UNAVAILABLE_RETRY)
            }
            StoreError::Internal(cause) => {
                tracing::error!(%cause, "the store answered something unexpected");
                Self::new(ErrorCode::Internal, "a defect; repeat the request with the same ids")
            }
        }
    }
}

impl From<TokenError> for WireError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid => Self::new(ErrorCode::Unauthenticated, "the token is not valid here"),
            TokenError::Expired => Self::new(ErrorCode::TokenExpired, "the token has expired"),
            TokenError::Ended => Self::new(ErrorCode::Unauthenticated, "the session was ended; sign in again"),
            TokenError::Unavailable => Self::new(ErrorCode::Unavailable, "the token cannot be checked at this moment")
                .retry_after(UNAVAILABLE_RETRY),
        }
    }
}
