//! Sign-up, sign-in and token renewal.

use std::net::SocketAddr;

use axum::{
    Json,
    extract::{ConnectInfo, State, rejection::JsonRejection},
    http::{HeaderMap, StatusCode, header},
};
use chat_gateway_config::Passwords;
use serde::{Deserialize, Serialize};

use super::{ApiError, Http};
use crate::{
    auth::{
        TokenError,
        names::{PASSWORD_BYTES, check_password, display_name, fold_name, user_id},
    },
    limiter::Rate,
    model::User,
    store::NewUser,
};

/// Attempts from one address. Generous, since many people may come through one address.
const PER_ADDRESS: Rate = Rate { per_second: 20, burst: 100 };
/// Sign-ins under one name: slow enough against guessing, while a person never notices.
const PER_NAME: Rate = Rate { per_second: 1, burst: 10 };

#[derive(Deserialize)]
pub(super) struct SignUp {
    name: String,
    password: String,
    display_name: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct SignIn {
    name: String,
    password: String,
}

/// What every successful account request answers.
#[derive(Serialize)]
pub(super) struct Session {
    token: String,
    expires_in_seconds: u32,
    user: User,
}

type Answer = Result<Json<Session>, ApiError>;
type Body<T> = Result<Json<T>, JsonRejection>;

pub(super) async fn sign_up(
    State(http): State<Http>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    body: Body<SignUp>,
) -> Result<(StatusCode, Json<Session>), ApiError> {
    let Json(request) = body?;
    passwords_enabled(&http)?;
    let name = fold_name(&request.name)?;
    let shown = display_name(request.display_name.as_deref(), &name)?;
    check_password(&request.password)?;
    limit(&http, format!("sign-up:{}", peer.ip()), PER_ADDRESS).await?;
    let password_hash = http.passwords.hash(request.password).await?;
    let user = User { id: user_id(&name), name, display_name: shown };
    let user = http.services.store.create_user(NewUser { user, password_hash }).await?;
    Ok((StatusCode::CREATED, session(&http, user)))
}

pub(super) async fn sign_in(
    State(http): State<Http>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    body: Body<SignIn>,
) -> Answer {
    let Json(request) = body?;
    passwords_enabled(&http)?;
    let refused = || ApiError::new(StatusCode::UNAUTHORIZED, "unauthenticated", "the name or the password is wrong");
    // A name or password that could never have been set is refused like a wrong one: the answer tells nothing about accounts.
    let name = fold_name(&request.name).map_err(|_| refused())?;
    if request.password.len() > *PASSWORD_BYTES.end() {
        return Err(refused());
    }
    limit(&http, format!("sign-in-from:{}", peer.ip()), PER_ADDRESS).await?;
    limit(&http, format!("sign-in:{name}"), PER_NAME).await?;
    let (user, stored) = http.services.store.credentials(user_id(&name)).await?.unzip();
    let fits = http.passwords.verify(request.password, stored).await?;
    match user {
        Some(user) if fits => Ok(session(&http, user)),
        _ => Err(refused()),
    }
}

pub(super) async fn renew(State(http): State<Http>, headers: HeaderMap) -> Answer {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or(TokenError::Invalid)?;
    let claims = http.services.tokens.verify(token)?;
    Ok(session(&http, claims.user))
}

fn session(http: &Http, user: User) -> Json<Session> {
    let (token, expires_in_seconds) = http.services.tokens.issue(&user);
    Json(Session { token, expires_in_seconds, user })
}

fn passwords_enabled(http: &Http) -> Result<(), ApiError> {
    match http.services.config.auth.passwords {
        Passwords::Enabled => Ok(()),
        Passwords::Disabled => Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "sign-in with a password is turned off here; use a token from your own sign-in",
        )),
    }
}

async fn limit(http: &Http, bucket: String, rate: Rate) -> Result<(), ApiError> {
    http.services.limiter.take(&bucket, rate).await.map_err(ApiError::rate_limited)
}
