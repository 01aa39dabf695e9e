//! Answers and events of every kind mean the same in both encodings.

use chat_gateway::{
    model::{EntryKind, Member, Message, MessageId, Newest, Reaction, Role, Room, RoomKind, RoomSummary, User, UserId},
    protocol::{
        Answer, ClientEvent, ErrorCode, WireError,
        answer::{LimitsView, MessageView, PresenceState, PresenceView, Resumed, Welcome},
        encode_answer, encode_answer_cbor, encode_event, encode_event_cbor,
        event::TypingState,
        rooms::SummaryView,
    },
};
use chat_test_client::cbor::decode;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::Value;

use crate::{
    page::PAGE,
    requests::{role, room, text, uuid, v7},
};

fn seq() -> impl Strategy<Value = i64> {
    prop_oneof![0..300_i64, 0..i64::MAX]
}

/// Of any precision that a store keeps.
fn time() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_i64, 0..1_000_000_000_i32).prop_map(|(second, nano)| Timestamp::new(second, nano).unwrap())
}

fn user_id() -> impl Strategy<Value = UserId> {
    uuid().prop_map(UserId)
}

fn user() -> impl Strategy<Value = User> {
    (user_id(), text(), text()).prop_map(|(id, name, display_name)| User { id, name, display_name })
}

fn kind() -> impl Strategy<Value = EntryKind> {
    use EntryKind::{Delete, Edit, React, Text, Unknown, Unreact};
    prop::sample::select(vec![Text, Edit, Delete, React, Unreact, Unknown])
}

fn message() -> impl Strategy<Value = MessageView> {
    let plain = (room(), seq(), v7().prop_map(MessageId), user_id(), text(), text(), time());
    let more = (
        kind(),
        prop::option::of(seq()),
        prop::option::of(seq()),
        prop::collection::vec(user_id(), 0..3),
        prop::option::of(time()),
        any::<bool>(),
    );
    let reaction = (text(), any::<u32>(), any::<bool>());
    let reactions =
        prop::collection::vec(reaction.prop_map(|(emoji, count, mine)| Reaction { emoji, count, mine }), 0..3);
    (plain, more, reactions).prop_map(|(plain, more, reactions)| {
        let (room, seq, message_id, sender, sender_name, body, at) = plain;
        let (kind, target, reply_to, mentions, edited_at, deleted) = more;
        let message = Message {
            room,
            seq,
            message_id,
            sender,
            sender_name,
            body,
            at,
            kind,
            target,
            reply_to,
            mentions,
            edited_at,
            deleted,
        };
        MessageView::from(message).with_reactions(reactions)
    })
}

fn a_room() -> impl Strategy<Value = Room> {
    (room(), any::<bool>(), text(), seq(), seq(), seq(), time()).prop_map(
        |(id, direct, title, last_seq, read_seq, delivered_seq, created_at)| Room {
            id,
            kind: if direct { RoomKind::Direct } else { RoomKind::Group },
            title,
            last_seq,
            read_seq,
            delivered_seq,
            created_at,
            member_version: 0,
        },
    )
}

fn summary() -> impl Strategy<Value = SummaryView> {
    let newest = (seq(), user_id(), text(), text(), time(), any::<bool>()).prop_map(
        |(seq, sender, sender_name, body, at, deleted)| Newest { seq, sender, sender_name, body, at, deleted },
    );
    let counts = (any::<u32>(), any::<u32>(), any::<u32>());
    (a_room(), role(), prop::option::of(time()), counts, prop::option::of(newest)).prop_map(
        |(room, role, muted_until, (members, unread, mentioned), newest)| {
            let summary = RoomSummary { room, role, muted_until, members, unread, mentioned, newest };
            SummaryView::new(summary, Timestamp::UNIX_EPOCH)
        },
    )
}

fn member() -> impl Strategy<Value = Member> {
    (user(), role(), seq(), seq()).prop_map(|(user, role, delivered_seq, read_seq)| Member {
        user: user.id,
        name: user.name,
        display_name: user.display_name,
        role,
        delivered_seq,
        read_seq,
    })
}

fn welcome() -> impl Strategy<Value = Answer> {
    let resumed = (room(), seq(), seq(), any::<bool>()).prop_map(|(room, from, to, recovered)| Resumed {
        room,
        from,
        to,
        recovered,
    });
    let rooms = prop::collection::vec(a_room(), 0..3);
    (uuid(), user(), text(), rooms, prop::collection::vec(resumed, 0..3)).prop_map(
        |(session, user, gateway, rooms, resumed)| {
            Answer::Welcome(Box::new(Welcome {
                session,
                user,
                gateway,
                ping_seconds: 25,
                limits: LimitsView {
                    message_bytes: 8_192,
                    messages_per_second: 5,
                    message_burst: 20,
                    rooms_per_connection: 500,
                },
                rooms: rooms.into_iter().map(Into::into).collect(),
                resumed,
                expires_in: 0,
            }))
        },
    )
}

fn error() -> impl Strategy<Value = Answer> {
    let field = prop::sample::select(vec![None, Some("room"), Some("body")]);
    (prop::sample::select(ErrorCode::ALL.to_vec()), text(), field, prop::option::of(any::<u64>())).prop_map(
        |(code, message, field, retry_after_ms)| Answer::Error(WireError { code, message, field, retry_after_ms }),
    )
}

fn presence_state() -> impl Strategy<Value = PresenceState> {
    prop_oneof![Just(PresenceState::Online), Just(PresenceState::Offline)]
}

