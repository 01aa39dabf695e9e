//! The Centrifuge door's parsers never panic, both encodings say the same, and the page lists the codes that are used. The messages here are
//! written from the protocol's page, apart from the gateway's own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by failing")]

use chat_gateway::{
    codec::{Codec, Form, Frame, Read, Shared, Tag},
    model::{Content, Message as Entry, MessageId, Room, RoomId, RoomKind},
    protocol::{
        Answer, ClientEvent, CloseCode, ErrorCode, Request, WireError,
        request::{Recover, Subscribe},
    },
    store::Page,
};
use jiff::Timestamp;
use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Value, json};
use uuid::Uuid;

const PAGE: &str = include_str!("../../docs/reference/centrifuge.md");

#[derive(Clone, PartialEq, prost::Message)]
struct Command {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(message, optional, tag = "4")]
    connect: Option<Connect>,
    #[prost(message, optional, tag = "5")]
    subscribe: Option<SubscribeCommand>,
    #[prost(message, optional, tag = "7")]
    publish: Option<Publish>,
    #[prost(message, optional, tag = "10")]
    history: Option<History>,
    #[prost(message, optional, tag = "13")]
    rpc: Option<Rpc>,
    /// A field that no gateway knows.
    #[prost(string, tag = "4000")]
    future: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Connect {
    #[prost(string, tag = "1")]
    token: String,
    #[prost(string, tag = "4")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SubscribeCommand {
    #[prost(string, tag = "1")]
    channel: String,
    #[prost(bool, tag = "3")]
    recover: bool,
    #[prost(string, tag = "6")]
    epoch: String,
    #[prost(uint64, tag = "7")]
    offset: u64,
    #[prost(int64, tag = "14")]
    flag: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Publish {
    #[prost(string, tag = "1")]
    channel: String,
    #[prost(bytes = "vec", tag = "2")]
    data: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct History {
    #[prost(string, tag = "1")]
    channel: String,
    #[prost(int32, tag = "7")]
    limit: i32,
    #[prost(message, optional, tag = "8")]
    since: Option<Position>,
    #[prost(bool, tag = "9")]
    reverse: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Position {
    #[prost(uint64, tag = "1")]
    offset: u64,
    #[prost(string, tag = "2")]
    epoch: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Rpc {
    #[prost(bytes = "vec", tag = "1")]
    data: Vec<u8>,
    #[prost(string, tag = "2")]
    method: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Reply {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(message, optional, tag = "2")]
    error: Option<Error>,
    #[prost(message, optional, tag = "4")]
    push: Option<Push>,
    #[prost(message, optional, tag = "13")]
    rpc: Option<Rpc>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Error {
    #[prost(uint32, tag = "1")]
    code: u32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(bool, tag = "3")]
    temporary: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Push {
    #[prost(string, tag = "2")]
    channel: String,
    #[prost(message, optional, tag = "4")]
    publication: Option<Publication>,
    #[prost(message, optional, tag = "8")]
    message: Option<Rpc>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Publication {
    #[prost(bytes = "vec", tag = "4")]
    data: Vec<u8>,
    #[prost(uint64, tag = "6")]
    offset: u64,
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

/// A command in both encodings, and what it asks when it is a good one.
fn command() -> impl Strategy<Value = (Value, Command, Option<(Form, Request)>)> {
    let subscribe = (uuid(), any::<bool>(), any::<u64>(), prop_oneof![Just("log"), Just(""), Just("other")], 0..4_i64)
        .prop_map(|(room, recover, offset, epoch, flag)| {
            let channel = format!("room:{room}");
            let json = json!({ "subscribe": { "channel": channel, "recover": recover, "offset": offset, "epoch": epoch, "flag": flag } });
            let message = SubscribeCommand { channel, recover, offset, epoch: epoch.into(), flag };
            let known = epoch != "other" && i64::try_from(offset).is_ok();
            let recover = match recover {
                false => Recover::No,
                true if known => Recover::From(i64::try_from(offset).unwrap()),
                true => Recover::Elsewhere,
            };
            let request = Request::Subscribe(Subscribe { room: RoomId(room), recover, strict: flag & 2 != 0 });
            (json, Command { subscribe: Some(message), ..Command::default() }, Some((Form::Subscribe, request)))
        });
    let connect = any::<String>().prop_map(|token| {
        let json = json!({ "connect": { "token": token, "name": "x", "data": { "a": [1] } } });
        let request = Request::Hello { token: token.clone(), resume: Vec::new() };
        let connect = Connect { token, name: "x".into() };
        (json, Command { connect: Some(connect), ..Command::default() }, Some((Form::Connect, request)))
    });
    let publish = (uuid(), any::<u64>(), any::<String>()).prop_map(|(room, millis, body)| {
        let body = body.replace('\0', "");
        let random = [7; 10];
        let id = uuid::Builder::from_unix_timestamp_millis(millis >> 16, &random).into_uuid();
        let (channel, data) = (format!("room:{room}"), json!({ "body": body, "message_id": id }));
        let json = json!({ "publish": { "channel": channel, "data": data } });
        let publish = Publish { channel, data: data.to_string().into_bytes() };
        let request = Request::Send { room: RoomId(room), message_id: MessageId(id), content: Content::text(body) };
        (json, Command { publish: Some(publish), ..Command::default() }, Some((Form::Publish, request)))
    });
    let history = (uuid(), any::<i32>(), prop::option::of(any::<u64>()), any::<bool>()).prop_map(
        |(room, limit, since, reverse)| {
            let channel = format!("room:{room}");
            let since = since.map(|offset| Position { offset, epoch: "log".into() });
            let position = since.as_ref().map(|since| json!({ "offset": since.offset, "epoch": since.epoch }));
            let mut json = json!({ "history": { "channel": channel, "limit": limit, "reverse": reverse } });
            if let Some(position) = position {
                json["history"]["since"] = position;
            }
            (json, Command { history: Some(History { channel, limit, since, reverse }), ..Command::default() }, None)
        },
    );
    let rpc = (".{0,12}", any::<u32>()).prop_map(|(method, number)| {
        let data = json!({ "room": number, "title": method });
        let json = json!({ "rpc": { "method": method, "data": data } });
        let rpc = Rpc { data: data.to_string().into_bytes(), method };
        (json, Command { rpc: Some(rpc), ..Command::default() }, None)
    });
    prop_oneof![subscribe, connect, publish, history, rpc]
}

fn json_frame(text: &str) -> Result<Vec<Read>, chat_gateway::codec::Unreadable> {
    Codec::CentrifugeJson.read(&Frame::Text(text.into()))
}

fn protobuf_frame(bytes: Vec<u8>) -> Result<Vec<Read>, chat_gateway::codec::Unreadable> {
    Codec::CentrifugeProtobuf.read(&Frame::Binary(bytes.into()))
}

proptest! {
    #[test]
    fn any_text_and_any_bytes_are_read_or_refused(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = json_frame(&text);
        let _ = protobuf_frame(bytes);
    }

    #[test]
    fn damaged_commands_are_read_or_refused((json, mut message, _) in command(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        message.id = 1;
        let mut bytes = message.encode_length_delimited_to_vec();
        let place = at.index(bytes.len());
        if cut { bytes.truncate(place) } else { bytes[place] = byte }
        let _ = protobuf_frame(bytes);
        let mut text = json.to_string().into_bytes();
        let place = at.index(text.len());
        if cut { text.truncate(place) } else { text[place] = byte }
        let _ = json_frame(&String::from_utf8_lossy(&text));
    }

    #[test]
    fn both_encodings_of_a_frame_ask_the_same(commands in prop::collection::vec(command(), 1..6)) {
        let (mut lines, mut bytes, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        for (id, (mut json, mut message, request)) in (1_u32..).zip(commands) {
            json["id"] = json!(id);
            json["a field of the future"] = json!([1, { "x": null }]);
            (message.id, message.future) = (id, "x".into());
            lines.push(json.to_string());
            bytes.extend(message.encode_length_delimited_to_vec());
            expected.push(request.map(|(form, request)| Read::Request { tag: Some(Tag { id: id.into(), form }), request }));
        }
        let from_json = json_frame(&lines.join("\n")).unwrap();
        prop_assert_eq!(&from_json, &protobuf_frame(bytes).unwrap());
        prop_assert_eq!(from_json.len(), expected.len());
        for (read, expected) in from_json.into_iter().zip(expected) {
            if let Some(expected) = expected {
                prop_assert_eq!(read, expected);
            }
        }
    }

    #[test]
    fn a_publication_carries_the_same_text_in_both_encodings(room in uuid(), seq in 1..i64::MAX, body in any::<String>()) {
        let entry = json!({
            "room": room,
            "seq": seq,
            "message_id": Uuid::nil(),
            "sender": Uuid::nil(),
            "sender_name": "a",
            "body": body,
            "at": Timestamp::UNIX_EPOCH,
        });
        let entry: Entry = serde_json::from_value(entry).unwrap();
        let shared = Shared::new(ClientEvent::Message { message: entry.into() });
        let Frame::Text(chat) = shared.frame(Codec::Chat) else { panic!() };
        let Frame::Text(text) = shared.frame(Codec::CentrifugeJson) else { panic!() };
        let Frame::Binary(bytes) = shared.frame(Codec::CentrifugeProtobuf) else { panic!() };
        let chat: Value = serde_json::from_str(chat).unwrap();
        let push = json!({ "push": { "channel": format!("room:{room}"), "pub": { "data": chat["message"], "offset": seq } } });
        prop_assert!(!text.contains('\n'));
        prop_assert_eq!(serde_json::from_str::<Value>(text).unwrap(), push);
        let reply = Reply::decode_length_delimited(bytes.clone()).unwrap();
        let publication = reply.push.unwrap().publication.unwrap();
        prop_assert_eq!(publication.offset, u64::try_from(seq).unwrap());
        prop_assert_eq!(serde_json::from_slice::<Value>(&publication.data).unwrap(), chat["message"].clone());
    }
}

#[test]
fn empty_commands_are_pongs_and_a_broken_send_is_never_answered() {
    assert_eq!(json_frame("{}\n{}"), Ok(vec![]));
    assert_eq!(json_frame("\n"), Ok(vec![]));
    assert_eq!(protobuf_frame(vec![0, 0]), Ok(vec![]));
    assert_eq!(json_frame(r#"{"send":{"data":{"type":"no_such"}}}"#), Ok(vec![]));
    let typing = json!({ "send": { "data": { "type": "ping" } } });
    assert_eq!(json_frame(&typing.to_string()), Ok(vec![Read::Request { tag: None, request: Request::Ping }]));
}

#[test]
fn lengths_that_lie_and_deep_frames_are_refused() {
    assert!(protobuf_frame(vec![0xff, 0xff, 0xff, 0xff, 0x0f, 1]).is_err());
    assert!(protobuf_frame(vec![0xff; 11]).is_err());
    assert!(json_frame(&"[".repeat(60_000)).is_err());
    let deep =
        format!(r#"{{"id":1,"rpc":{{"method":"ping","data":{{"x":{}{}}}}}}}"#, "[".repeat(9_000), "]".repeat(9_000));
    let reads = json_frame(&deep);
    assert!(reads.is_err() || matches!(reads.as_deref(), Ok([Read::Refused { .. }])), "{reads:?}");
}

#[test]
fn history_is_bounded() {
    for (limit, expected) in [(-1, 100), (0, 1), (7, 7), (5_000, 100)] {
        let frame = json!({ "id": 1, "history": { "channel": format!("room:{}", Uuid::nil()), "limit": limit } });
        let reads = json_frame(&frame.to_string()).unwrap();
        let [Read::Request { request: Request::History { limit, page, .. }, .. }] = &reads[..] else {
            panic!("{reads:?}")
        };
        assert_eq!((*limit, *page), (expected, Page::After(0)));
    }
}

#[test]
fn an_answer_that_no_result_fits_is_one_of_rpc() {
    let room = Room {
        id: RoomId(Uuid::nil()),
        kind: RoomKind::Group,
        title: "t".into(),
        last_seq: 0,
        read_seq: 0,
        delivered_seq: 0,
        created_at: Timestamp::UNIX_EPOCH,
        member_version: 1,
    };
    let answer = Answer::Room { room: room.into(), created: true };
    let tag = Some(Tag { id: 7, form: Form::Rpc });
    let Frame::Text(text) = Codec::CentrifugeJson.answer(tag, &answer) else { panic!() };
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&json["id"], &json["rpc"]["data"]["type"]), (&json!(7), &json!("room")));
    let Frame::Binary(bytes) = Codec::CentrifugeProtobuf.answer(tag, &answer) else { panic!() };
    let reply = Reply::decode_length_delimited(bytes).unwrap();
    let data: Value = serde_json::from_slice(&reply.rpc.unwrap().data).unwrap();
    assert_eq!((reply.id, &data), (7, &json["rpc"]["data"]));
}

/// Numbers in the first column of the table under a heading, with the rest of their rows.
fn rows(heading: &str) -> Vec<(u16, &'static str)> {
    let start = PAGE.find(&format!("\n## {heading}\n")).expect("the page has the heading") + heading.len() + 5;
    let section = PAGE[start..].split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    rows.filter_map(|(code, rest)| Some((code.parse().ok()?, rest))).collect()
}

#[test]
fn the_page_lists_the_codes_of_the_close() {
    let all = [
        CloseCode::FrameKind,
        CloseCode::TooLarge,
        CloseCode::Stopping,
        CloseCode::NotJson,
        CloseCode::Unauthenticated,
        CloseCode::SessionEnded,
        CloseCode::Expired,
        CloseCode::Silent,
        CloseCode::Flooding,
        CloseCode::TooSlow,
    ];
    let mut ours: Vec<u16> = all.iter().map(|code| Codec::CentrifugeJson.goodbye(*code).code).collect();
    ours.sort_unstable();
    ours.dedup();
    let page: Vec<u16> = rows("Codes of the close").into_iter().map(|(code, _)| code).collect();
    assert_eq!(page, ours);
}

#[test]
fn the_page_lists_the_error_codes() {
    let all = [
        (ErrorCode::BadJson, None),
        (ErrorCode::BadRequest, Some("body")),
        (ErrorCode::BadRequest, Some("channel")),
        (ErrorCode::BadRequest, Some("epoch")),
        (ErrorCode::UnknownType, None),
        (ErrorCode::TooLarge, None),
        (ErrorCode::Unauthenticated, None),
        (ErrorCode::TokenExpired, None),
        (ErrorCode::NotFound, Some("room")),
        (ErrorCode::NotFound, Some("member")),
        (ErrorCode::Forbidden, None),
        (ErrorCode::Conflict, Some("message_id")),
        (ErrorCode::Conflict, Some("channel")),
        (ErrorCode::Limit, None),
        (ErrorCode::RateLimited, None),
        (ErrorCode::Busy, None),
        (ErrorCode::Unavailable, None),
        (ErrorCode::Internal, None),
    ];
    let page = rows("Error codes");
    let mut used = Vec::new();
    for (code, field) in all {
        let error = WireError { field, ..WireError::new(code, "why") };
        let frame = Codec::CentrifugeProtobuf.answer(Some(Tag { id: 1, form: Form::Rpc }), &Answer::Error(error));
        let Frame::Binary(bytes) = frame else { panic!() };
        let error = Reply::decode_length_delimited(bytes).unwrap().error.unwrap();
        let number = u16::try_from(error.code).unwrap();
        let row = page.iter().find(|(code, _)| *code == number);
        let (_, row) = row.unwrap_or_else(|| panic!("{number} is not on the page"));
        assert!(row.contains(&format!("`{}`", code.name())), "{}: {row}", code.name());
        assert_eq!(row.contains("temporary"), error.temporary, "{row}");
        assert!(error.message.starts_with(code.name()) && error.message.ends_with(": why"), "{}", error.message);
        used.push(number);
    }
    used.sort_unstable();
    used.dedup();
    assert_eq!(page.iter().map(|(code, _)| *code).collect::<Vec<_>>(), used);
}
