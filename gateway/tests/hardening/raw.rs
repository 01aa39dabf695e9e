//! A client that sends any bytes, also those that no library would.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use uuid::Uuid;

use crate::MINUTE;

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads an answer out of everything that came on a connection; status 0 when nothing did.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head, body: bytes[end..].to_vec() }
    }

    /// Value of a header, in small letters; lines of one name joined.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let values: Vec<&str> =
            lines.filter(|(there, _)| there.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {} {}", self.head, self.text()))
    }

    /// Status and code of a refusal.
    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
    }
}

/// Sends bytes and reads until the other side closes.
pub(crate) async fn exchange(at: &str, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(at).await.unwrap();
    // The other side may answer and close before it has read all: that is what some of these are about.
    drop(stream.write_all(request).await);
    Answer::read(&drain(&mut stream).await)
}

/// Everything until the end, whatever kind of end it is.
pub(crate) async fn drain(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let all = async { while matches!(stream.read_buf(&mut bytes).await, Ok(read) if read > 0) {} };
    timeout(MINUTE, all).await.expect("the connection does not end");
    bytes
}

/// One request on a connection of its own. A body is JSON unless a header says otherwise.
pub(crate) async fn call(at: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    let has = |name: &str| headers.iter().any(|(there, _)| *there == name);
    if !has("host") {
        head += &format!("host: {at}\r\n");
    }
    if !body.is_empty() && !has("content-type") {
        head += "content-type: application/json\r\n";
    }
    if !has("content-length") && !has("transfer-encoding") && method != "GET" {
        head += &format!("content-length: {}\r\n", body.len());
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    exchange(at, &[head.as_bytes(), b"\r\n", body].concat()).await
}

/// The head of an upgrade request.
pub(crate) fn upgrade(at: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let mut head = format!(
        "GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    );
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head + "\r\n"
}

/// A frame of a client, with a mask of zeros.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(0x80 | u8::try_from(short).unwrap()),
        medium @ 126..=65_535 => {
            bytes.push(0xfe);
            bytes.extend(u16::try_from(medium).unwrap().to_be_bytes());
        }
        long => {
            bytes.push(0xff);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

/// First bytes of frames.
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const TEXT_BEGINS: u8 = 0x01;
pub(crate) const GOES_ON: u8 = 0x00;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;
const CLOSE: u8 = 0x88;

/// A WebSocket.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    next: u64,
}

impl Raw {
    pub(crate) async fn open(at: &str) -> Self {
        let (answer, stream) = Self::knock(at, "/v1/ws", &[]).await;
        assert_eq!(answer.status, 101, "{}", answer.text());
        Self::over(stream)
    }

    /// A WebSocket whose handshake is done.
    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream, next: 1 }
    }

    /// Asks for an upgrade; the answer, and the stream behind it.
    pub(crate) async fn knock(at: &str, path: &str, headers: &[(&str, &str)]) -> (Answer, TcpStream) {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(upgrade(at, path, headers).as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let head = async {
            while !bytes.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => bytes.push(byte),
                    Err(_) => break,
                }
            }
        };
        timeout(MINUTE, head).await.expect("no answer to the upgrade");
        (Answer::read(&bytes), stream)
    }

    /// Sends bytes; false when nobody takes them any more.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> bool {
        timeout(MINUTE, self.stream.write_all(bytes)).await.is_ok_and(|written| written.is_ok())
    }

    pub(crate) async fn text(&mut self, text: &str) {
        assert!(self.write(&frame(TEXT, text.as_bytes())).await, "the connection is gone");
    }

    /// The next frame: first byte and payload; `None` when the connection ended without one.
    pub(crate) async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let read = async {
            let first = self.stream.read_u8().await?;
            let length = match self.stream.read_u8().await? {
                126 => u64::from(self.stream.read_u16().await?),
                127 => self.stream.read_u64().await?,
                short => u64::from(short),
            };
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.stream.read_exact(&mut payload).await?;
            Ok::<_, std::io::Error>((first, payload))
        };
        timeout(MINUTE, read).await.expect("nothing comes").ok()
    }

    /// Takes the next frame, and answers it if it is a ping; false when the connection has ended.
    pub(crate) async fn frame_answered(&mut self) -> bool {
        match self.frame().await {
            Some((PING, payload)) => self.write(&frame(PONG, &payload)).await,
            other => other.is_some(),
        }
    }

    /// The next frame of the protocol; pings are answered on the way.
    pub(crate) async fn json(&mut self) -> Value {
        loop {
            match self.frame().await {
                Some((TEXT, payload)) => return serde_json::from_slice(&payload).unwrap(),
                Some((PING, payload)) => drop(self.write(&frame(PONG, &payload)).await),
                Some((PONG, _)) => {}
                other => panic!("{other:?} in place of a text"),
            }
        }
    }

    /// The close code that comes in the end; 1006 when the connection just ends.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            match self.frame().await {
                Some((CLOSE, payload)) => return u16::from_be_bytes([payload[0], payload[1]]),
                Some(_) => {}
                None => return 1006,
            }
        }
    }

    /// Asks for something and returns the answer; events before it are dropped.
    pub(crate) async fn ask(&mut self, mut request: Value) -> Value {
        self.next += 1;
        request["id"] = json!(self.next);
        self.text(&request.to_string()).await;
        self.answer(self.next).await
    }

    pub(crate) async fn answer(&mut self, id: u64) -> Value {
        loop {
            let frame = self.json().await;
            if frame["re"] == id {
                return frame;
            }
        }
    }

    /// The next event of a type.
    pub(crate) async fn event(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.json().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    pub(crate) async fn hello(&mut self, token: &str) {
        let welcome = self.ask(json!({ "type": "hello", "token": token })).await;
        assert_eq!(welcome["type"], "welcome", "{welcome}");
    }

    /// Makes a group; its id.
    pub(crate) async fn group(&mut self, members: &[&str], title: &str) -> String {
        let made =
            self.ask(json!({ "type": "create_room", "kind": "group", "title": title, "members": members })).await;
        made["room"]["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
    }

    /// Sends a text; its seq.
    pub(crate) async fn say(&mut self, room: &str, body: &str) -> i64 {
        let request = json!({ "type": "send", "room": room, "message_id": Uuid::now_v7(), "body": body });
        let sent = self.ask(request).await;
        sent["seq"].as_i64().unwrap_or_else(|| panic!("{sent}"))
    }

    /// Whether the connection is alive, by a request.
    pub(crate) async fn is_served(&mut self) -> bool {
        self.ask(json!({ "type": "ping" })).await["type"] == "pong"
    }
}

/// A moment between two bytes of somebody who is slow on purpose.
pub(crate) const MOMENT: Duration = Duration::from_millis(100);
