//! The client port: accounts over HTTP, the page, and the way in for WebSockets.
//!
//! Bodies are bounded, errors are JSON of one shape (`docs/reference/protocol.md`), and every answer carries the headers that keep a page safe.

mod accounts;
mod address;
mod body;
mod connect;
mod error;
mod limits;
mod listener;
mod oidc;
pub mod operations;
mod origin;
mod page;
mod places;
mod sessions;
mod settings;

use std::sync::Arc;

pub(crate) use self::{
    accounts::{ChangePassword, SignIn, SignUp},
    connect::Addresses,
    error::ErrorBody,
    sessions::{RefreshBody, Sessions, Tokens},
    settings::PublicSettings,
};
pub use address::ClientAddress;
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, delete, get, post},
};
pub use error::ApiError;
pub use listener::serve;
use origin::Source;
pub use places::{Places, Seated};

use self::operations::Operation;
use crate::{
    auth::{Accounts, PasswordPool, RefreshTokens},
    hub::Hub,
    protocol::ErrorCode,
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
    /// What the handlers share.
    #[must_use]
    pub fn new(
        services: Arc<Services>,
        passwords: Arc<PasswordPool>,
        refresh: Arc<RefreshTokens>,
        accounts: Arc<Accounts>,
        hub: Arc<Hub>,
    ) -> Self {
        Self { services, passwords, refresh, accounts, hub }
    }

    /// Lets pages of this host, and of the origins on the list, open a WebSocket.
    ///
    /// # Errors
    /// 403 for other pages.
    pub fn admit_origin(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        Source::of(headers, &self.services.config.get().http.allowed_origins).admit()
    }

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
pub fn router(http: Http, doors: &Doors) -> Router {
    let served = Operation::ALL
        .into_iter()
        .fold(Router::new(), |router, operation| router.route(operation.path(), handler(operation, doors)));
    served
        .fallback(|| async {
            ApiError::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, "nothing is served under this path")
        })
        .method_not_allowed_fallback(|| async {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::BadRequest, "this path does not take that method")
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(http.clone(), guard))
        .with_state(http)
}

/// Who carries out an operation.
fn handler(operation: Operation, doors: &Doors) -> MethodRouter<Http> {
    match operation {
        Operation::SignUp => post(accounts::sign_up),
        Operation::SignIn => post(accounts::sign_in),
        Operation::SignInOidc => post(oidc::sign_in),
        Operation::ChangePassword => post(accounts::change_password),
        Operation::Refresh => post(sessions::refresh),
        Operation::SignOut => post(sessions::sign_out),
        Operation::SignOutEverywhere => post(sessions::sign_out_everywhere),
        Operation::ListSessions => get(sessions::list),
        Operation::EndSession => delete(sessions::end),
        Operation::Config => get(settings::config),
        Operation::Connect => get(connect::connect),
        Operation::WebSocket => doors.chat.clone(),
        Operation::Centrifuge => doors.centrifuge.clone(),
        Operation::Page => get(page::index),
        Operation::PageFile => get(page::file),
    }
}

/// Around every answer: what is refused whatever the path, and the headers that each one carries.
async fn guard(State(http): State<Http>, request: Request, next: Next) -> Response {
    let source = Source::of(request.headers(), &http.services.config.get().http.allowed_origins);
    let host = request.headers().get(header::HOST).cloned();
    let mut response = match body::check(request.headers()) {
        Err(refusal) => refusal.into_response(),
        Ok(()) => match source.preflight(request.method(), request.headers()) {
            Some(answer) => answer,
            None => next.run(request).await,
        },
    };
    http.services.counters.http.add(status_label(response.status()));
    source.mark(response.headers_mut());
    origin::protect(response.headers_mut(), host.as_ref());
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
