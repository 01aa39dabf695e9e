//! The WebSocket as an AsyncAPI 3 document.

use serde_json::{Map, Value, json};

use super::{requests, schemas::Schemas};
use crate::protocol::{Answer, ClientEvent, CloseCode, ErrorCode, limits};

const CHANNEL: &str = "#/channels/chat";

const ABOUT: &str = "Text frames of the sub-protocol `chat.v1` (or none) hold one JSON object each, binary frames of `chat.v1.cbor` the same object as one \
CBOR map (RFC 8949). The schemas describe the JSON. In CBOR a text of the format `uuid` is a byte string of 16 bytes and one of the format `date-time` \
an integer of milliseconds since the Unix epoch; in requests the texts are understood, too. A request carries `id` if an answer is wanted; the answer \
carries it as `re`. The first frame is `hello`. Unknown fields are ignored, also by clients; a field that is `null` counts as absent.";

/// The document.
#[must_use]
pub fn asyncapi() -> Value {
    let mut schemas = Schemas::new();
    let answers: Vec<_> =
        schemas.variants::<Answer>().into_iter().map(|(name, schema)| (name, with_re(schema))).collect();
    let events = schemas.variants::<ClientEvent>();
    let mut messages = Map::new();
    let mut operations = Map::new();
    for request in requests::ALL {
        let name = message_name(request.name, "Request");
        messages.insert(name.clone(), message(request.name, request.schema(), Some("$message.payload#/id")));
        let reply = [message_name(request.answer, "Answer"), message_name("error", "Answer")];
        let operation = json!({
            "action": "receive",
            "channel": { "$ref": CHANNEL },
            "summary": request.about,
            "messages": [of_channel(&name)],
            "reply": { "channel": { "$ref": CHANNEL }, "messages": reply.map(|name| of_channel(&name)) },
        });
        operations.insert(request.name.to_owned(), operation);
    }
    for (name, schema) in answers {
        messages.insert(message_name(&name, "Answer"), message(&name, schema, Some("$message.payload#/re")));
    }
    let mut told = Vec::new();
    for (name, schema) in events {
        let key = message_name(&name, "Event");
        told.push(of_channel(&key));
        messages.insert(key, message(&name, schema, None));
    }
    let events = json!({
        "action": "send",
        "channel": { "$ref": CHANNEL },
        "summary": "What the gateway tells without being asked.",
        "messages": told,
    });
    operations.insert("events".to_owned(), events);
    let in_channel: Map<String, Value> = messages
        .keys()
        .map(|name| (name.clone(), json!({ "$ref": format!("#/components/messages/{name}") })))
        .collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "The gateway protocol",
            "version": "1",
            "description": "The WebSocket of a ChatCluster gateway. The words to it are in protocol.md, accounts in openapi.yaml.",
            "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": {
            "gateway": {
                "host": "localhost:8080", "protocol": "ws", "description": "A gateway alone; wss behind a proxy with TLS.",
            },
        },
        "channels": {
            "chat": {
                "address": "/v1/ws",
                "title": "The WebSocket",
                "description": ABOUT,
                "messages": in_channel,
                "bindings": { "ws": { "method": "GET", "headers": handshake_headers() } },
                "x-frame-bytes": limits::FRAME_BYTES,
                "x-close-codes": close_codes(),
                "x-error-codes": error_codes(),
            },
        },
        "operations": operations,
        "components": { "messages": messages, "schemas": schemas.definitions() },
    })
}

/// `create_room` becomes `CreateRoomRequest`.
fn message_name(name: &str, suffix: &str) -> String {
    let words = name.split('_').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    words.collect::<String>() + suffix
}

fn message(name: &str, mut schema: Value, correlation: Option<&str>) -> Value {
    let about = schema["description"].take();
    if let Some(object) = schema.as_object_mut() {
        object.remove("description");
    }
    let mut message = json!({ "name": name, "payload": schema });
    if let Some(about) = about.as_str() {
        message["summary"] = about.into();
    }
    if let Some(location) = correlation {
        message["correlationId"] = json!({ "location": location });
    }
    message
}

fn of_channel(message: &str) -> Value {
    json!({ "$ref": format!("{CHANNEL}/messages/{message}") })
}

/// An answer on the wire has the number of its request.
fn with_re(mut schema: Value) -> Value {
    schema["properties"]["re"] = json!({
        "type": "integer",
        "minimum": 0,
        "maximum": limits::REQUEST_ID_MAX,
        "description": "`id` of the request; absent when the frame was too broken to have one.",
    });
    schema
}

fn handshake_headers() -> Value {
    json!({
        "type": "object",
        "properties": {
            "Sec-WebSocket-Protocol": {
                "type": "string",
                "enum": ["chat.v1", "chat.v1.cbor"],
                "description": "Who offers both gets the binary one; who offers none speaks `chat.v1`.",
            },
        },
    })
}

fn close_codes() -> Value {
    let mut codes: Vec<Value> = Vec::new();
    for code in CloseCode::ALL {
        if codes.last().is_some_and(|last| last["code"] == code.code()) {
            continue;
        }
        codes.push(json!({ "code": code.code(), "reason": code.reason(), "client": code.remedy() }));
    }
    codes.into()
}

/// Stable codes, and whether a repeat may help.
fn error_codes() -> Value {
    ErrorCode::ALL.map(|code| json!({ "code": code.name(), "temporary": code.is_temporary() })).into_iter().collect()
}
