//! One shape for every refusal over HTTP.

use std::time::Duration;

use axum::{
    Json,
    extract::rejection::JsonRejection,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, json};

use crate::{
    auth::{PasswordError, TokenError, names::InvalidField},
    store::StoreError,
};

/// A refusal: status, stable code, sentence for a person, and where they help the field and the time to wait.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    field: Option<&'static str>,
    retry_after: Option<Duration>,
}

impl ApiError {
    /// A refusal with neither field nor waiting time.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), field: None, retry_after: None }
    }

    /// Over a rate.
    #[must_use]
    pub fn rate_limited(retry_after: Duration) -> Self {
        let mut error =
            Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many attempts; try again a little later");
        error.retry_after = Some(retry_after);
        error
    }

    /// Adds the field that the refusal is about.
    #[must_use]
    pub fn field(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    /// Adds the time to wait.
    #[must_use]
    pub fn retry_after(mut self, time: Duration) -> Self {
        self.retry_after = Some(time);
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut error = Map::new();
        error.insert("code".into(), self.code.into());
        error.insert("message".into(), self.message.into());
        if let Some(field) = self.field {
            error.insert("field".into(), field.into());
        }
        let millis = self.retry_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX).max(1));
        if let Some(millis) = millis {
            error.insert("retry_after_ms".into(), millis.into());
        }
        let mut response = (self.status, Json(json!({ "error": error }))).into_response();
        if let Some(millis) = millis {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(millis.div_ceil(1000)));
        }
        response
    }
}

impl From<InvalidField> for ApiError {
    fn from(invalid: InvalidField) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", invalid.message).field(invalid.field)
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        let status = rejection.status();
        match rejection {
            _ if status == StatusCode::PAYLOAD_TOO_LARGE => Self::new(status, "too_large", "the body is over 16 KiB"),
            // A field of the wrong type; the text names it.
            JsonRejection::JsonDataError(error) => Self::new(status, "bad_request", error.body_text()),
            other => Self::new(status, "bad_json", other.body_text()),
        }
    }
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy { retry_after } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many sign-ins at this moment")
                    .retry_after(retry_after)
            }
            PasswordError::Hash(cause) => {
                tracing::error!(cause, "failed to hash a password");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the password could not be checked")
            }
        }
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        let code = match error {
            TokenError::Invalid | TokenError::Ended => "unauthenticated",
            TokenError::Expired => "token_expired",
            TokenError::Unavailable => {
                return Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", error.to_string())
                    .retry_after(Duration::from_secs(1));
            }
        };
        Self::new(StatusCode::UNAUTHORIZED, code, error.to_string())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NameTaken => Self::new(
                StatusCode::CONFLICT,
                "conflict",
                "this name is taken; choose another, or sign in if it is yours",
            )
            .field("name"),
            StoreError::Unavailable { .. } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "accounts cannot be reached at this moment; try again",
            )
            .retry_after(Duration::from_secs(1)),
            other => {
                tracing::error!(cause = %other, "an account request failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the request failed; try again")
            }
        }
    }
}
