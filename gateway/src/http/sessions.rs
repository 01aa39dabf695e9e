//! Sessions over HTTP: their begin, fresh tokens for them, what there is of them, and their end.

use std::time::Duration;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::JsonRejection},
    http::{HeaderMap, StatusCode, header},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ApiError, ClientAddress, Http, limits::Limits};
use crate::{
    auth::{Claims, TokenError},
    model::{SessionId, User},
    protocol::time::milliseconds,
    store::sessions::{NewSession, Refresh, Refreshed, SessionView, USER_AGENT_CHARS},
};

/// What a way in answers.
#[derive(Serialize)]
pub(super) struct Tokens {
    token: String,
    expires_in_seconds: u32,
    refresh_token: String,
    refresh_expires_in_seconds: i64,
    session: SessionId,
    user: User,
}

#[derive(Deserialize)]
pub(super) struct RefreshBody {
    refresh_token: String,
}

/// A session as its user sees it.
#[derive(Serialize)]
struct Listed {
    id: SessionId,
    #[serde(serialize_with = "milliseconds")]
    created_at: Timestamp,
    #[serde(serialize_with = "milliseconds")]
    last_used_at: Timestamp,
    #[serde(serialize_with = "milliseconds")]
    expires_at: Timestamp,
    user_agent: String,
    current: bool,
}

impl Listed {
    fn new(view: SessionView, current: Option<SessionId>) -> Self {
        let SessionView { id, created_at, last_used_at, expires_at, user_agent } = view;
        Self { id, created_at, last_used_at, expires_at, user_agent, current: Some(id) == current }
    }
}

/// Begins a session of a user who has just proved who they are.
pub(super) async fn begin(http: &Http, user: User, headers: &HeaderMap) -> Result<Tokens, ApiError> {
    let limits = http.services.config.auth.sessions;
    let id = SessionId(Uuid::now_v7());
    let token = http.refresh.first(user.id, id);
    let new = NewSession {
        user: user.id,
        id,
        token_hash: token.hash(),
        idle: Duration::from_secs(limits.idle_seconds.into()),
        life: Duration::from_secs(limits.life_seconds.into()),
        user_agent: user_agent(headers),
    };
    http.services.store.create_session(new).await?;
    Ok(tokens(http, user, id, http.refresh.write(&token), limits.idle_seconds.into()))
}

fn tokens(
    http: &Http,
    user: User,
    session: SessionId,
    refresh_token: String,
    refresh_expires_in_seconds: i64,
) -> Tokens {
    let (token, expires_in_seconds) = http.services.tokens.issue(&user, session);
    Tokens { token, expires_in_seconds, refresh_token, refresh_expires_in_seconds, session, user }
}

/// Exchanges a refresh token for the next one. A used one ends the session, since either its thief or its owner has the next.
pub(super) async fn refresh(
    State(http): State<Http>,
    address: ClientAddress,
    headers: HeaderMap,
    body: Result<Json<RefreshBody>, JsonRejection>,
) -> Result<Json<Tokens>, ApiError> {
    let Json(RefreshBody { refresh_token }) = body?;
    Limits(&http).token_from(address).await?;
    let presented = http.refresh.read(&refresh_token).ok_or_else(refresh_refused)?;
    Limits(&http).token_of(presented.user).await?;
    let salt: [u8; 32] = rand::random();
    let next = presented.successor(&salt);
    let refresh = Refresh {
        user: presented.user,
        session: presented.session,
        presented: presented.hash(),
        next: next.hash(),
        salt,
        idle: Duration::from_secs(http.services.config.auth.sessions.idle_seconds.into()),
        user_agent: user_agent(&headers),
    };
    let (user, expires_at, next) = match http.services.store.refresh_session(refresh).await? {
        Refreshed::Rotated { user, expires_at } => (user, expires_at, next),
        Refreshed::Repeated { user, expires_at, salt } => (user, expires_at, presented.successor(&salt)),
        ended @ (Refreshed::Reused | Refreshed::Ended) => {
            if ended == Refreshed::Reused {
                tracing::warn!(user = %presented.user, session = %presented.session, %address, "a used refresh token came back; its session was ended");
                http.services.counters.reused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            // Said in both cases: the first answer of a shard may have been lost after it ended the session.
            http.hub.sessions_ended(presented.user).await;
            return Err(refresh_refused());
        }
    };
    let left = expires_at.duration_since(Timestamp::now()).as_secs().max(0);
    Ok(Json(tokens(&http, user, presented.session, http.refresh.write(&next), left)))
}

/// One answer to everything that is no good: it tells nothing about sessions.
fn refresh_refused() -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "unauthenticated", "the refresh token is no good any more; sign in again")
        .field("refresh_token")
}

