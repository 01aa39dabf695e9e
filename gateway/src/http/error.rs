//! One shape for every refusal over HTTP.

use std::time::Duration;

use axum::{
    Json,
    extract::rejection::{BytesRejection, JsonRejection, PathRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    auth::{PasswordError, TokenError, names::InvalidField},
    protocol::{ErrorCode, WireError},
    store::StoreError,
};

/// A refusal: status, stable code, sentence for a person, and where they help the field and the time to wait.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    error: WireError,
}

/// The body of a refusal.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Refusal")]
pub(crate) struct ErrorBody {
    /// What is refused, and why.
    error: WireError,
}

impl ApiError {
    /// A refusal with neither field nor waiting time.
    pub fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { status, error: WireError::new(code, message) }
    }

    /// Over a rate.
    #[must_use]
    pub fn rate_limited(retry_after: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::RateLimited, "too many attempts; try again a little later")
            .retry_after(retry_after)
    }

    /// A body over the limit.
    #[must_use]
    pub fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::TooLarge, "the body is over 16 KiB")
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.error.code
    }

    /// Adds the field that the refusal is about.
    #[must_use]
    pub fn field(mut self, field: &'static str) -> Self {
        self.error.field = Some(field);
        self
    }

    /// Adds the time to wait.
    #[must_use]
    pub fn retry_after(self, time: Duration) -> Self {
        Self { error: self.error.retry_after(time), ..self }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let millis = self.error.retry_after_ms;
        let mut response = (self.status, Json(ErrorBody { error: self.error })).into_response();
        if let Some(millis) = millis {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(millis.div_ceil(1000)));
        }
        response
    }
}

impl From<InvalidField> for ApiError {
    fn from(invalid: InvalidField) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::BadRequest, invalid.message).field(invalid.field)
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        let status = rejection.status();
        match rejection {
            _ if status == StatusCode::PAYLOAD_TOO_LARGE => Self::too_large(),
            // A field of the wrong type; the text names it.
            JsonRejection::JsonDataError(error) => Self::new(status, ErrorCode::BadRequest, error.body_text()),
            other => Self::new(status, ErrorCode::BadJson, other.body_text()),
        }
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large(),
            status => Self::new(status, ErrorCode::BadRequest, rejection.body_text()),
        }
    }
}

/// A path with something in it that is no id, or no UTF-8.
impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), ErrorCode::BadRequest, rejection.body_text()).field("path")
    }
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy { retry_after } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Busy, "too many sign-ins at this moment")
                    .retry_after(retry_after)
            }
            PasswordError::Hash(cause) => {
                tracing::error!(cause, "failed to hash a password");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal, "the password could not be checked")
            }
        }
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        let code = match error {
            TokenError::Invalid | TokenError::Ended => ErrorCode::Unauthenticated,
            TokenError::Expired => ErrorCode::TokenExpired,
            TokenError::Unavailable => {
                return Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, error.to_string())
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
                ErrorCode::Conflict,
                "this name is taken; choose another, or sign in if it is yours",
            )
            .field("name"),
            StoreError::Unavailable { .. } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorCode::Unavailable,
                "accounts cannot be reached at this moment; try again",
            )
            .retry_after(Duration::from_secs(1)),
            other => {
                tracing::error!(cause = %other, "an account request failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal, "the request failed; try again")
            }
        }
    }
}