pub(crate) fn answer() -> impl Strategy<Value = Answer> {
    let presence = (user_id(), presence_state()).prop_map(|(user, state)| PresenceView { user, state });
    prop_oneof![
        welcome(),
        (a_room(), any::<bool>()).prop_map(|(room, created)| Answer::Room { room: room.into(), created }),
        (prop::collection::vec(summary(), 0..3), any::<bool>(), prop::option::of(room()))
            .prop_map(|(rooms, incomplete, next)| Answer::Rooms { rooms, incomplete, next }),
        (room(), prop::collection::vec(member(), 0..3), prop::option::of(seq()))
            .prop_map(|(room, members, next)| Answer::Members { room, members, next }),
        (room(), v7().prop_map(MessageId), seq(), time(), any::<bool>())
            .prop_map(|(room, message_id, seq, at, duplicate)| Answer::Sent { room, message_id, seq, at, duplicate }),
        (room(), prop::collection::vec(message(), 0..3), any::<bool>(), seq())
            .prop_map(|(room, messages, more, last_seq)| Answer::History { room, messages, more, last_seq }),
        (prop::collection::vec(presence, 0..3), any::<bool>())
            .prop_map(|(users, incomplete)| Answer::PresenceList { users, incomplete }),
        Just(Answer::Ok),
        Just(Answer::Pong),
        error(),
    ]
}

pub(crate) fn event() -> impl Strategy<Value = ClientEvent> {
    let typing = prop_oneof![Just(TypingState::Start), Just(TypingState::Stop)];
    prop_oneof![
        message().prop_map(|message| ClientEvent::Message { message }),
        (room(), user_id(), seq(), seq()).prop_map(|(room, user, delivered_seq, read_seq)| ClientEvent::Receipt {
            room,
            user,
            delivered_seq,
            read_seq
        }),
        (room(), user_id(), text(), typing).prop_map(|(room, user, name, state)| ClientEvent::Typing {
            room,
            user,
            name,
            state
        }),
        (user_id(), presence_state()).prop_map(|(user, state)| ClientEvent::Presence { user, state }),
        a_room().prop_map(|room| ClientEvent::RoomAdded { room: room.into() }),
        room().prop_map(|room| ClientEvent::RoomRemoved { room }),
        (room(), user_id(), text()).prop_map(|(room, user, name)| ClientEvent::MemberAdded { room, user, name }),
        (room(), user_id()).prop_map(|(room, user)| ClientEvent::MemberRemoved { room, user }),
        (room(), user_id(), role()).prop_map(|(room, user, role): (_, _, Role)| ClientEvent::RoleChanged {
            room,
            user,
            role
        }),
        (room(), prop::option::of(time())).prop_map(|(room, until)| ClientEvent::Muted { room, until }),
        any::<u64>().prop_map(|after_ms| ClientEvent::Reconnect { after_ms, reason: "drain" }),
    ]
}

proptest! {
    #[test]
    fn an_answer_means_the_same_in_both_encodings(answer in answer(), re in prop::option::of(0..=1_u64 << 53)) {
        let json: Value = serde_json::from_str(&encode_answer(re, &answer)).unwrap();
        prop_assert_eq!(decode(&encode_answer_cbor(re, &answer)).unwrap(), json);
    }

    #[test]
    fn an_event_means_the_same_in_both_encodings(event in event()) {
        let json: Value = serde_json::from_str(&encode_event(&event)).unwrap();
        prop_assert_eq!(decode(&encode_event_cbor(&event)).unwrap(), json);
    }
}

#[test]
fn the_binary_encoding_is_as_compact_as_the_page_says() {
    let uuid = |number: u128| {
        uuid::Builder::from_unix_timestamp_millis(1_800_000_000_000, &number.to_be_bytes()[6..].try_into().unwrap())
            .into_uuid()
    };
    let message = |body: &str| Message {
        room: chat_gateway::model::RoomId(uuid(1)),
        seq: 1_234,
        message_id: MessageId(uuid(2)),
        sender: UserId(uuid(3)),
        sender_name: "Ada Lovelace".into(),
        body: body.into(),
        at: Timestamp::from_millisecond(1_800_000_000_123).unwrap(),
        kind: EntryKind::Text,
        target: None,
        reply_to: None,
        mentions: Vec::new(),
        edited_at: None,
        deleted: false,
    };
    let event = |event: ClientEvent| (encode_event(&event).len(), encode_event_cbor(&event).len());
    let answer = |answer: Answer| (encode_answer(Some(17), &answer).len(), encode_answer_cbor(Some(17), &answer).len());
    let (room, user) = (chat_gateway::model::RoomId(uuid(1)), UserId(uuid(3)));
    let at = Timestamp::from_millisecond(1_800_000_000_123).unwrap();
    let messages = (0..50).map(|_| message(&"x".repeat(60)).into()).collect();
    let frames = [
        (
            "`message` with a body of 60 characters",
            event(ClientEvent::Message { message: message(&"x".repeat(60)).into() }),
        ),
        ("`sent`", answer(Answer::Sent { room, message_id: MessageId(uuid(2)), seq: 1_234, at, duplicate: false })),
        ("`receipt`", event(ClientEvent::Receipt { room, user, delivered_seq: 1_234, read_seq: 1_230 })),
        ("`history` of 50 such messages", answer(Answer::History { room, messages, more: true, last_seq: 1_234 })),
    ];
    for (name, (json, cbor)) in frames {
        let row = format!("| {name} | {} | {} ({} %) |", grouped(json), grouped(cbor), (100 * cbor + json / 2) / json);
        assert!(PAGE.contains(&row), "the page does not say: {row}");
    }
}

/// With a comma after the thousands.
fn grouped(number: usize) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}
