//! The parsers that a network reaches never panic and read back what was written; the types and the page agree.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by failing")]

use chat_gateway::{
    hub::event::Envelope,
    model::{Content, MessageId, Role, RoomId, RoomKind, UserId},
    protocol::{CloseCode, ErrorCode, Incoming, Request, WireError, event::TypingState, parse, request::Who},
    store::{Page, View},
};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use uuid::Uuid;

const PAGE: &str = include_str!("../../docs/reference/protocol.md");

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn v7() -> impl Strategy<Value = Uuid> {
    any::<[u8; 16]>().prop_map(|bytes| {
        uuid::Builder::from_bytes(bytes)
            .with_version(uuid::Version::SortRand)
            .with_variant(uuid::Variant::RFC4122)
            .into_uuid()
    })
}

fn text() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| text.replace('\0', ""))
}

fn room() -> impl Strategy<Value = RoomId> {
    uuid().prop_map(RoomId)
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![uuid().prop_map(|id| Who::Id(UserId(id))), "[a-z0-9][a-z0-9._-]{1,31}".prop_map(Who::Name)]
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Owner), Just(Role::Admin), Just(Role::Member)]
}

fn content() -> impl Strategy<Value = Content> {
    let target = 1..i64::MAX;
    let emoji = "[^\\p{White_Space}\\p{Cc}]{1,16}";
    let mentions = prop::collection::vec(uuid().prop_map(UserId), 0..5);
    prop_oneof![
        (text(), prop::option::of(target.clone()), mentions).prop_map(|(body, reply_to, mentions)| Content::Text {
            body,
            reply_to,
            mentions
        }),
        (target.clone(), text()).prop_map(|(target, body)| Content::Edit { target, body }),
        target.clone().prop_map(|target| Content::Delete { target }),
        (target.clone(), emoji).prop_map(|(target, emoji)| Content::React { target, emoji }),
        (target, emoji).prop_map(|(target, emoji)| Content::Unreact { target, emoji }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let seq = 0..i64::MAX;
    let page = prop_oneof![Just(Page::Newest), seq.clone().prop_map(Page::Before), seq.clone().prop_map(Page::After)];
    prop_oneof![
        (text(), prop::collection::vec((room(), seq.clone()), 0..5))
            .prop_map(|(token, resume)| Request::Hello { token, resume }),
        ("[ -~]{0,128}", prop::collection::vec(who(), 0..5), prop::option::of(uuid())).prop_map(
            |(title, members, room_key)| Request::CreateRoom { kind: RoomKind::Group, title, members, room_key }
        ),
        (room(), who()).prop_map(|(room, member)| Request::AddMember { room, member }),
        (room(), who()).prop_map(|(room, member)| Request::RemoveMember { room, member }),
        (room(), who(), role()).prop_map(|(room, member, role)| Request::SetRole { room, member, role }),
        (room(), prop::option::of(0..=253_370_764_800_i64)).prop_map(|(room, until)| Request::Mute {
            room,
            until: until.map(|second| Timestamp::from_second(second).unwrap())
        }),
        (prop::option::of(room()), 1..=200_u32).prop_map(|(after, limit)| Request::Rooms { after, limit }),
        (room(), seq.clone(), 1..=1_000_u32).prop_map(|(room, after, limit)| Request::Members { room, after, limit }),
        (room(), v7(), content()).prop_map(|(room, id, content)| Request::Send {
            room,
            message_id: MessageId(id),
            content
        }),
        (room(), page, any::<bool>(), 1..=100_u32).prop_map(|(room, page, log, limit)| {
            let view = if log { View::Log } else { View::Texts };
            Request::History { room, page, view, limit }
        }),
        (room(), any::<bool>()).prop_map(|(room, start)| Request::Typing {
            room,
            state: if start { TypingState::Start } else { TypingState::Stop }
        }),
        (room(), seq.clone()).prop_map(|(room, seq)| Request::Delivered { room, seq }),
        (room(), seq).prop_map(|(room, seq)| Request::Read { room, seq }),
        prop::collection::vec(uuid().prop_map(UserId), 0..200).prop_map(|users| Request::Presence { users }),
        Just(Request::Ping),
    ]
}

fn name_of(who: &Who) -> Value {
    match who {
        Who::Id(id) => json!(id),
        Who::Name(name) => json!(name),
    }
}

/// The frame of a request, written from the page.
fn write(request: &Request) -> Value {
    match request {
        Request::Hello { token, resume } => {
            let resume: Vec<_> = resume.iter().map(|(room, seq)| json!({ "room": room, "seq": seq })).collect();
            json!({ "type": "hello", "token": token, "resume": resume })
        }
        Request::CreateRoom { title, members, room_key, .. } => {
            let members: Vec<_> = members.iter().map(name_of).collect();
            json!({ "type": "create_room", "kind": "group", "title": title, "members": members, "room_key": room_key })
        }
        Request::AddMember { room, member } => json!({ "type": "add_member", "room": room, "member": name_of(member) }),
        Request::RemoveMember { room, member } => {
            json!({ "type": "remove_member", "room": room, "member": name_of(member) })
        }
        Request::SetRole { room, member, role } => {
            json!({ "type": "set_role", "room": room, "member": name_of(member), "role": role })
        }
        Request::Mute { room, until: Some(until) } => json!({ "type": "mute", "room": room, "until": until }),
        Request::Mute { room, until: None } => json!({ "type": "unmute", "room": room }),
        Request::Rooms { after, limit } => json!({ "type": "rooms", "after": after, "limit": limit }),
        Request::Members { room, after, limit } => {
            json!({ "type": "members", "room": room, "after": after, "limit": limit })
        }
        Request::Send { room, message_id, content } => {
            let mut frame = match content {
                Content::Text { body, reply_to, mentions } => {
                    json!({ "type": "send", "body": body, "reply_to": reply_to, "mentions": mentions })
                }
                Content::Edit { target, body } => json!({ "type": "edit", "target": target, "body": body }),
                Content::Delete { target } => json!({ "type": "delete", "target": target }),
                Content::React { target, emoji } => json!({ "type": "react", "target": target, "emoji": emoji }),
                Content::Unreact { target, emoji } => json!({ "type": "unreact", "target": target, "emoji": emoji }),
            };
            frame["room"] = json!(room);
            frame["message_id"] = json!(message_id);
            frame
        }
        Request::History { room, page, view, limit } => {
            let view = if *view == View::Log { "log" } else { "texts" };
            let mut frame = json!({ "type": "history", "room": room, "view": view, "limit": limit });
            match page {
                Page::Newest => {}
                Page::Before(seq) => frame["before"] = json!(seq),
                Page::After(seq) => frame["after"] = json!(seq),
            }
            frame
        }
        Request::Typing { room, state: TypingState::Start } => json!({ "type": "typing_start", "room": room }),
        Request::Typing { room, state: TypingState::Stop } => json!({ "type": "typing_stop", "room": room }),
        Request::Delivered { room, seq } => json!({ "type": "delivered", "room": room, "seq": seq }),
        Request::Read { room, seq } => json!({ "type": "read", "room": room, "seq": seq }),
        Request::Presence { users } => json!({ "type": "presence", "users": users }),
        Request::Ping => json!({ "type": "ping" }),
        Request::Subscribe(_)
        | Request::Unsubscribe { .. }
        | Request::RoomPresence { .. }
        | Request::Refresh { .. } => {
            unreachable!("these come in by the other door")
        }
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        uuid().prop_map(|id| json!(id)),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((".{0,8}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

const FIELDS: [&str; 23] = [
    "id",
    "token",
    "resume",
    "kind",
    "title",
    "members",
    "room_key",
    "room",
    "member",
    "message_id",
    "body",
    "before",
    "after",
    "limit",
    "seq",
    "users",
    "target",
    "emoji",
    "reply_to",
    "mentions",
    "role",
    "until",
    "view",
];

proptest! {
    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn any_object_is_answered(
        kind in prop::sample::select(request_types()),
        fields in prop::collection::vec((prop::sample::select(FIELDS.to_vec()), value()), 0..8),
    ) {
        let mut object: Map<String, Value> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        object.insert("type".into(), json!(kind));
        if let Err(refusal) = parse(&Value::Object(object).to_string()) {
            prop_assert_eq!(refusal.error.code, ErrorCode::BadRequest);
            prop_assert!(refusal.error.field.is_some());
        }
    }

    #[test]
    fn a_request_reads_back_as_it_was_written(request in request(), id in prop::option::of(0..=1_u64 << 53)) {
        let mut frame = write(&request);
        frame["id"] = json!(id);
        frame["a field of the future"] = json!([1, { "x": null }]);
        prop_assert_eq!(parse(&frame.to_string()).unwrap(), Incoming { id, request });
    }

    #[test]
    fn any_broker_message_is_read_or_dropped(body in prop::collection::vec(any::<u8>(), 0..256), value in value()) {
        let _ = Envelope::decode(&body);
        let events = json!({ "origin": 1, "events": [value] });
        let _ = Envelope::decode(events.to_string().as_bytes());
    }
}

#[test]
fn a_deep_frame_does_not_overflow_the_stack() {
    let deep = format!(r#"{{"type":"ping","x":{}{}}}"#, "[".repeat(30_000), "]".repeat(30_000));
    assert_eq!(parse(&deep).unwrap_err().error.code, ErrorCode::BadJson);
}

/// Words in backticks in the first column of the tables under a heading.
fn column(heading: &str) -> Vec<String> {
    let start = PAGE.find(&format!("\n### {heading}\n")).expect("the page has the heading") + heading.len() + 5;
    let section = &PAGE[start..];
    let section = section.find("\n#").map_or(section, |end| &section[..end]);
    let cells = section.lines().filter_map(|line| line.strip_prefix("| ")).filter_map(|line| line.split('|').next());
    cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter(|word| !word.contains(' ') && *word != "field")
        .map(str::to_owned)
        .collect()
}

fn request_types() -> Vec<String> {
    column("Requests")
}

#[test]
fn the_page_lists_the_requests_that_are_known() {
    let types = request_types();
    assert_eq!(types.len(), 21, "{types:?}");
    for kind in types {
        let known = parse(&json!({ "type": kind }).to_string())
            .err()
            .is_none_or(|refusal| refusal.error.code != ErrorCode::UnknownType);
        assert!(known, "{kind}");
    }
}

#[test]
fn the_page_lists_the_error_codes() {
    let page = column("Errors");
    let all = [
        ErrorCode::BadJson,
        ErrorCode::BadRequest,
        ErrorCode::UnknownType,
        ErrorCode::TooLarge,
        ErrorCode::Unauthenticated,
        ErrorCode::TokenExpired,
        ErrorCode::NotFound,
        ErrorCode::Forbidden,
        ErrorCode::Conflict,
        ErrorCode::Limit,
        ErrorCode::RateLimited,
        ErrorCode::Busy,
        ErrorCode::Unavailable,
        ErrorCode::Internal,
    ];
    let ours: Vec<String> =
        all.iter().map(|code| json!(WireError::new(*code, ""))["code"].as_str().unwrap().to_owned()).collect();
    assert_eq!(page, ours);
}

#[test]
fn the_page_lists_the_close_codes() {
    let start = PAGE.find("### Close codes").unwrap();
    let page: Vec<u16> =
        PAGE[start..].lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok()).collect();
    let ours = [
        CloseCode::Binary,
        CloseCode::TooLarge,
        CloseCode::Stopping,
        CloseCode::NotJson,
        CloseCode::Unauthenticated,
        CloseCode::Silent,
        CloseCode::SessionEnded,
        CloseCode::Flooding,
        CloseCode::TooSlow,
    ];
    assert_eq!(page, ours.map(CloseCode::code));
}
