//! The Centrifuge door's part of [`crate::sql`]: what is a text in its commands.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{place::Place, raw::Raw};

/// The error of the Centrifuge protocol for what names no channel.
const NO_CHANNEL: u64 = 102;
/// For no such command or method.
const UNKNOWN: u64 = 104;
/// For a request that is no good.
const BAD_REQUEST: u64 = 107;
/// For a position of another history.
const ELSEWHERE: u64 = 112;
/// For nobody of this name.
const NOT_FOUND: u64 = 404;

/// A connection by the other door.
pub(crate) struct Door {
    raw: Raw,
    next: u64,
}

impl Door {
    /// One that has said nothing yet.
    async fn knock(place: &Place) -> Self {
        let (answer, stream) = Raw::knock(&place.at, "/connection/websocket", &[]).await;
        assert_eq!(answer.status, 101, "{}", answer.text());
        Self { raw: Raw::over(stream), next: 1 }
    }

    pub(crate) async fn open(place: &Place, token: &str) -> Self {
        let mut door = Self::knock(place).await;
        let connected = door.ask(json!({ "connect": { "token": token } })).await;
        assert!(connected["connect"]["client"].is_string(), "{connected}");
        door
    }

    /// The reply to a command.
    async fn ask(&mut self, mut command: Value) -> Value {
        command["id"] = json!(self.next);
        self.next += 1;
        self.raw.text(&command.to_string()).await;
        loop {
            let reply = self.raw.json().await;
            if reply["id"] == command["id"] {
                return reply;
            }
        }
    }

    /// The payload in every field of every command.
    pub(crate) async fn withstands(&mut self, place: &Place, payload: &str, room: &str) {
        for (command, codes) in refused(payload, room) {
            let reply = self.ask(command.clone()).await;
            let code = reply["error"]["code"].as_u64().unwrap_or_default();
            assert!(codes.contains(&code), "{command}: {reply}");
        }
        self.keeps(payload).await;
        // What is not answered: that the connection goes on is all that there is to see.
        for data in [json!(payload), json!({ "type": payload }), json!({ "type": "typing_start", "room": payload })] {
            self.raw.text(&json!({ "send": { "data": data } }).to_string()).await;
        }
        let stats = self.ask(json!({ "presence_stats": { "channel": format!("room:{room}") } })).await;
        assert!(stats["presence_stats"].is_object(), "{stats}");
        never_connects(place, payload).await;
    }

    /// What is a text here comes back as it was.
    async fn keeps(&mut self, payload: &str) {
        let group = json!({ "kind": "group", "members": ["bob"], "title": payload });
        let made = self.ask(json!({ "rpc": { "method": "create_room", "data": group } })).await;
        let made = &made["rpc"]["data"]["room"];
        assert_eq!(made["title"], payload, "{made}");
        let channel = format!("room:{}", made["id"].as_str().unwrap());
        let published = self.ask(json!({ "publish": { "channel": channel, "data": { "body": payload } } })).await;
        assert!(published["publish"].is_object(), "{published}");
        let page = self.ask(json!({ "history": { "channel": channel, "limit": 10 } })).await;
        assert_eq!(page["history"]["publications"][0]["data"]["body"], payload, "{page}");
        // A position of a history that is not this one's: nothing is recovered, and it says so.
        let from = json!({ "channel": channel, "recover": true, "offset": 1, "epoch": payload });
        let subscribed = &self.ask(json!({ "subscribe": from })).await["subscribe"];
        assert_eq!((&subscribed["was_recovering"], &subscribed["recovered"]), (&json!(true), &Value::Null));
        let left = self.ask(json!({ "unsubscribe": { "channel": channel } })).await;
        assert!(left["unsubscribe"].is_object(), "{left}");
    }
}

/// Commands that are refused, and the codes that do it.
fn refused(payload: &str, room: &str) -> Vec<(Value, &'static [u64])> {
    let (channel, id) = (format!("room:{room}"), Uuid::now_v7());
    let (no_channel, bad): (&[u64], &[u64]) = (&[NO_CHANNEL], &[BAD_REQUEST]);
    let rpc = |method: &str, data: Value| json!({ "rpc": { "method": method, "data": data } });
    let publish = |data: Value| json!({ "publish": { "channel": channel, "data": data } });
    let mut all = Vec::new();
    for name in [payload.to_owned(), format!("room:{payload}"), format!("{channel}{payload}")] {
        for command in ["subscribe", "unsubscribe", "presence", "presence_stats", "history"] {
            all.push((json!({ command: { "channel": name } }), no_channel));
        }
        all.push((json!({ "publish": { "channel": name, "data": { "body": "x" } } }), no_channel));
        all.push((json!({ "sub_refresh": { "channel": name, "token": payload } }), &[UNKNOWN]));
    }
    let strict = json!({ "channel": channel, "recover": true, "offset": 1, "epoch": payload, "flag": 2 });
    all.push((json!({ "subscribe": strict }), &[ELSEWHERE]));
    let since = json!({ "channel": channel, "limit": 10, "since": { "offset": 1, "epoch": payload } });
    all.push((json!({ "history": since }), &[ELSEWHERE]));
    all.extend([
        (publish(json!(payload)), bad),
        (publish(json!({ "body": "x", "message_id": payload })), bad),
        (publish(json!({ "body": "x", "message_id": id, "reply_to": payload })), bad),
        (publish(json!({ "body": "x", "message_id": id, "mentions": [payload] })), bad),
        (rpc(payload, json!({})), &[UNKNOWN]),
        (rpc("rooms", json!(payload)), bad),
        (rpc("rooms", json!({ "after": payload })), bad),
        (rpc("members", json!({ "room": payload })), bad),
        (rpc("create_room", json!({ "kind": payload, "members": [] })), bad),
        (rpc("add_member", json!({ "room": room, "member": payload })), &[NOT_FOUND, BAD_REQUEST]),
        (rpc("history", json!({ "room": room, "before": payload })), bad),
    ]);
    all
}

/// What is no command, or no token, ends the connection and nothing else.
async fn never_connects(place: &Place, payload: &str) {
    let broken = [
        (json!({ "id": 1, "connect": { "token": payload } }), 3500),
        (json!({ "id": payload, "connect": { "token": "" } }), 3501),
        (json!({ "id": 1, "subscribe": { "channel": "room:", "offset": payload } }), 3501),
    ];
    for (command, code) in broken {
        let mut door = Door::knock(place).await;
        door.raw.text(&command.to_string()).await;
        assert_eq!(door.raw.closed().await, code, "{command}");
    }
}
