//! Binary frames: they mean what the text frame means, and whatever comes is answered.

use std::time::{Duration, Instant};

use chat_gateway::protocol::{ErrorCode, Incoming, parse, parse_cbor};
use chat_test_client::cbor::encode;
use ciborium::Value as Cbor;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{
    json::{FIELDS, value},
    page::request_types,
    requests::{request, write},
};

/// A JSON value in CBOR as any library writes it, with ids and times as texts.
fn plain(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn write_item(item: &Cbor) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(item, &mut bytes).unwrap();
    bytes
}

fn entry(name: &str, value: impl Into<Cbor>) -> (Cbor, Cbor) {
    (name.into(), value.into())
}

/// The code that bytes are refused with.
fn refused(bytes: &[u8]) -> ErrorCode {
    parse_cbor(bytes).expect_err("it was taken").error.code
}

proptest! {
    #[test]
    fn a_request_means_the_same_in_both_encodings(request in request(), id in prop::option::of(0..=1_u64 << 53)) {
        let mut frame = write(&request);
        frame["id"] = json!(id);
        frame["a field of the future"] = json!([1, -1, 1.5, { "x": null }]);
        let wanted = Incoming { id, request };
        prop_assert_eq!(&parse_cbor(&encode(&frame)).unwrap(), &wanted);
        prop_assert_eq!(&parse_cbor(&plain(&frame)).unwrap(), &wanted, "ids and times as texts");
        prop_assert_eq!(parse(&frame.to_string()).unwrap(), wanted);
    }

    #[test]
    fn what_is_wrong_is_wrong_in_the_same_way_in_both_encodings(
        kind in prop::sample::select(request_types()),
        fields in prop::collection::vec((prop::sample::select(FIELDS.to_vec()), value()), 0..8),
    ) {
        let mut object: Map<String, Value> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        object.insert("type".into(), json!(kind));
        // A time may be a number in CBOR only.
        prop_assume!(!object.get("until").is_some_and(Value::is_number));
        let frame = Value::Object(object);
        prop_assert_eq!(parse_cbor(&plain(&frame)), parse(&frame.to_string()));
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = parse_cbor(&bytes);
    }

    #[test]
    fn a_frame_with_wrong_bytes_in_it_is_answered(
        request in request(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encode(&write(&request));
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = parse_cbor(&bytes);
        let _ = parse_cbor(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn a_frame_that_ends_too_early_or_too_late_cannot_be_read(
        request in request(), cut in any::<prop::sample::Index>(), more in any::<u8>(),
    ) {
        let mut bytes = encode(&write(&request));
        prop_assert_eq!(refused(&bytes[..cut.index(bytes.len())]), ErrorCode::BadJson);
        bytes.push(more);
        prop_assert_eq!(refused(&bytes), ErrorCode::BadJson);
    }
}

#[test]
fn what_is_no_map_of_names_cannot_be_read() {
    let twice = Cbor::Map(vec![entry("type", "ping"), entry("id", 1), entry("id", 2)]);
    let number = Cbor::Map(vec![entry("type", "ping"), (1.into(), 2.into())]);
    let inside = Cbor::Map(vec![entry("type", "ping"), entry("x", Cbor::Map(vec![entry("a", 1), entry("a", 1)]))]);
    for item in [Cbor::Array(vec![]), "ping".into(), Cbor::Null, 1.into(), twice, number, inside] {
        assert_eq!(refused(&write_item(&item)), ErrorCode::BadJson, "{item:?}");
    }
    // A text that is no UTF-8; tags, of which frames have none; a break where no item has an open end; what the standard reserves.
    for bytes in [
        &[0xa1, 0x62, 0xc3, 0x28, 0x00][..],
        &[0xd9, 0xd9, 0xf7, 0xa0],
        &[0xa1, 0x61, b'x', 0xc1, 0x00],
        &[0xff],
        &[0xa1, 0xff],
        &[0x1c],
        &[0xfc],
        &[],
    ] {
        assert_eq!(refused(bytes), ErrorCode::BadJson, "{bytes:x?}");
    }
}

#[test]
fn a_value_of_another_type_names_the_field() {
    let room = Cbor::Bytes(vec![7; 16]);
    let ask = |fields: Vec<(Cbor, Cbor)>| parse_cbor(&write_item(&Cbor::Map(fields)));
    let wrong = [
        (ask(vec![entry("type", "read"), entry("room", Cbor::Bytes(vec![7; 15])), entry("seq", 1)]), "room"),
        (ask(vec![entry("type", "read"), entry("room", room.clone()), entry("seq", -1)]), "seq"),
        (ask(vec![entry("type", "read"), entry("room", room.clone()), entry("seq", 1.0)]), "seq"),
        (ask(vec![entry("type", "read"), entry("room", room.clone()), entry("seq", u64::MAX)]), "seq"),
        (ask(vec![entry("type", Cbor::Bytes(vec![7; 16]))]), "type"),
        (ask(vec![entry("type", "hello"), entry("token", room.clone())]), "token"),
        (ask(vec![entry("type", "mute"), entry("room", room.clone()), entry("until", u64::MAX)]), "until"),
        (ask(vec![entry("type", "mute"), entry("room", room), entry("until", 253_370_764_800_001_u64)]), "until"),
    ];
    for (answered, field) in wrong {
        let error = answered.expect_err(field).error;
        assert_eq!((error.code, error.field), (ErrorCode::BadRequest, Some(field)));
    }
}

#[test]
fn lengths_that_are_not_there_and_depth_without_end_cost_nothing() {
    let began = Instant::now();
    for head in [
        // Lists, maps, texts and bytes of 2^32 and 2^63 items.
        &[0x9a, 0xff, 0xff, 0xff, 0xff][..],
        &[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ] {
        assert_eq!(refused(head), ErrorCode::BadJson, "{head:x?}");
        let field = [&[0xa1, 0x61, b'x'], head].concat();
        assert_eq!(refused(&field), ErrorCode::BadJson, "{field:x?}");
    }
    // As deep as a frame is long: lists, maps, open ends, tags.
    for level in [&[0x81][..], &[0xa1, 0x60], &[0x9f], &[0xbf, 0x60], &[0xc1]] {
        let deep = [&[0xa1, 0x61, b'x'], level.repeat(65_000 / level.len()).as_slice()].concat();
        assert_eq!(refused(&deep), ErrorCode::BadJson, "{level:x?}");
    }
    // A frame of as many names as fit is read in a moment.
    let many: Vec<_> = (0..16_000_u32).map(|name| (Cbor::Text(name.to_string()), Cbor::Null)).collect();
    assert_eq!(refused(&write_item(&Cbor::Map(many))), ErrorCode::BadRequest);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn what_other_libraries_write_is_understood() {
    // A map of an open end, a text in two parts, a number longer than it need be, and a short number with a fraction.
    let frame = [
        &[0xbf, 0x64][..],
        b"type",
        &[0x7f, 0x62, b'r', b'e', 0x62, b'a', b'd', 0xff, 0x64],
        b"room",
        &[0x50],
        &[7; 16],
        &[0x63],
        b"seq",
        &[0x1b, 0, 0, 0, 0, 0, 0, 0, 5],
        &[0x61, b'x', 0xf9, 0x3e, 0x00, 0xff],
    ]
    .concat();
    let wanted = parse(r#"{"type":"read","room":"07070707-0707-0707-0707-070707070707","seq":5}"#).unwrap();
    assert_eq!(parse_cbor(&frame).unwrap(), wanted);
}
