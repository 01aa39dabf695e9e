//! A client that speaks JSON or CBOR as the protocol's page has it, without the gateway's types. Each frame that it gets is held against
//! the schemas of `docs/reference/asyncapi.yaml`.

use std::{collections::VecDeque, time::Duration};

use chat_test_client::cbor;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{io::DuplexStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};
use uuid::Uuid;

use crate::schemas;

/// Longest wait for anything; far over what a slow machine needs.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    socket: Option<WebSocketStream<DuplexStream>>,
    pipe: Option<DuplexStream>,
    binary: bool,
    next_id: u64,
    pub(crate) events: VecDeque<Value>,
}

impl Client {
    pub(crate) fn new(pipe: DuplexStream) -> Self {
        Self { socket: None, pipe: Some(pipe), binary: false, next_id: 1, events: VecDeque::new() }
    }

    /// The same with frames in CBOR.
    pub(crate) fn binary(pipe: DuplexStream) -> Self {
        Self { binary: true, ..Self::new(pipe) }
    }

    async fn socket(&mut self) -> &mut WebSocketStream<DuplexStream> {
        if let Some(pipe) = self.pipe.take() {
            self.socket = Some(WebSocketStream::from_raw_socket(pipe, Role::Client, None).await);
        }
        self.socket.as_mut().unwrap()
    }

    pub(crate) async fn hello(&mut self, name: &str, resume: &[(&str, u64)]) -> Value {
        let resume: Vec<_> = resume.iter().map(|(room, seq)| json!({ "room": room, "seq": seq })).collect();
        let welcome = self.ask(json!({ "type": "hello", "token": name, "resume": resume })).await;
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        welcome
    }

    /// Sends a raw frame.
    pub(crate) async fn raw(&mut self, message: Message) {
        self.socket().await.send(message).await.unwrap();
    }

    /// Sends a request and returns its number.
    pub(crate) async fn request(&mut self, mut request: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        request["id"] = json!(id);
        let message =
            if self.binary { Message::binary(cbor::encode(&request)) } else { Message::text(request.to_string()) };
        self.raw(message).await;
        id
    }

    /// Waits for the answer to a request; events on the way are kept.
    pub(crate) async fn answer(&mut self, id: u64) -> Value {
        loop {
            let frame = self.frame().await.expect("closed before the answer");
            if frame["re"] == json!(id) {
                return frame;
            }
            self.events.push_back(frame);
        }
    }

    pub(crate) async fn ask(&mut self, request: Value) -> Value {
        let id = self.request(request).await;
        self.answer(id).await
    }

    /// The next frame; `Err` carries the close code.
    pub(crate) async fn frame(&mut self) -> Result<Value, u16> {
        self.frame_within(PATIENCE).await
    }

    /// The same, with another patience for tests that let time pass.
    pub(crate) async fn frame_within(&mut self, patience: Duration) -> Result<Value, u16> {
        loop {
            match timeout(patience, self.socket().await.next()).await.expect("nothing came") {
                Some(Ok(Message::Text(text))) if !self.binary => {
                    return Ok(checked(serde_json::from_str(&text).unwrap()));
                }
                Some(Ok(Message::Binary(bytes))) if self.binary => return Ok(checked(cbor::decode(&bytes).unwrap())),
                Some(Ok(other @ (Message::Text(_) | Message::Binary(_)))) => {
                    panic!("a frame of the wrong kind: {other:?}")
                }
                Some(Ok(Message::Close(frame))) => return Err(frame.map_or(1005, |frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(1006),
            }
        }
    }

    /// Reads on until the connection closes.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            if let Err(code) = self.frame().await {
                return code;
            }
        }
    }

    /// The next event of this type.
    pub(crate) async fn event(&mut self, kind: &str) -> Value {
        if let Some(at) = self.events.iter().position(|event| event["type"] == kind) {
            return self.events.remove(at).unwrap();
        }
        loop {
            let frame = self.frame().await.expect("closed before the event");
            if frame["type"] == kind {
                return frame;
            }
            self.events.push_back(frame);
        }
    }

    /// The next `count` messages of a room as (seq, body); checks that nothing is missing, repeated or out of order.
    pub(crate) async fn messages(&mut self, room: &str, after: u64, count: u64) -> Vec<String> {
        let mut bodies = Vec::new();
        for seq in after + 1..=after + count {
            let message = loop {
                let event = self.event("message").await;
                if event["message"]["room"] == room {
                    break event;
                }
            };
            assert_eq!(message["message"]["seq"], json!(seq));
            bodies.push(message["message"]["body"].as_str().unwrap().to_owned());
        }
        bodies
    }

    /// Nothing of this type comes within the time.
    pub(crate) async fn silence(&mut self, kind: &str, time: Duration) {
        assert!(!self.events.iter().any(|event| event["type"] == kind), "{:?}", self.events);
        let found = timeout(time, async { self.event(kind).await }).await;
        assert!(found.is_err(), "{found:?}");
    }

    pub(crate) async fn group(&mut self, members: &[&str]) -> String {
        let answer =
            self.ask(json!({ "type": "create_room", "kind": "group", "title": "t", "members": members })).await;
        assert_eq!(answer["type"], "room", "{answer}");
        answer["room"]["id"].as_str().unwrap().to_owned()
    }

    /// Sends many messages and takes them in again; the client reads as it goes, as clients do.
    pub(crate) async fn fill(&mut self, room: &str, after: u64, count: u64) {
        for seq in after..after + count {
            self.request(send(room, "filler")).await;
            if seq >= after + 20 {
                self.messages(room, seq - 20, 1).await;
            }
        }
        let read = count.saturating_sub(20);
        self.messages(room, after + read, count - read).await;
    }

    pub(crate) async fn send(&mut self, room: &str, body: &str) -> Value {
        let answer = self.ask(send(room, body)).await;
        assert_eq!(answer["type"], "sent", "{answer}");
        answer
    }
}

fn checked(frame: Value) -> Value {
    schemas::check(&frame);
    frame
}

pub(crate) fn send(room: &str, body: &str) -> Value {
    json!({ "type": "send", "room": room, "message_id": Uuid::now_v7(), "body": body })
}
