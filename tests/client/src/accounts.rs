//! Accounts over HTTP: sign up, sign in, and fresh tokens.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::{
    addresses::Addresses,
    backoff,
    wire::{Refusal, User},
};

const REQUEST_LIMIT: Duration = Duration::from_secs(20);

/// A signed-in person.
#[derive(Clone, Debug)]
pub struct Account {
    /// Who they are.
    pub user: User,
    /// Password, to sign in again when the token has expired.
    pub password: String,
    /// Token of the WebSocket's `hello`.
    pub token: String,
    /// Token that is exchanged for fresh ones, once.
    pub refresh_token: String,
}

/// Why there is no account.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// No gateway answered.
    #[error("no answer from {address}: {cause}")]
    Unreachable {
        /// The address that was asked last.
        address: String,
        /// What happened.
        cause: String,
    },
    /// A gateway refused.
    #[error("refused with {status}: {} {}", .refusal.code, .refusal.message)]
    Refused {
        /// HTTP status.
        status: u16,
        /// Error object of the body.
        refusal: Refusal,
    },
    /// The answer does not follow the protocol page.
    #[error("answer {status} does not follow the protocol: {body}")]
    Malformed {
        /// HTTP status.
        status: u16,
        /// Body as text.
        body: String,
    },
}

#[derive(Deserialize)]
struct Session {
    token: String,
    refresh_token: String,
    #[allow(dead_code, reason = "read to check that it is there")]
    expires_in_seconds: u64,
    user: User,
}

/// Signs up, or signs in when the name exists. Goes on over passing failures (unreachable, busy, unavailable) for `patience`.
///
/// # Errors
/// A lasting refusal, or the last failure when `patience` is over.
pub async fn enter(
    addresses: &Addresses,
    name: &str,
    password: &str,
    patience: Duration,
) -> Result<Account, AccountError> {
    let deadline = tokio::time::Instant::now() + patience;
    let mut attempt = 0;
    loop {
        let error = match enter_once(addresses, name, password).await {
            Ok(account) => return Ok(account),
            Err(error) => error,
        };
        let wait = match &error {
            AccountError::Refused { refusal, .. } if refusal.is_passing() => {
                refusal.retry_after_ms.map_or(backoff::delay(attempt), Duration::from_millis)
            }
            AccountError::Unreachable { .. } => backoff::delay(attempt),
            _ => return Err(error),
        };
        if tokio::time::Instant::now() + wait > deadline {
            return Err(error);
        }
        attempt += 1;
        tokio::time::sleep(wait).await;
    }
}

async fn enter_once(addresses: &Addresses, name: &str, password: &str) -> Result<Account, AccountError> {
    let credentials = json!({ "name": name, "password": password });
    let mut last = AccountError::Unreachable { address: "nowhere".into(), cause: "the address list is empty".into() };
    for address in addresses.candidates(None) {
        let answer = match sign(&address, "/v1/sign-up", &credentials).await {
            Err(AccountError::Refused { refusal, .. }) if refusal.code == "conflict" => {
                sign(&address, "/v1/sign-in", &credentials).await
            }
            answer => answer,
        };
        match answer {
            Ok(session) => {
                return Ok(account(session, password));
            }
            Err(error @ AccountError::Unreachable { .. }) => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

fn account(session: Session, password: &str) -> Account {
    let Session { user, token, refresh_token, .. } = session;
    Account { user, password: password.to_owned(), token, refresh_token }
}

async fn sign(address: &str, path: &str, credentials: &Value) -> Result<Session, AccountError> {
    let (status, body) = post(address, path, None, credentials).await?;
    read(status, &body)
}

/// Exchanges the account's refresh token for fresh tokens.
///
/// # Errors
/// As [`enter`], without its patience.
pub async fn refresh(address: &str, account: &Account) -> Result<Account, AccountError> {
    let (status, body) = post(address, "/v1/refresh", None, &json!({ "refresh_token": account.refresh_token })).await?;
    Ok(self::account(read(status, &body)?, &account.password))
}

fn read(status: StatusCode, body: &[u8]) -> Result<Session, AccountError> {
    #[derive(Deserialize)]
    struct Failure {
        error: Refusal,
    }
    if status.is_success() {
        if let Ok(session) = serde_json::from_slice(body) {
            return Ok(session);
        }
    } else if let Ok(failure) = serde_json::from_slice::<Failure>(body) {
        return Err(AccountError::Refused { status: status.as_u16(), refusal: failure.error });
    }
    Err(AccountError::Malformed { status: status.as_u16(), body: String::from_utf8_lossy(body).into_owned() })
}

/// Posts JSON (nothing when `body` is null) and returns status and body, whatever they are.
///
/// # Errors
/// [`AccountError::Unreachable`] only.
pub async fn post(
    address: &str,
    path: &str,
    token: Option<&str>,
    body: &Value,
) -> Result<(StatusCode, Bytes), AccountError> {
    let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    request(Method::POST, address, path, &bearer(token), bytes).await
}

/// Gets a path and returns status and body, whatever they are.
///
/// # Errors
/// [`AccountError::Unreachable`] only.
pub async fn get(address: &str, path: &str, token: Option<&str>) -> Result<(StatusCode, Bytes), AccountError> {
    request(Method::GET, address, path, &bearer(token), Bytes::new()).await
}

fn bearer(token: Option<&str>) -> Vec<(&'static str, String)> {
    token.map(|token| ("authorization", format!("Bearer {token}"))).into_iter().collect()
}

/// Sends any request, with these headers (the body is JSON unless they say otherwise), and returns status and body, whatever they are.
///
/// # Errors
/// [`AccountError::Unreachable`] only.
pub async fn request(
    method: Method,
    address: &str,
    path: &str,
    headers: &[(&str, String)],
    body: Bytes,
) -> Result<(StatusCode, Bytes), AccountError> {
    let unreachable = |cause: String| AccountError::Unreachable { address: address.to_owned(), cause };
    let exchange = async {
        let stream = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        tokio::spawn(connection);
        let mut builder = Request::builder().method(method).uri(path).header(header::HOST, address);
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
            builder = builder.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            builder = builder.header(*name, value);
        }
        let request = builder.body(Full::new(body)).map_err(|e| e.to_string())?;
        let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
        Ok::<_, String>((status, bytes))
    };
    match tokio::time::timeout(REQUEST_LIMIT, exchange).await {
        Ok(outcome) => outcome.map_err(unreachable),
        Err(_) => Err(unreachable(format!("nothing within {} s", REQUEST_LIMIT.as_secs()))),
    }
}
