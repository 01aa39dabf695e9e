//! Requests of every kind, and how the page has them written.

use chat_gateway::{
    model::{Content, MessageId, RequestId, Role, RoomId, RoomKind, UserId},
    protocol::{Request, event::TypingState, request::Who},
    store::{Page, View},
};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

pub(crate) fn v7() -> impl Strategy<Value = Uuid> {
    any::<[u8; 16]>().prop_map(|bytes| {
        uuid::Builder::from_bytes(bytes)
            .with_version(uuid::Version::SortRand)
            .with_variant(uuid::Variant::RFC4122)
            .into_uuid()
    })
}

pub(crate) fn text() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| text.replace('\0', ""))
}

pub(crate) fn room() -> impl Strategy<Value = RoomId> {
    uuid().prop_map(RoomId)
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![uuid().prop_map(|id| Who::Id(UserId(id))), "[a-z0-9][a-z0-9._-]{1,31}".prop_map(Who::Name)]
}

pub(crate) fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Owner), Just(Role::Admin), Just(Role::Member)]
}

fn request_id() -> impl Strategy<Value = Option<RequestId>> {
    prop::option::of(v7().prop_map(RequestId))
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

pub(crate) fn request() -> impl Strategy<Value = Request> {
    let seq = 0..i64::MAX;
    let page = prop_oneof![Just(Page::Newest), seq.clone().prop_map(Page::Before), seq.clone().prop_map(Page::After)];
    prop_oneof![
        (text(), prop::collection::vec((room(), seq.clone()), 0..5))
            .prop_map(|(token, resume)| Request::Hello { token, resume }),
        ("[ -~]{0,128}", prop::collection::vec(who(), 0..5), prop::option::of(uuid()), request_id()).prop_map(
            |(title, members, room_key, request_id)| Request::CreateRoom {
                kind: RoomKind::Group,
                title,
                members,
                room_key,
                request_id
            }
        ),
        (room(), who(), request_id()).prop_map(|(room, member, request_id)| Request::AddMember {
            room,
            member,
            request_id
        }),
        (room(), who(), request_id()).prop_map(|(room, member, request_id)| Request::RemoveMember {
            room,
            member,
            request_id
        }),
        (room(), who(), role(), request_id()).prop_map(|(room, member, role, request_id)| Request::SetRole {
            room,
            member,
            role,
            request_id
        }),
        (room(), prop::option::of(0..=253_370_764_800_i64), request_id()).prop_map(|(room, until, request_id)| {
            Request::Mute { room, until: until.map(|second| Timestamp::from_second(second).unwrap()), request_id }
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
pub(crate) fn write(request: &Request) -> Value {
    match request {
        Request::Hello { token, resume } => {
            let resume: Vec<_> = resume.iter().map(|(room, seq)| json!({ "room": room, "seq": seq })).collect();
            json!({ "type": "hello", "token": token, "resume": resume })
        }
        Request::CreateRoom { title, members, room_key, request_id, .. } => {
            let members: Vec<_> = members.iter().map(name_of).collect();
            json!({
                "type": "create_room", "kind": "group", "title": title, "members": members, "room_key": room_key,
                "request_id": request_id,
            })
        }
        Request::AddMember { room, member, request_id } => {
            json!({ "type": "add_member", "room": room, "member": name_of(member), "request_id": request_id })
        }
        Request::RemoveMember { room, member, request_id } => {
            json!({ "type": "remove_member", "room": room, "member": name_of(member), "request_id": request_id })
        }
        Request::SetRole { room, member, role, request_id } => {
            json!({
                "type": "set_role", "room": room, "member": name_of(member), "role": role, "request_id": request_id,
            })
        }
        Request::Mute { room, until: Some(until), request_id } => {
            json!({ "type": "mute", "room": room, "until": until, "request_id": request_id })
        }
        Request::Mute { room, until: None, request_id } => {
            json!({ "type": "unmute", "room": room, "request_id": request_id })
        }
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
