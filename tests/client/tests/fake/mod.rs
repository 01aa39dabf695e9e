//! A gateway in miniature whose misbehaviour a test can script: one room, everything in memory.

#![allow(clippy::expect_used, reason = "a test double")]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::HeaderValue,
    },
};
use uuid::Uuid;

/// What goes wrong next; each entry is used up by one occurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Commit a send, then break the connection instead of answering.
    LoseAck,
    /// Answer a send with `rate_limited`.
    RateLimit,
    /// Deliver an event twice.
    DeliverTwice,
    /// Skip an event.
    SkipEvent,
    /// Ask the client to reconnect after this send.
    AskToReconnect,
    /// Leave the room out of a welcome, as if its shard were away, and bring it a moment later.
    BringRoomLater,
    /// Leave the room out of a welcome, and break the connection before it is brought.
    BreakBeforeRoom,
}

#[derive(Default)]
struct State {
    messages: Vec<Value>,
    by_id: HashMap<String, usize>,
    faults: Vec<Fault>,
    hellos: usize,
}

/// The fake. Its room is the nil UUID.
#[derive(Clone)]
pub(crate) struct Fake {
    state: Arc<Mutex<State>>,
    grew: watch::Sender<usize>,
    user: Uuid,
    pub(crate) address: String,
}

impl Fake {
    pub(crate) async fn start(user: Uuid) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket").to_string();
        let fake = Self { state: Arc::default(), grew: watch::Sender::new(0), user, address };
        let serving = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let fake = serving.clone();
                tokio::spawn(async move { fake.connection(stream).await });
            }
        });
        fake
    }

    pub(crate) fn next(&self, fault: Fault) {
        self.state.lock().expect("no panic under the lock").faults.push(fault);
    }

    pub(crate) fn rows(&self) -> usize {
        self.state.lock().expect("no panic under the lock").messages.len()
    }

    pub(crate) fn hellos(&self) -> usize {
        self.state.lock().expect("no panic under the lock").hellos
    }

    fn use_up(&self, fault: Fault) -> bool {
        let faults = &mut self.state.lock().expect("no panic under the lock").faults;
        faults.iter().position(|other| *other == fault).map(|at| faults.remove(at)).is_some()
    }

    /// Ends with `None` when the connection is to break.
    async fn connection(self, stream: TcpStream) -> Option<()> {
        let mut socket = tokio_tungstenite::accept_hdr_async(stream, choose_protocol).await.ok()?;
        let hello = next(&mut socket).await?;
        let mut cursor = hello["resume"][0]["seq"].as_u64();
        let mut grew = self.grew.subscribe();
        let withheld = [Fault::BringRoomLater, Fault::BreakBeforeRoom].into_iter().find(|fault| self.use_up(*fault));
        let mut welcome = self.welcome(&hello, &mut cursor);
        if withheld.is_some() {
            welcome["rooms"] = json!([]);
            welcome["resumed"] = json!([]);
        }
        say(&mut socket, &welcome).await?;
        let mut cursor = usize::try_from(cursor?).ok()?;
        if let Some(fault) = withheld {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if fault == Fault::BreakBeforeRoom {
                return None;
            }
            say(&mut socket, &json!({ "type": "room_added", "room": room(cursor as u64) })).await?;
        }
        loop {
            let fresh = self.state.lock().expect("no panic under the lock").messages[cursor..].to_vec();
            for message in fresh {
                cursor += 1;
                if self.use_up(Fault::SkipEvent) {
                    continue;
                }
                let times = if self.use_up(Fault::DeliverTwice) { 2 } else { 1 };
                for _ in 0..times {
                    say(&mut socket, &json!({ "type": "message", "message": message })).await?;
                }
            }
            tokio::select! {
                request = next(&mut socket) => self.answer(&mut socket, &request?).await?,
                _ = grew.changed() => {}
            }
        }
    }

    fn welcome(&self, hello: &Value, cursor: &mut Option<u64>) -> Value {
        let mut state = self.state.lock().expect("no panic under the lock");
        state.hellos += 1;
        let last = state.messages.len() as u64;
        let resumed = cursor.map(|from| json!({ "room": Uuid::nil(), "from": from, "to": last, "recovered": true }));
        cursor.get_or_insert(last);
        json!({
            "type": "welcome", "re": hello["id"], "session": "s", "gateway": self.address, "ping_seconds": 25, "limits": {},
            "user": { "id": self.user, "name": "ann", "display_name": "Ann" },
            "rooms": [room(last)],
            "resumed": resumed.into_iter().collect::<Vec<_>>(),
        })
    }

    async fn answer(&self, socket: &mut WebSocketStream<TcpStream>, request: &Value) -> Option<()> {
        let re = &request["id"];
        if request["type"] != "send" {
            return say(socket, &json!({ "type": "pong", "re": re })).await;
        }
        if self.use_up(Fault::RateLimit) {
            let error = json!({ "type": "error", "re": re, "code": "rate_limited", "message": "slow down", "retry_after_ms": 20 });
            return say(socket, &error).await;
        }
        let (seq, duplicate) = self.commit(request);
        if self.use_up(Fault::LoseAck) {
            return None;
        }
        let sent = json!({
            "type": "sent", "re": re, "room": Uuid::nil(), "message_id": request["message_id"],
            "seq": seq, "at": "2026-01-01T00:00:00.000Z", "duplicate": duplicate,
        });
        say(socket, &sent).await?;
        if self.use_up(Fault::AskToReconnect) {
            say(socket, &json!({ "type": "reconnect", "after_ms": 5, "reason": "draining" })).await?;
        }
        Some(())
    }

    fn commit(&self, request: &Value) -> (usize, bool) {
        let mut state = self.state.lock().expect("no panic under the lock");
        let id = request["message_id"].as_str().expect("a message id").to_owned();
        if let Some(seq) = state.by_id.get(&id) {
            return (*seq, true);
        }
        let seq = state.messages.len() + 1;
        state.messages.push(json!({
            "room": Uuid::nil(), "seq": seq, "message_id": id, "sender": self.user, "sender_name": "Ann",
            "body": request["body"], "at": "2026-01-01T00:00:00.000Z",
        }));
        state.by_id.insert(id, seq);
        self.grew.send_replace(seq);
        (seq, false)
    }
}

fn room(last_seq: u64) -> Value {
    json!({ "id": Uuid::nil(), "kind": "group", "last_seq": last_seq, "read_seq": 0, "delivered_seq": 0 })
}

async fn next(socket: &mut WebSocketStream<TcpStream>) -> Option<Value> {
    loop {
        if let Message::Text(text) = socket.next().await?.ok()? {
            return serde_json::from_str(&text).ok();
        }
    }
}

async fn say(socket: &mut WebSocketStream<TcpStream>, frame: &Value) -> Option<()> {
    socket.send(Message::text(frame.to_string())).await.ok()
}

#[allow(clippy::result_large_err, reason = "the signature is the library's")]
fn choose_protocol(_: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let protocol = HeaderValue::from_static("chat.v1");
    response.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
    Ok(response)
}
