//! The binary encoding of the protocol, written from `docs/reference/protocol.md` and with another library than the gateway's. Frames are
//! JSON values here, so that a test says the same in both encodings.

use ciborium::Value as Item;
use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

/// Sub-protocol of the WebSocket.
pub const SUB_PROTOCOL: &str = "chat.v1.cbor";

/// Fields whose texts are ids, if they look like one.
const IDS: [&str; 9] =
    ["room", "message_id", "request_id", "member", "members", "users", "mentions", "room_key", "after"];

/// Fields that are times.
const TIMES: [&str; 5] = ["at", "created_at", "edited_at", "muted_until", "until"];

/// The bytes of a frame, as compact as the page allows.
#[must_use]
pub fn encode(frame: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Into memory, and of what JSON has: it cannot fail.
    let _ = ciborium::into_writer(&item("", frame), &mut bytes);
    bytes
}

fn item(field: &str, value: &Value) -> Item {
    match value {
        Value::Null => Item::Null,
        Value::Bool(is) => Item::Bool(*is),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => number.as_f64().unwrap_or_default().into(),
        },
        Value::String(text) => {
            // Only the canonical form: another one would come back as another text.
            let id = Uuid::try_parse(text).ok().filter(|id| IDS.contains(&field) && id.to_string() == *text);
            let time = text.parse::<Timestamp>().ok().filter(|_| TIMES.contains(&field));
            match (id, time) {
                (Some(id), _) => Item::Bytes(id.as_bytes().to_vec()),
                (None, Some(time)) => time.as_millisecond().into(),
                (None, None) => Item::Text(text.clone()),
            }
        }
        Value::Array(values) => Item::Array(values.iter().map(|value| item(field, value)).collect()),
        Value::Object(fields) => {
            Item::Map(fields.iter().map(|(name, value)| (Item::Text(name.clone()), item(name, value))).collect())
        }
    }
}

/// What a binary frame says.
///
/// # Errors
/// What is wrong with it, in words: no CBOR, something behind it, or an item that the page does not have.
pub fn decode(bytes: &[u8]) -> Result<Value, String> {
    let mut rest = bytes;
    let item: Item = ciborium::from_reader(&mut rest).map_err(|error| error.to_string())?;
    if !rest.is_empty() {
        return Err(format!("{} bytes behind the item", rest.len()));
    }
    value("", item)
}

fn value(field: &str, item: Item) -> Result<Value, String> {
    Ok(match item {
        Item::Null => Value::Null,
        Item::Bool(is) => is.into(),
        Item::Integer(number) if TIMES.contains(&field) => {
            let time = i64::try_from(number).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
            format!("{:.3}", time.ok_or_else(|| format!("{field} is no time"))?).into()
        }
        Item::Integer(number) => match (u64::try_from(number), i64::try_from(number)) {
            (Ok(number), _) => number.into(),
            (Err(_), Ok(number)) => number.into(),
            (Err(_), Err(_)) => return Err(format!("{field} is out of range")),
        },
        Item::Float(number) => number.into(),
        Item::Text(text) if Uuid::try_parse(&text).is_ok() => {
            return Err(format!("{field} is an id written as a text"));
        }
        Item::Text(text) if TIMES.contains(&field) => {
            return Err(format!("{field} is a time written as a text: {text}"));
        }
        Item::Text(text) => text.into(),
        Item::Bytes(bytes) => Uuid::from_slice(&bytes).map_err(|_| format!("{field} is no id"))?.to_string().into(),
        Item::Array(items) => items.into_iter().map(|item| value(field, item)).collect::<Result<Vec<_>, _>>()?.into(),
        Item::Map(entries) => {
            let mut map = Map::new();
            for (name, item) in entries {
                let name = name.into_text().map_err(|name| format!("a field is called {name:?}"))?;
                let inner = value(&name, item)?;
                if map.insert(name.clone(), inner).is_some() {
                    return Err(format!("{name} comes twice"));
                }
            }
            map.into()
        }
        other => return Err(format!("{field} is {other:?}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_as_it_was_written() {
        let id = Uuid::from_u128(7).to_string();
        let frame = serde_json::json!({
            "type": "send", "id": 1, "room": id, "body": "x", "mentions": [id], "until": "2030-01-31T18:00:00.000Z",
        });
        let bytes = encode(&frame);
        assert_eq!(decode(&bytes).expect("it was just written"), frame);
        assert!(decode(&[bytes, vec![0]].concat()).is_err());
    }
}