/// Ends the session of a refresh token in the body, or of the access token. The former works when the latter has expired, and with any
/// token the session ever had: whoever held one may end it.
pub(super) async fn sign_out(
    State(http): State<Http>,
    address: ClientAddress,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let (user, session) = if body.is_empty() {
        let claims = authenticate(&http, address, &headers).await?;
        (claims.user.id, claims.session.ok_or_else(no_session)?)
    } else {
        Limits(&http).token_from(address).await?;
        let body: RefreshBody = serde_json::from_slice(&body)
            .map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "bad_json", error.to_string()))?;
        let presented = http.refresh.read(&body.refresh_token).ok_or_else(refresh_refused)?;
        Limits(&http).token_of(presented.user).await?;
        (presented.user, presented.session)
    };
    http.services.store.end_session(user, session).await?;
    http.hub.sessions_ended(user).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends all sessions of the user.
pub(super) async fn sign_out_everywhere(
    State(http): State<Http>,
    address: ClientAddress,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let claims = authenticate(&http, address, &headers).await?;
    http.services.store.end_sessions(claims.user.id, None).await?;
    http.hub.sessions_ended(claims.user.id).await;
    Ok(StatusCode::NO_CONTENT)
}

/// The user's sessions.
pub(super) async fn list(
    State(http): State<Http>,
    address: ClientAddress,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    let claims = authenticate(&http, address, &headers).await?;
    let sessions = http.services.store.sessions(claims.user.id).await?;
    let listed: Vec<_> = sessions.into_iter().map(|view| Listed::new(view, claims.session)).collect();
    Ok(Json(json!({ "sessions": listed })))
}

/// Ends one of the user's sessions, such as that of a device that was lost.
pub(super) async fn end(
    State(http): State<Http>,
    address: ClientAddress,
    Path(session): Path<Uuid>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let claims = authenticate(&http, address, &headers).await?;
    if !http.services.store.end_session(claims.user.id, SessionId(session)).await? {
        return Err(ApiError::new(StatusCode::NOT_FOUND, "not_found", "no such session; it may have ended by itself"));
    }
    http.hub.sessions_ended(claims.user.id).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Who sent a request, by the access token in its header. The token of a session that was ended is refused, on every gateway at once:
/// the store is asked.
pub(super) async fn authenticate(http: &Http, address: ClientAddress, headers: &HeaderMap) -> Result<Claims, ApiError> {
    Limits(http).token_from(address).await?;
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or(TokenError::Invalid)?;
    let claims = http.services.tokens.verify(token).await?;
    Limits(http).token_of(claims.user.id).await?;
    if let Some(session) = claims.session
        && !http.services.store.session_lives(claims.user.id, session).await?
    {
        return Err(TokenError::Ended.into());
    }
    Ok(claims)
}

fn no_session() -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "forbidden", "this token has no session here; end it where it was issued")
}

/// What a client calls itself, for its user to know it again.
fn user_agent(headers: &HeaderMap) -> String {
    let name = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    name.chars().filter(|c| !c.is_control()).take(USER_AGENT_CHARS).collect()
}
