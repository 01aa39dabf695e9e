//! The client port: accounts over HTTP, the page, and the way in for WebSockets.
//!
//! Bodies are bounded, errors are JSON of one shape (`docs/reference/protocol.md`), and every answer carries the headers that keep a page safe.

mod accounts;
mod error;
mod listener;
mod page;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::Response,
    routing::{MethodRouter, get, post},
};
use serde_json::{Value, json};

pub use error::ApiError;
pub use listener::serve;

use crate::{auth::PasswordPool, services::Services};

/// Bytes of a request body: a name, a password of 256 bytes and room to spare.
const BODY_LIMIT: usize = 16 * 1024;

/// What the handlers share.
#[derive(Clone)]
pub struct Http {
    pub(crate) services: Arc<Services>,
    pub(crate) passwords: Arc<PasswordPool>,
}

/// The routes of the client port. `websocket` serves `GET /v1/ws`.
pub fn router(services: Arc<Services>, passwords: Arc<PasswordPool>, websocket: MethodRouter<Http>) -> Router {
    Router::new()
        .route("/v1/sign-up", post(accounts::sign_up))
        .route("/v1/sign-in", post(accounts::sign_in))
        .route("/v1/token", post(accounts::renew))
        .route("/v1/config", get(config))
        .route("/v1/ws", websocket)
        .route("/", get(page::index))
        .route("/{file}", get(page::file))
        .fallback(|| async { ApiError::new(StatusCode::NOT_FOUND, "not_found", "nothing is served under this path") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "bad_request", "this path does not take that method")
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::map_response(harden))
        .with_state(Http { services, passwords })
}

/// What the page needs to know before anyone signs in.
async fn config(State(http): State<Http>) -> Json<Value> {
    let limits = &http.services.config.limits;
    Json(json!({
        "passwords": http.services.config.auth.passwords,
        "limits": {
            "message_bytes": limits.message_bytes,
            "messages_per_second": limits.messages_per_second,
            "message_burst": limits.message_burst,
            "rooms_per_connection": limits.rooms_per_connection,
        },
    }))
}

async fn harden(mut response: Response) -> Response {
    // `connect-src` names ws: and wss: since 'self' does not cover them in every browser.
    const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws: wss:; \
                       base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CSP));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
