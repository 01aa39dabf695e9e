//! A client that speaks the JSON form of the Centrifuge protocol as its page has it, without the gateway's types.

use std::{collections::VecDeque, time::Duration};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{io::DuplexStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

/// Longest wait for anything; far over what a slow machine needs.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Centrifuge {
    socket: WebSocketStream<DuplexStream>,
    next_id: u64,
    pub(crate) pushes: VecDeque<Value>,
}

impl Centrifuge {
    pub(crate) async fn new(pipe: DuplexStream) -> Self {
        let socket = WebSocketStream::from_raw_socket(pipe, Role::Client, None).await;
        Self { socket, next_id: 1, pushes: VecDeque::new() }
    }

    pub(crate) async fn raw(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    /// Sends one command with the next number; returns the number.
    pub(crate) async fn command(&mut self, mut command: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        command["id"] = json!(id);
        self.raw(Message::text(command.to_string())).await;
        id
    }

    /// Sends a command and waits for its reply; pushes on the way are kept.
    pub(crate) async fn ask(&mut self, command: Value) -> Value {
        let id = self.command(command).await;
        self.reply(id).await
    }

    pub(crate) async fn reply(&mut self, id: u64) -> Value {
        loop {
            let frame = self.frame().await.expect("closed before the reply");
            if frame["id"] == json!(id) {
                return frame;
            }
            self.pushes.push_back(frame);
        }
    }

    pub(crate) async fn connect(&mut self, token: &str) -> Value {
        let reply = self.ask(json!({ "connect": { "token": token, "name": "test" } })).await;
        assert!(reply["connect"]["client"].is_string(), "{reply}");
        reply["connect"].clone()
    }

    pub(crate) async fn subscribe(&mut self, channel: &str) -> Value {
        self.ask(json!({ "subscribe": { "channel": channel } })).await
    }

    /// The next frame; `Err` carries the close code and reason.
    pub(crate) async fn frame(&mut self) -> Result<Value, (u16, String)> {
        match timeout(PATIENCE, self.socket.next()).await.expect("nothing came") {
            Some(Ok(Message::Text(text))) => Ok(serde_json::from_str(&text).unwrap()),
            Some(Ok(Message::Close(Some(frame)))) => Err((frame.code.into(), frame.reason.to_string())),
            Some(Ok(Message::Close(None)) | Err(_)) | None => Err((1006, String::new())),
            Some(Ok(other)) => panic!("{other:?}"),
        }
    }

    /// Reads on until the connection closes.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Err(closed) = self.frame().await {
                return closed;
            }
        }
    }

    /// The next push that has this field: `pub`, `unsubscribe` or `message`.
    pub(crate) async fn push(&mut self, kind: &str) -> Value {
        if let Some(at) = self.pushes.iter().position(|push| push["push"].get(kind).is_some()) {
            return self.pushes.remove(at).unwrap()["push"].clone();
        }
        loop {
            let frame = self.frame().await.expect("closed before the push");
            if frame["push"].get(kind).is_some() {
                return frame["push"].clone();
            }
            self.pushes.push_back(frame);
        }
    }

    /// The next event of this type that comes beside the channels.
    pub(crate) async fn event(&mut self, kind: &str) -> Value {
        loop {
            let message = self.push("message").await;
            if message["message"]["data"]["type"] == kind {
                return message["message"]["data"].clone();
            }
        }
    }

    /// The next publications of a channel; checks that offsets follow each other.
    pub(crate) async fn publications(&mut self, channel: &str, after: u64, count: u64) -> Vec<String> {
        let mut bodies = Vec::new();
        for offset in after + 1..=after + count {
            let push = loop {
                let push = self.push("pub").await;
                if push["channel"] == channel {
                    break push;
                }
            };
            assert_eq!(push["pub"]["offset"], json!(offset), "{push}");
            assert_eq!(push["pub"]["data"]["seq"], json!(offset), "{push}");
            bodies.push(push["pub"]["data"]["body"].as_str().unwrap().to_owned());
        }
        bodies
    }
}

/// The reply's error code; 0 without an error.
pub(crate) fn error(reply: &Value) -> u64 {
    reply["error"]["code"].as_u64().unwrap_or(0)
}
