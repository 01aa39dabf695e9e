//! Takes typed fields out of a frame, and names the field when it cannot.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    error::WireError,
    value::{Map, Value},
};

/// The fields of one request.
pub(super) struct Fields {
    map: Map,
    /// Whether a time may be an integer: JSON has times as texts only.
    numeric_times: bool,
}

/// Length of a UUID's hyphenated form; the other forms that the parser knows are not the protocol's.
const UUID_CHARS: usize = 36;

impl Fields {
    /// Of a JSON object.
    pub(super) fn json(map: Map) -> Self {
        Self { map, numeric_times: false }
    }

    /// Of a CBOR map.
    pub(super) fn cbor(map: Map) -> Self {
        Self { map, numeric_times: true }
    }

    /// A field that may be absent; `null` counts as absent.
    pub(super) fn take(&mut self, field: &'static str) -> Option<Value> {
        self.map.remove(field).filter(|value| !value.is_null())
    }

    /// A field that must be there.
    pub(super) fn need(&mut self, field: &'static str) -> Result<Value, WireError> {
        self.take(field).ok_or_else(|| WireError::field(field, format!("{field} is missing")))
    }

    /// A text that must be there.
    pub(super) fn text(&mut self, field: &'static str) -> Result<String, WireError> {
        let value = self.need(field)?;
        text_of(field, value)
    }

    /// An id that must be there.
    pub(super) fn uuid(&mut self, field: &'static str) -> Result<Uuid, WireError> {
        let value = self.need(field)?;
        uuid_of(field, &value)
    }

    /// A position from 0 that must be there.
    pub(super) fn seq(&mut self, field: &'static str) -> Result<i64, WireError> {
        let value = self.need(field)?;
        seq_of(field, &value)
    }

    /// A list that must be there and has at most `most` items.
    pub(super) fn list(&mut self, field: &'static str, most: usize) -> Result<Vec<Value>, WireError> {
        match self.need(field)? {
            Value::List(items) if items.len() <= most => Ok(items),
            Value::List(_) => Err(WireError::field(field, format!("{field} has at most {most} items"))),
            _ => Err(WireError::field(field, format!("{field} must be a list"))),
        }
    }

    /// The same for a list that may be absent, which is an empty one.
    pub(super) fn optional_list(&mut self, field: &'static str, most: usize) -> Result<Vec<Value>, WireError> {
        if self.map.get(field).is_none_or(Value::is_null) { Ok(Vec::new()) } else { self.list(field, most) }
    }

    /// A time that may be absent.
    pub(super) fn time(&mut self, field: &'static str) -> Result<Option<Timestamp>, WireError> {
        let wrong = || WireError::field(field, format!("{field} must be a time like 2030-01-31T18:00:00Z"));
        match self.take(field) {
            None => Ok(None),
            Some(Value::Unsigned(milliseconds)) if self.numeric_times => i64::try_from(milliseconds)
                .ok()
                .and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok())
                .map(Some)
                .ok_or_else(wrong),
            Some(value) => value.as_str().and_then(|text| text.parse().ok()).map(Some).ok_or_else(wrong),
        }
    }
}

/// Reads a text. The NUL character is refused: no PostgreSQL text can hold it.
pub(super) fn text_of(field: &'static str, value: Value) -> Result<String, WireError> {
    match value {
        Value::Text(text) if !text.contains('\0') => Ok(text),
        Value::Text(_) => Err(WireError::field(field, format!("{field} must not contain the character U+0000"))),
        _ => Err(WireError::field(field, format!("{field} must be a text"))),
    }
}

/// Reads an id: a text, or 16 bytes.
pub(super) fn uuid_of(field: &'static str, value: &Value) -> Result<Uuid, WireError> {
    match value {
        Value::Id(id) => Some(*id),
        Value::Text(text) if text.len() == UUID_CHARS => Uuid::try_parse(text).ok(),
        _ => None,
    }
    .ok_or_else(|| WireError::field(field, format!("{field} must be a UUID in hyphenated form")))
}

/// Reads a position.
pub(super) fn seq_of(field: &'static str, value: &Value) -> Result<i64, WireError> {
    value
        .as_u64()
        .and_then(|seq| i64::try_from(seq).ok())
        .ok_or_else(|| WireError::field(field, format!("{field} must be an integer from 0")))
}
