//! One connection of one person, that sees every field of every frame.

use std::{collections::VecDeque, time::Duration};

use chat_test_client::{
    Account,
    socket::{Socket, SocketError},
};
use serde_json::{Value, json};

use crate::support::{scene::MINUTE, stage::Gateway};

/// See the module's documentation.
pub(crate) struct Device {
    socket: Socket,
    gateway: String,
    /// What was told and nobody has asked for.
    events: VecDeque<Value>,
    asked: u64,
}

impl Device {
    /// Connects, and resumes these rooms after these places; the answer to `hello` as well.
    pub(crate) async fn resume(gateway: &Gateway, account: &Account, rooms: &[(&str, u64)]) -> (Self, Value) {
        let socket = Socket::connect(&gateway.address).await.unwrap();
        let mut device = Self { socket, gateway: gateway.name.clone(), events: VecDeque::new(), asked: 0 };
        let resume: Vec<Value> = rooms.iter().map(|(room, seq)| json!({ "room": room, "seq": seq })).collect();
        let welcome = device.ask(json!({ "type": "hello", "token": account.token, "resume": resume })).await;
        assert_eq!(welcome["type"], "welcome", "{welcome} from {}", device.gateway);
        (device, welcome)
    }

    /// Connects.
    pub(crate) async fn connect(gateway: &Gateway, account: &Account) -> Self {
        Self::resume(gateway, account, &[]).await.0
    }

    /// Asks something; the answer.
    pub(crate) async fn ask(&mut self, mut request: Value) -> Value {
        self.asked += 1;
        request["id"] = json!(self.asked);
        self.socket.send(&request).await.unwrap();
        loop {
            let frame = self.next(MINUTE).await.unwrap_or_else(|| panic!("{request} is not answered"));
            if frame["re"] == self.asked {
                return frame;
            }
            self.events.push_back(frame);
        }
    }

    /// Asks something that is answered with `ok`.
    pub(crate) async fn tell(&mut self, request: Value) {
        let answer = self.ask(request.clone()).await;
        assert_eq!(answer["type"], "ok", "{request}: {answer} from {}", self.gateway);
    }

    /// Puts an entry into a room's log: its place, and whether it was a repeat.
    pub(crate) async fn enter(&mut self, request: &Value) -> (u64, bool) {
        let answer = self.ask(request.clone()).await;
        let sent = answer["seq"].as_u64().zip(answer["duplicate"].as_bool());
        sent.unwrap_or_else(|| panic!("{request}: {answer} from {}", self.gateway))
    }

    /// Waits for the first event of a type that holds all these fields, and takes it out of what was told.
    pub(crate) async fn told(&mut self, kind: &str, fields: Value) -> Value {
        let fields = fields.as_object().unwrap();
        self.hear(&format!("{kind} {fields:?}"), |event| {
            event["type"] == kind && fields.iter().all(|(name, value)| event[name] == *value)
        })
        .await
    }

    /// Waits until it is told that it is in this room now; the room.
    pub(crate) async fn added(&mut self, room: &str) -> Value {
        let wanted = |event: &Value| event["type"] == "room_added" && event["room"]["id"] == room;
        self.hear(&format!("that it is in {room}"), wanted).await["room"].take()
    }

    /// So many messages of a room in the order in which they come.
    pub(crate) async fn messages(&mut self, room: &str, count: usize) -> Vec<Value> {
        let mut messages = Vec::new();
        for _ in 0..count {
            let wanted = |event: &Value| event["type"] == "message" && event["message"]["room"] == room;
            messages.push(self.hear(&format!("a message of {room}"), wanted).await["message"].take());
        }
        messages
    }

    async fn hear(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.events.iter().position(&wanted) {
            return self.events.remove(at).unwrap();
        }
        loop {
            let event = self.next(MINUTE).await.unwrap_or_else(|| panic!("{} never told {what}", self.gateway));
            if wanted(&event) {
                return event;
            }
            self.events.push_back(event);
        }
    }

    /// A page of a room's log or texts.
    pub(crate) async fn history(&mut self, room: &str, view: &str) -> Value {
        let mut page =
            self.ask(json!({ "type": "history", "room": room, "after": 0, "limit": 100, "view": view })).await;
        page["messages"].take()
    }

    /// Waits until the gateway closes the connection; the code.
    pub(crate) async fn closed(&mut self) -> u16 {
        let closing = async {
            loop {
                match self.socket.recv_value().await {
                    Ok(_) => {}
                    Err(SocketError::Closed { code, .. }) => return code,
                    Err(other) => panic!("{other}"),
                }
            }
        };
        tokio::time::timeout(MINUTE, closing).await.unwrap_or_else(|_| panic!("{} closes nothing", self.gateway))
    }

    /// Says goodbye.
    pub(crate) async fn leave(self) {
        self.socket.close().await;
    }

    async fn next(&mut self, limit: Duration) -> Option<Value> {
        let frame = tokio::time::timeout(limit, self.socket.recv_value()).await.ok()?;
        Some(frame.unwrap_or_else(|error| panic!("the connection to {} ended: {error}", self.gateway)))
    }
}
