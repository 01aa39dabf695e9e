//! One small HTTP request to a gateway's admin port, straight to the pod.

use std::time::Duration;

use chat_gateway_config::stats::GatewayStats;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, body::Bytes, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::{names::port, sensitive::Sensitive};

/// A gateway that needs longer is in trouble; the next round comes soon.
const TIMEOUT: Duration = Duration::from_secs(2);
/// 64 shards make some 15 KiB; more than this is not a gateway.
const MAX_ANSWER: usize = 256 << 10;

/// A gateway did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("no connection: {0}")]
    Connect(#[source] std::io::Error),
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    #[error("broken answer: {0}")]
    Http(#[from] hyper::Error),
    #[error("answered with status {0}")]
    Status(StatusCode),
    #[error("answer too large or cut off")]
    Body,
    #[error("answer is not the statistics of a gateway of this version: {0}")]
    Json(#[from] serde_json::Error),
    #[error("failed to make the request")]
    Request(#[from] hyper::http::Error),
}

/// Asks the gateway at `address` for its statistics.
pub(super) async fn ask(address: &str, token: &Sensitive) -> Result<GatewayStats, AskError> {
    // On the heap: a thousand questions wait at the same time, and the future of a request is large.
    tokio::time::timeout(TIMEOUT, Box::pin(request(address, token))).await.map_err(|_| AskError::Timeout)?
}

async fn request(address: &str, token: &Sensitive) -> Result<GatewayStats, AskError> {
    let port = u16::try_from(port::GATEWAY_ADMIN).unwrap_or_default();
    let socket = TcpStream::connect((address, port)).await.map_err(AskError::Connect)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
    // Ends by itself when the sender is dropped.
    tokio::spawn(connection);
    let request = Request::get("/stats")
        .header(header::HOST, address)
        .header(header::CONNECTION, "close")
        .header(header::AUTHORIZATION, format!("Bearer {}", token.expose()))
        .body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    if answer.status() != StatusCode::OK {
        return Err(AskError::Status(answer.status()));
    }
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|_| AskError::Body)?;
    Ok(serde_json::from_slice(&body.to_bytes())?)
}
