//! `docs/reference/asyncapi.yaml` says what the gateway does: it takes what the parser takes and no more, every frame of the gateway follows
//! it, and nothing of the page is missing in it.

use chat_gateway::protocol::{ErrorCode, encode_answer, encode_event, parse};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    json::{FIELDS, value},
    outgoing::{answer, event},
    page::{close_codes, column, request_types},
    requests::{request, write},
    schemas::{DOCUMENT, PAYLOADS, pascal, payload},
};

/// A field that is null counts as absent, which the schemas leave unsaid.
fn without_nulls(mut frame: Value) -> Value {
    frame.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    frame
}

/// JSON Schema takes 1.0 for an integer, the gateway does not.
fn has_whole_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64() && number.as_f64().is_some_and(|number| number.fract() == 0.0),
        Value::Array(items) => items.iter().any(has_whole_fraction),
        Value::Object(fields) => fields.values().any(has_whole_fraction),
        _ => false,
    }
}

/// The parser and the schema must say the same of a frame. JSON Schema cannot count bytes or compare times, so these refusals are the
/// parser's own.
fn agree(frame: Value) -> Result<(), TestCaseError> {
    let frame = without_nulls(frame);
    let schema = payload(frame["type"].as_str().unwrap(), "Request");
    let allowed = schema.is_valid(&frame);
    match parse(&frame.to_string()) {
        Ok(_) => prop_assert!(allowed, "the schema is too narrow for {}: {:?}", frame, schema.validate(&frame)),
        Err(refusal) if matches!(refusal.error.field, Some("emoji" | "until")) => {}
        Err(refusal) => prop_assert!(!allowed, "the schema allows {}, but: {:?}", frame, refusal.error),
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_schemas_take_every_request(request in request(), id in prop::option::of(0..=1_u64 << 53)) {
        let mut frame = write(&request);
        frame["id"] = json!(id);
        frame["a field of the future"] = json!([1, { "x": null }]);
        agree(frame)?;
    }

    #[test]
    fn the_schemas_refuse_what_the_parser_refuses(
        request in request(), field in prop::sample::select(FIELDS.to_vec()), other in prop::option::of(value()),
        number in prop::option::of(0..2_000_u64),
    ) {
        let mut frame = write(&request);
        let changed = other.or(number.map(|number| json!(number)));
        prop_assume!(!changed.as_ref().is_some_and(has_whole_fraction));
        match changed {
            Some(changed) => frame[field] = changed,
            None => drop(frame.as_object_mut().unwrap().remove(field)),
        }
        agree(frame)?;
    }

    #[test]
    fn every_answer_follows_its_schema(answer in answer(), re in prop::option::of(0..=1_u64 << 53)) {
        let frame: Value = serde_json::from_str(&encode_answer(re, &answer)).unwrap();
        let outcome = payload(frame["type"].as_str().unwrap(), "Answer").validate(&frame);
        prop_assert!(outcome.is_ok(), "{frame}: {outcome:?}");
    }

    #[test]
    fn every_event_follows_its_schema(event in event()) {
        let frame: Value = serde_json::from_str(&encode_event(&event)).unwrap();
        let outcome = payload(frame["type"].as_str().unwrap(), "Event").validate(&frame);
        prop_assert!(outcome.is_ok(), "{frame}: {outcome:?}");
    }
}

#[test]
fn bounds_are_where_the_parser_has_them() {
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let texts = |count: usize| vec![id; count];
    let resume = |count: usize| vec![json!({ "room": id, "seq": 1 }); count];
    let frames = (0..=1).flat_map(|over: usize| {
        [
            json!({ "type": "rooms", "limit": 200 + over }),
            json!({ "type": "members", "room": id, "limit": 1_000 + over }),
            json!({ "type": "history", "room": id, "limit": 100 + over }),
            json!({ "type": "presence", "users": texts(200 + over) }),
            json!({ "type": "hello", "token": "t", "resume": resume(1_000 + over) }),
            json!({ "type": "send", "room": id, "message_id": id, "body": "", "mentions": texts(50 + over) }),
            json!({ "type": "create_room", "kind": "group", "members": texts(1_000 + over) }),
            json!({ "type": "create_room", "kind": "group", "members": [], "title": "ä".repeat(128 + over) }),
            json!({ "type": "create_room", "kind": "direct", "members": texts(1 + over) }),
            json!({ "type": "ping", "id": (1_u64 << 53) + over as u64 }),
            json!({ "type": "add_member", "room": id, "member": "x".repeat(128 + over) }),
        ]
    });
    let mut taken = [0, 0];
    for frame in frames {
        taken[usize::from(parse(&frame.to_string()).is_ok())] += 1;
        agree(frame).unwrap();
    }
    assert_eq!(taken, [11, 11], "each frame is once within its bound and once over it");
}

#[test]
fn the_document_has_all_that_the_page_has() {
    let names = |suffix: &str| {
        let all = PAYLOADS.keys().filter_map(|name| name.strip_suffix(suffix).map(str::to_owned));
        let mut names: Vec<String> = all.collect();
        names.sort();
        names
    };
    let on_the_page = |mut words: Vec<String>| {
        words.iter_mut().for_each(|word| *word = pascal(word));
        words.sort();
        words
    };
    assert_eq!(names("Request"), on_the_page(request_types()));
    assert_eq!(names("Answer"), on_the_page(column("Answers")));
    assert_eq!(names("Event"), on_the_page(column("Events")));
    let channel = &DOCUMENT["channels"]["chat"];
    let codes = |list: &Value, of: fn(&Value) -> String| list.as_array().unwrap().iter().map(of).collect::<Vec<_>>();
    let errors = codes(&channel["x-error-codes"], |entry| entry["code"].as_str().unwrap().to_owned());
    assert_eq!(errors, ErrorCode::ALL.map(|code| code.name().to_owned()));
    assert_eq!(errors, column("Errors"));
    let closes = codes(&channel["x-close-codes"], |entry| entry["code"].to_string());
    assert_eq!(closes, close_codes().iter().map(u16::to_string).collect::<Vec<_>>());
    let operations = DOCUMENT["operations"].as_object().unwrap();
    for kind in request_types() {
        assert_eq!(operations[&kind]["action"], "receive", "{kind}");
    }
    assert_eq!(operations.len(), request_types().len() + 1, "the requests, and what is told without being asked");
}

#[test]
fn every_request_names_answers_that_there_are() {
    let operations = DOCUMENT["operations"].as_object().unwrap();
    for (name, operation) in operations.iter().filter(|(_, operation)| operation["action"] == "receive") {
        for reply in operation["reply"]["messages"].as_array().unwrap() {
            let key = reply["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
            assert!(PAYLOADS.contains_key(key), "{name} is answered with {key}, which is nowhere");
        }
    }
}
