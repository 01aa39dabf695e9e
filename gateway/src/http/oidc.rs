//! The way in through an external issuer, begun by the page.

use std::time::Duration;

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
    http::{HeaderMap, StatusCode},
};

use super::{
    ApiError, ClientAddress, Http,
    limits::Limits,
    sessions::{self, Tokens},
};
use crate::{
    audit::{self, Act, By, Record},
    auth::oidc::{External, Login, LoginError},
    protocol::ErrorCode,
};

/// Exchanges an authorization code for a session of this cluster, which is refreshed and ended as any other.
pub(super) async fn sign_in(
    State(http): State<Http>,
    address: ClientAddress,
    headers: HeaderMap,
    body: Result<Json<Login>, JsonRejection>,
) -> Result<Json<Tokens>, ApiError> {
    let Json(login) = body?;
    let external = match login_from(&http, address, &login).await {
        Ok(external) => external,
        Err(error) => {
            Record::new(Act::SignIn, By::Unknown, Some(address.0)).write(audit::refusal(error.code()));
            return Err(error);
        }
    };
    let user = http.accounts.ensure(external.user).await.map_err(|error| {
        tracing::debug!(%error, "the account of an external user could not be made");
        ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Unavailable,
            "accounts cannot be reached at this moment; try again",
        )
        .retry_after(Duration::from_secs(1))
    })?;
    Ok(Json(sessions::begin(&http, user, &headers).await?))
}

async fn login_from(http: &Http, address: ClientAddress, login: &Login) -> Result<External, ApiError> {
    // By address alone: who it is will be known when the issuer has said so.
    Limits(http).sign_in_from(address).await?;
    Ok(http.services.issuers.login(login).await?)
}

impl From<LoginError> for ApiError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Refused => Self::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthenticated, error.to_string()),
            LoginError::Unavailable => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, error.to_string())
                    .retry_after(Duration::from_secs(1))
            }
        }
    }
}
