//! Sessions over HTTP: their begin, fresh tokens for them, what there is of them, and their end.

use std::time::Duration;

use axum::{
    Json,
    body::Bytes,
    extract::{
        Path, State,
        rejection::{BytesRejection, JsonRejection, PathRejection},
    },
    http::{HeaderMap, StatusCode, header},
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ApiError, ClientAddress, Http, limits::Limits};
use crate::{
    audit::{self, Act, By, Outcome, Record},
    auth::{Claims, Presented, TokenError, bearer},
    model::{SessionId, User, UserId},
    protocol::{ErrorCode, schema, time::milliseconds},
    store::sessions::{NewSession, Refresh, Refreshed, SessionView, USER_AGENT_CHARS},
};

/// What a way in answers.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Tokens {
    /// Access token: a JWT, for `hello` and for `Authorization: Bearer`.
    token: String,
    /// Seconds until the access token ends.
    expires_in_seconds: u32,
    /// Is exchanged for the next two tokens, once.
    refresh_token: String,
    /// Seconds until the session ends, unless the refresh token is used before.
    refresh_expires_in_seconds: i64,
    /// Id of the session.
    session: SessionId,
    /// Who signed in.
    user: User,
}

/// A refresh token to exchange, or to end the session of.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "RefreshToken")]
pub(crate) struct RefreshBody {
    /// As the last answer gave it.
    refresh_token: String,
}

/// The sessions of a user.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Sessions {
    /// The newest first.
    sessions: Vec<Listed>,
}

/// A session as its user sees it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Session")]
struct Listed {
    /// Id of the session.
    id: SessionId,
    /// When it was begun.
    #[serde(serialize_with = "milliseconds")]
    #[schemars(schema_with = "schema::time")]
    created_at: Timestamp,
    /// When its refresh token was last used.
    #[serde(serialize_with = "milliseconds")]
    #[schemars(schema_with = "schema::time")]
    last_used_at: Timestamp,
    /// When it ends, unless its refresh token is used before.
    #[serde(serialize_with = "milliseconds")]
    #[schemars(schema_with = "schema::time")]
    expires_at: Timestamp,
    /// What the client called itself, cut short.
    user_agent: String,
    /// Whether the request came from this session.
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
    let limits = http.services.config.get().auth.sessions;
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
    let presented = presented(&http, address, &refresh_token)?;
    Limits(&http).token_of(presented.user).await?;
    let salt: [u8; 32] = rand::random();
    let next = presented.successor(&salt);
    let refresh = Refresh {
        user: presented.user,
        session: presented.session,
        presented: presented.hash(),
        next: next.hash(),
        salt,
        idle: Duration::from_secs(http.services.config.get().auth.sessions.idle_seconds.into()),
        user_agent: user_agent(&headers),
    };
    let (user, expires_at, next) = match http.services.store.refresh_session(refresh).await? {
        Refreshed::Rotated { user, expires_at } => (user, expires_at, next),
        Refreshed::Repeated { user, expires_at, salt } => (user, expires_at, presented.successor(&salt)),
        ended @ (Refreshed::Reused | Refreshed::Ended) => {
            if ended == Refreshed::Reused {
                tracing::warn!(user = %presented.user, session = %presented.session, %address, "a used refresh token came back; its session was ended");
                http.services.counters.reused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let (user, session) = (Some(presented.user), Some(presented.session));
                let record = Record::new(Act::TokenReuse, By::Unknown, Some(address.0));
                Record { user, session, ..record }.write(Outcome::Done);
            } else {
                note_token(address, Some(presented.user), &refresh_refused());
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
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        ErrorCode::Unauthenticated,
        "the refresh token is no good any more; sign in again",
    )
    .field("refresh_token")
}

/// What a refresh token says. One that was never issued here is told in the audit log.
fn presented(http: &Http, address: ClientAddress, refresh_token: &str) -> Result<Presented, ApiError> {
    http.refresh.read(refresh_token).ok_or_else(|| {
        let refused = refresh_refused();
        note_token(address, None, &refused);
        refused
    })
}

/// Ends the session of a refresh token in the body, or of the access token. The former works when the latter has expired, and with any
/// token the session ever had: whoever held one may end it.
pub(super) async fn sign_out(
    State(http): State<Http>,
    address: ClientAddress,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, ApiError> {
    let body = body?;
    let (user, session) = if body.is_empty() {
        let claims = authenticate(&http, address, &headers).await?;
        (claims.user.id, claims.session.ok_or_else(no_session)?)
    } else {
        Limits(&http).token_from(address).await?;
        let body: RefreshBody = serde_json::from_slice(&body)
            .map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::BadJson, error.to_string()))?;
        let presented = presented(&http, address, &body.refresh_token)?;
        Limits(&http).token_of(presented.user).await?;
        (presented.user, presented.session)
    };
    end_one(&http, address, user, session).await?;
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
    let ended = http.services.store.end_sessions(claims.user.id, None).await.map_err(ApiError::from);
    let outcome = audit::outcome(&ended, ApiError::code, |count| *count > 0);
    Record::new(Act::EndSessions, By::User(claims.user.id), Some(address.0)).write(outcome);
    ended?;
    http.hub.sessions_ended(claims.user.id).await;
    Ok(StatusCode::NO_CONTENT)
}

/// The user's sessions.
pub(super) async fn list(
    State(http): State<Http>,
    address: ClientAddress,
    headers: HeaderMap,
) -> Result<Json<Sessions>, ApiError> {
    let claims = authenticate(&http, address, &headers).await?;
    let sessions = http.services.store.sessions(claims.user.id).await?;
    let sessions = sessions.into_iter().map(|view| Listed::new(view, claims.session)).collect();
    Ok(Json(Sessions { sessions }))
}

/// Ends one of the user's sessions, such as that of a device that was lost.
pub(super) async fn end(
    State(http): State<Http>,
    address: ClientAddress,
    session: Result<Path<Uuid>, PathRejection>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let claims = authenticate(&http, address, &headers).await?;
    let Path(session) = session?;
    if !end_one(&http, address, claims.user.id, SessionId(session)).await? {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            ErrorCode::NotFound,
            "no such session; it may have ended by itself",
        ));
    }
    http.hub.sessions_ended(claims.user.id).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends one session of a user who has proved who they are, and tells the audit log; false when it had ended.
