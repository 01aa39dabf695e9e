//! One connection of the probe: a WebSocket with JSON frames, signed in.

use std::time::Duration;

use chat_gateway_config::probe;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self, Message,
        client::IntoClientRequest as _,
        http::{HeaderValue, header},
        protocol::WebSocketConfig,
    },
};

use super::{Failure, Front};

/// Time to connect and to be welcomed: a crowd may be coming in at the same time.
const WELCOME: Duration = Duration::from_secs(6);

/// Bytes read at once. Many probes run at the same time, and what comes is short.
const READ: usize = 4 * 1024;

/// Bytes of the longest frame: the welcome names eight rooms, a page of history three messages.
const FRAME: usize = 64 * 1024;

/// A connection that was welcomed.
pub(super) struct Session {
    socket: WebSocketStream<TcpStream>,
    /// The gateway that it is connected to.
    pub(super) gateway: String,
    /// The rooms that the welcome named, and where each stood.
    rooms: Vec<(String, i64)>,
    /// Whether the gateway has asked its clients to leave.
    pub(super) leaving: bool,
}

impl Session {
    /// Connects and signs in.
    ///
    /// # Errors
    /// [`Failure::Trouble`], with what the front door said.
    pub(super) async fn open(front: &Front, token: &str) -> Result<Self, Failure> {
        let closed = |why: String| Failure::trouble("FrontDoorClosed", format!("{}: {why}", front.address));
        let opening = async {
            let mut socket = connect(&front.address).await.map_err(|error| match error {
                tungstenite::Error::Http(answer) => closed(format!("answered with status {}", answer.status())),
                error => closed(error.to_string()),
            })?;
            let hello = json!({ "type": "hello", "id": 0, "token": token });
            socket.send(Message::text(hello.to_string())).await.map_err(|error| closed(error.to_string()))?;
            let mut session = Self { socket, gateway: String::new(), rooms: Vec::new(), leaving: false };
            loop {
                let frame = session.next().await?;
                match frame["type"].as_str() {
                    Some("welcome") => {
                        session.gateway = frame["gateway"].as_str().unwrap_or_default().to_owned();
                        let rooms = frame["rooms"].as_array().into_iter().flatten();
                        session.rooms = rooms
                            .filter_map(|room| Some((room["id"].as_str()?.to_owned(), room["last_seq"].as_i64()?)))
                            .collect();
                        return Ok(session);
                    }
                    Some("error") => return Err(refused("hello", &frame)),
                    // Such as word that the gateway asks its clients to leave.
                    _ => {}
                }
            }
        };
        timeout(WELCOME, opening).await.unwrap_or_else(|_| Err(closed(format!("no welcome within {WELCOME:?}"))))
    }

    /// Where a room stood when the connection began.
    pub(super) fn start(&self, room: &str) -> Option<i64> {
        self.rooms.iter().find(|(id, _)| id == room).map(|(_, last)| *last)
    }

    /// Sends a request.
    ///
    /// # Errors
    /// [`Failure::Trouble`]: the connection is gone.
    pub(super) async fn send(&mut self, request: &Value) -> Result<(), Failure> {
        self.socket.send(Message::text(request.to_string())).await.map_err(|error| self.lost(&error.to_string()))
    }

    /// The next frame. Safe to cancel.
    ///
    /// # Errors
    /// [`Failure::Trouble`]: the connection is gone.
    pub(super) async fn next(&mut self) -> Result<Value, Failure> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).unwrap_or_default();
                    self.leaving |= frame["type"] == "reconnect";
                    return Ok(frame);
                }
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map_or(1005, |frame| frame.code.into());
                    return Err(self.lost(&format!("closed with code {code}")));
                }
                // Pings are answered by the socket itself.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(self.lost(&error.to_string())),
                None => return Err(self.lost("closed without a word")),
            }
        }
    }

    /// Says goodbye, if that is quickly done.
    pub(super) async fn close(mut self) {
        let _ = timeout(Duration::from_secs(1), self.socket.close(None)).await;
    }

    fn lost(&self, why: &str) -> Failure {
        let gateway = if self.gateway.is_empty() { "the gateway" } else { &self.gateway };
        Failure::trouble("ConnectionLost", format!("{gateway}: {why}"))
    }
}

/// What an error answer says.
pub(super) fn refused(what: &str, frame: &Value) -> Failure {
    let text = |field: &str| frame[field].as_str().unwrap_or_default().chars().take(200).collect::<String>();
    Failure::trouble("Refused", format!("{what}: {}: {}", text("code"), text("message")))
}

async fn connect(address: &str) -> Result<WebSocketStream<TcpStream>, tungstenite::Error> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut request = format!("ws://{address}/v1/ws").into_client_request()?;
    request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("chat.v1"));
    request.headers_mut().insert(probe::HEADER, HeaderValue::from_static("1"));
    let config = WebSocketConfig::default()
        .read_buffer_size(READ)
        .write_buffer_size(0)
        .max_message_size(Some(FRAME))
        .max_frame_size(Some(FRAME));
    Ok(client_async_with_config(request, stream, Some(config)).await?.0)
}
