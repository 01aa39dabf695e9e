//! The payloads of the AsyncAPI document, ready to hold frames against.

use std::{collections::HashMap, sync::LazyLock};

use chat_gateway::contract;
use jsonschema::Validator;
use serde_json::{Value, json};

/// The document.
pub(crate) static DOCUMENT: LazyLock<Value> = LazyLock::new(contract::asyncapi);

/// Validators of the payloads by the name of their message.
pub(crate) static PAYLOADS: LazyLock<HashMap<String, Validator>> = LazyLock::new(|| {
    let messages = DOCUMENT["components"]["messages"].as_object().unwrap();
    let validator = |(name, message): (&String, &Value)| {
        let mut schema = message["payload"].clone();
        schema["components"] = json!({ "schemas": DOCUMENT["components"]["schemas"] });
        (name.clone(), jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{name}: {error}")))
    };
    messages.iter().map(validator).collect()
});

/// `create_room` becomes `CreateRoom`.
pub(crate) fn pascal(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

/// The validator of a request, answer or event.
pub(crate) fn payload(name: &str, suffix: &str) -> &'static Validator {
    let name = pascal(name) + suffix;
    PAYLOADS.get(&name).unwrap_or_else(|| panic!("the document has no message {name}"))
}

/// Fails when a frame of the gateway is not as the document has it.
#[allow(dead_code, reason = "for those who talk to gateways")]
pub(crate) fn check(frame: &Value) {
    let kind = frame["type"].as_str().unwrap_or_else(|| panic!("a frame without a type: {frame}"));
    // The refusal of a frame that was too broken to have a number is an answer all the same.
    let suffix = if frame.get("re").is_some() || kind == "error" { "Answer" } else { "Event" };
    if let Err(wrong) = payload(kind, suffix).validate(frame) {
        panic!("{frame} is not as the document has it: {wrong}");
    }
}