async fn end_one(http: &Http, address: ClientAddress, user: UserId, session: SessionId) -> Result<bool, ApiError> {
    let ended = http.services.store.end_session(user, session).await.map_err(ApiError::from);
    let outcome = audit::outcome(&ended, ApiError::code, |ended| *ended);
    let record = Record::new(Act::EndSession, By::User(user), Some(address.0));
    Record { session: Some(session), ..record }.write(outcome);
    ended
}

/// Tells the audit log of a token that does not count.
fn note_token(address: ClientAddress, user: Option<UserId>, error: &ApiError) {
    let record = Record::new(Act::Token, By::Unknown, Some(address.0));
    Record { user, ..record }.write(audit::refusal(error.code()));
}

/// Who sent a request, by the access token in its header. The token of a session that was ended is refused, on every gateway at once:
/// the store is asked.
pub(super) async fn authenticate(http: &Http, address: ClientAddress, headers: &HeaderMap) -> Result<Claims, ApiError> {
    Limits(http).token_from(address).await?;
    let verified = verify(http, headers).await;
    if let Err(error) = &verified {
        note_token(address, None, error);
    }
    let claims = verified?;
    Limits(http).token_of(claims.user.id).await?;
    if let Some(session) = claims.session
        && !http.services.store.session_lives(claims.user.id, session).await?
    {
        let ended = TokenError::Ended.into();
        note_token(address, Some(claims.user.id), &ended);
        return Err(ended);
    }
    Ok(claims)
}

async fn verify(http: &Http, headers: &HeaderMap) -> Result<Claims, ApiError> {
    let token = bearer(headers).ok_or(TokenError::Invalid)?;
    Ok(http.services.tokens.verify(token).await?)
}

fn no_session() -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        ErrorCode::Forbidden,
        "this token has no session here; end it where it was issued",
    )
}

/// What a client calls itself, for its user to know it again.
fn user_agent(headers: &HeaderMap) -> String {
    let name = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    name.chars().filter(|c| !c.is_control()).take(USER_AGENT_CHARS).collect()
}
