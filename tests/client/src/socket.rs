//! One WebSocket, without any cleverness: for the client's own use, and for tests that send what no good client sends.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue, protocol::WebSocketConfig},
};

use crate::{
    cbor,
    wire::{self, Body, Inbound, SUB_PROTOCOL, WireError},
};

const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Why a socket is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// No connection, or no WebSocket behind it.
    #[error("failed to connect to {address}: {source}")]
    Connect {
        /// Where to.
        address: String,
        /// Why.
        #[source]
        source: Box<tokio_tungstenite::tungstenite::Error>,
    },
    /// No connection within 5 s.
    #[error("no connection to {address} within {} s", CONNECT_LIMIT.as_secs())]
    Slow {
        /// Where to.
        address: String,
    },
    /// The peer closed it.
    #[error("closed with code {code}: {reason}")]
    Closed {
        /// WebSocket close code; 1006 when the connection just broke.
        code: u16,
        /// Reason of the close frame or of the break.
        reason: String,
    },
    /// A frame that does not follow the protocol.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// An open WebSocket to a gateway.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    /// Whether frames are CBOR and not JSON.
    binary: bool,
}

impl Socket {
    /// Connects to `ws://<address>/v1/ws` within 5 s.
    ///
    /// # Errors
    /// [`SocketError::Connect`] or [`SocketError::Slow`].
    pub async fn connect(address: &str) -> Result<Self, SocketError> {
        Self::speaking(address, SUB_PROTOCOL).await
    }

    /// The same, with frames in CBOR.
    ///
    /// # Errors
    /// As of [`Self::connect`].
    pub async fn connect_cbor(address: &str) -> Result<Self, SocketError> {
        Self::speaking(address, cbor::SUB_PROTOCOL).await
    }

    async fn speaking(address: &str, sub_protocol: &'static str) -> Result<Self, SocketError> {
        let connecting = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let mut request = format!("ws://{address}/v1/ws").into_client_request()?;
            let protocol = HeaderValue::from_static(sub_protocol);
            request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
            let config = WebSocketConfig::default().read_buffer_size(16 * 1024).write_buffer_size(0);
            tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await
        };
        match tokio::time::timeout(CONNECT_LIMIT, connecting).await {
            Ok(Ok((stream, _))) => Ok(Self { stream, binary: sub_protocol == cbor::SUB_PROTOCOL }),
            Ok(Err(source)) => Err(SocketError::Connect { address: address.to_owned(), source: Box::new(source) }),
            Err(_) => Err(SocketError::Slow { address: address.to_owned() }),
        }
    }

    /// Sends one JSON value as a text frame, or as the binary frame that says the same.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn send(&mut self, frame: &serde_json::Value) -> Result<(), SocketError> {
        let message = if self.binary { Message::binary(cbor::encode(frame)) } else { Message::text(frame.to_string()) };
        self.send_raw(message).await
    }

    /// Sends any WebSocket message, also one that no client should send.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn send_raw(&mut self, message: Message) -> Result<(), SocketError> {
        self.stream.send(message).await.map_err(broken)
    }

    /// The next protocol frame. Pings are answered on the way. Safe to cancel.
    ///
    /// # Errors
    /// The connection ended, or the frame does not follow the protocol.
    pub async fn recv(&mut self) -> Result<Inbound, SocketError> {
        self.read(wire::parse, wire::parse_cbor).await
    }

    /// The next protocol frame with all its fields, of whatever type it is. Otherwise as [`Self::recv`].
    ///
    /// # Errors
    /// The connection ended, or the frame is no JSON.
    pub async fn recv_value(&mut self) -> Result<serde_json::Value, SocketError> {
        self.read(wire::value, wire::value_of_cbor).await
    }

    async fn read<T>(
        &mut self,
        text: impl Fn(&str) -> Result<T, WireError>,
        bytes: impl Fn(&[u8]) -> Result<T, WireError>,
    ) -> Result<T, SocketError> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(frame))) if !self.binary => return Ok(text(&frame)?),
                Some(Ok(Message::Binary(frame))) if self.binary => return Ok(bytes(&frame)?),
                Some(Ok(Message::Close(frame))) => {
                    let (code, reason) = frame.map_or((1005, String::new()), |f| (f.code.into(), f.reason.to_string()));
                    return Err(SocketError::Closed { code, reason });
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(broken(error)),
                None => {
                    return Err(SocketError::Closed { code: 1006, reason: "end of stream".to_owned() });
                }
            }
        }
    }

    /// Says goodbye; does not wait for the answer longer than a second.
    pub async fn close(mut self) {
        let closing = async {
            let _ = self.stream.close(None).await;
            while let Some(Ok(_)) = self.stream.next().await {}
        };
        let _ = tokio::time::timeout(Duration::from_secs(1), closing).await;
    }
}

/// Connects and says `hello` with a token: the answer, and the code of the close that follows a refusal.
///
/// # Errors
/// No connection, or it ends otherwise.
pub async fn greet(address: &str, token: &str) -> Result<(Body, Option<u16>), SocketError> {
    let mut socket = Socket::connect(address).await?;
    socket.send(&serde_json::json!({ "type": "hello", "id": 0, "token": token })).await?;
    let answer = socket.recv().await?.body;
    if matches!(answer, Body::Welcome(_)) {
        return Ok((answer, None));
    }
    loop {
        match socket.recv().await {
            Err(SocketError::Closed { code, .. }) => return Ok((answer, Some(code))),
            other => drop(other?),
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn broken(error: tokio_tungstenite::tungstenite::Error) -> SocketError {
    SocketError::Closed { code: 1006, reason: error.to_string() }
}
