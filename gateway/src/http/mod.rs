//! The client port: accounts over HTTP, the page, and the way in for WebSockets.
//!
//! Bodies are bounded, errors are JSON of one shape (`docs/reference/protocol.md`), and every answer carries the headers that keep a page safe.

mod accounts;
mod address;
mod error;
mod limits;
mod listener;
mod oidc;
mod page;
mod sessions;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::Response,
    routing::{MethodRouter, delete, get, post},
};
use serde_json::{Value, json};

pub use address::ClientAddress;
pub use error::ApiError;
pub use listener::serve;

use crate::{
    auth::{Accounts, PasswordPool, RefreshTokens},
    hub::Hub,
    services::Services,
};

/// Bytes of a request body: a name, a password of 256 bytes and room to spare.
const BODY_LIMIT: usize = 16 * 1024;

/// What the handlers share.
#[derive(Clone)]
pub struct Http {
    pub(crate) services: Arc<Services>,
    pub(crate) passwords: Arc<PasswordPool>,
    pub(crate) refresh: Arc<RefreshTokens>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) hub: Arc<Hub>,
}

impl Http {
    /// Takes one of the handshakes that an address may make.
    ///
    /// # Errors
    /// 429 with the time to wait.
    pub async fn admit_handshake(&self, address: ClientAddress) -> Result<(), ApiError> {
        limits::Limits(self).handshake(address).await
    }
}

/// The ways in for WebSockets.
pub struct Doors {
    /// Serves `GET /v1/ws`.
    pub chat: MethodRouter<Http>,
    /// Serves `GET /connection/websocket`.
    pub centrifuge: MethodRouter<Http>,
}

/// The routes of the client port.
pub fn router(http: Http, doors: Doors) -> Router {
    Router::new()
        .route("/v1/sign-up", post(accounts::sign_up))
        .route("/v1/sign-in", post(accounts::sign_in))
        .route("/v1/sign-in/oidc", post(oidc::sign_in))
        .route("/v1/password", post(accounts::change_password))
        .route("/v1/refresh", post(sessions::refresh))
        .route("/v1/sign-out", post(sessions::sign_out))
        .route("/v1/sign-out-everywhere", post(sessions::sign_out_everywhere))
        .route("/v1/sessions", get(sessions::list))
        .route("/v1/sessions/{id}", delete(sessions::end))
        .route("/v1/config", get(config))
        .route("/v1/ws", doors.chat)
        .route("/connection/websocket", doors.centrifuge)
        .route("/", get(page::index))
        .route("/{file}", get(page::file))
        .fallback(|| async { ApiError::new(StatusCode::NOT_FOUND, "not_found", "nothing is served under this path") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "bad_request", "this path does not take that method")
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::map_response_with_state(http.clone(), finish))
        .with_state(http)
}

/// What the page needs to know before anyone signs in.
async fn config(State(http): State<Http>) -> Json<Value> {
    let limits = &http.services.config.limits;
    Json(json!({
        "passwords": http.services.config.auth.passwords,
        "oidc": http.services.issuers.login_pages(),
        "limits": {
            "message_bytes": limits.message_bytes,
            "messages_per_second": limits.messages_per_second,
            "message_burst": limits.message_burst,
            "rooms_per_connection": limits.rooms_per_connection,
        },
    }))
}

async fn finish(State(http): State<Http>, mut response: Response) -> Response {
    http.services.counters.http.add(status_label(response.status()));
    // `connect-src` names ws: and wss: since 'self' does not cover them in every browser.
    const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws: wss:; \
                       base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CSP));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Label of a status: the ones this gateway gives, so that the number of labels is bounded.
fn status_label(status: StatusCode) -> &'static str {
    match status.as_u16() {
        101 => "101",
        200 => "200",
        201 => "201",
        204 => "204",
        304 => "304",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        408 => "408",
        409 => "409",
        413 => "413",
        415 => "415",
        422 => "422",
        426 => "426",
        429 => "429",
        500 => "500",
        503 => "503",
        _ => "other",
    }
}
