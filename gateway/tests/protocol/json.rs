//! Text frames: whatever comes is answered, and what was written is read back.

use chat_gateway::{
    hub::event::Envelope,
    protocol::{ErrorCode, Incoming, parse},
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{
    page::request_types,
    requests::{request, uuid, write},
};

pub(crate) fn value() -> impl Strategy<Value = Value> {
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

pub(crate) const FIELDS: [&str; 24] = [
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
    "request_id",
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

#[test]
fn a_name_that_comes_twice_makes_the_frame_unreadable() {
    for text in [r#"{"type":"ping","id":1,"id":2}"#, r#"{"type":"ping","x":{"a":1,"a":1}}"#] {
        let refusal = parse(text).unwrap_err();
        assert_eq!((refusal.id, refusal.error.code), (None, ErrorCode::BadJson), "{text}");
    }
}
