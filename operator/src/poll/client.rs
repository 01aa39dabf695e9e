//! Small HTTP requests to a gateway's admin port, straight to the pod.

use std::time::Duration;

use chat_gateway_config::{
    delivery::Delivery,
    hints::Peers,
    slots::SlotsAnswer,
    stats::{GatewayStats, Moved, Moves},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, body::Bytes, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::{names::port, sensitive::Sensitive};

/// A gateway that needs longer is in trouble; the next round comes soon.
const TIMEOUT: Duration = Duration::from_secs(2);
/// 64 shards make some 15 KiB; more than this is not a gateway.
const MAX_ANSWER: usize = 256 << 10;

/// 65536 slots with their sizes make some 4 MiB.
const MAX_SLOTS: usize = 16 << 20;

/// A gateway did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("no connection: {0}")]
    Connect(#[source] std::io::Error),
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
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

/// Where a gateway's admin port is, and the token for it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) address: String,
    pub(super) token: Sensitive,
}

/// The answer, if it comes in time.
async fn within(patience: Duration, call: impl Future<Output = Result<Bytes, AskError>>) -> Result<Bytes, AskError> {
    // On the heap: a thousand questions wait at the same time, and the future of a request is large.
    tokio::time::timeout(patience, Box::pin(call)).await.map_err(|_| AskError::Timeout(patience))?
}

impl Place {
    /// Asks the gateway for its statistics.
    pub(super) async fn stats(&self) -> Result<GatewayStats, AskError> {
        Ok(serde_json::from_slice(&self.call(Method::GET, "/stats", Bytes::new()).await?)?)
    }

    /// Tells the gateway to take nobody new, or to take people again.
    pub(super) async fn cordon(&self, on: bool) -> Result<(), AskError> {
        self.call(if on { Method::PUT } else { Method::DELETE }, "/cordon", Bytes::new()).await.map(drop)
    }

    /// Has the gateway ask clients to connect elsewhere; returns how many it asked.
    pub(super) async fn moves(&self, moves: Moves) -> Result<u32, AskError> {
        let answer = self.call(Method::POST, "/moves", serde_json::to_vec(&moves)?.into()).await?;
        let Moved { asked } = serde_json::from_slice(&answer)?;
        Ok(asked)
    }

    /// Tells the gateway which gateways take clients.
    pub(super) async fn peers(&self, peers: &Peers) -> Result<(), AskError> {
        self.call(Method::PUT, "/peers", serde_json::to_vec(peers)?.into()).await.map(drop)
    }

    /// Asks the gateway what the shards say of their slots.
    pub(super) async fn slots(
        &self,
        sizes: bool,
        since: Option<i64>,
        patience: Duration,
    ) -> Result<SlotsAnswer, AskError> {
        let since = since.map(|since| format!("&since={since}")).unwrap_or_default();
        let path = format!("/slots?sizes={sizes}{since}");
        Ok(serde_json::from_slice(&self.read(&path, MAX_SLOTS, patience).await?)?)
    }

    /// Asks the gateway what it counted of messages, slot by slot.
    pub(super) async fn delivery(&self, patience: Duration) -> Result<Delivery, AskError> {
        Ok(serde_json::from_slice(&self.read("/delivery", MAX_SLOTS, patience).await?)?)
    }

    async fn read(&self, path: &str, most: usize, patience: Duration) -> Result<Bytes, AskError> {
        within(patience, self.request(Method::GET, path, Bytes::new(), most)).await
    }

    async fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, AskError> {
        within(TIMEOUT, self.request(method, path, body, MAX_ANSWER)).await
    }

    async fn request(&self, method: Method, path: &str, body: Bytes, most: usize) -> Result<Bytes, AskError> {
        let port = u16::try_from(port::GATEWAY_ADMIN).unwrap_or_default();
        let socket = TcpStream::connect((self.address.as_str(), port)).await.map_err(AskError::Connect)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
        // Ends by itself when the sender is dropped.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.address)
            .header(header::CONNECTION, "close")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token.expose()))
            .body(Full::new(body))?;
        let answer = sender.send_request(request).await?;
        if !answer.status().is_success() {
            return Err(AskError::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), most).collect().await.map_err(|_| AskError::Body)?;
        Ok(body.to_bytes())
    }
}
