//! Takes typed fields out of a JSON object, and names the field when it cannot.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::error::WireError;

/// The fields of one request.
pub(super) struct Fields(pub(super) Map<String, Value>);

/// Length of a UUID's hyphenated form; the other forms that the parser knows are not the protocol's.
const UUID_CHARS: usize = 36;

impl Fields {
    /// A field that may be absent; `null` counts as absent.
    pub(super) fn take(&mut self, field: &'static str) -> Option<Value> {
        self.0.remove(field).filter(|value| !value.is_null())
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
            Value::Array(items) if items.len() <= most => Ok(items),
            Value::Array(_) => Err(WireError::field(field, format!("{field} has at most {most} items"))),
            _ => Err(WireError::field(field, format!("{field} must be a list"))),
        }
    }
}

/// Reads a text. The NUL character is refused: no PostgreSQL text can hold it.
pub(super) fn text_of(field: &'static str, value: Value) -> Result<String, WireError> {
    match value {
        Value::String(text) if !text.contains('\0') => Ok(text),
        Value::String(_) => Err(WireError::field(field, format!("{field} must not contain the character U+0000"))),
        _ => Err(WireError::field(field, format!("{field} must be a text"))),
    }
}

/// Reads an id.
pub(super) fn uuid_of(field: &'static str, value: &Value) -> Result<Uuid, WireError> {
    value
        .as_str()
        .filter(|text| text.len() == UUID_CHARS)
        .and_then(|text| Uuid::try_parse(text).ok())
        .ok_or_else(|| WireError::field(field, format!("{field} must be a UUID in hyphenated form")))
}

/// Reads a position.
pub(super) fn seq_of(field: &'static str, value: &Value) -> Result<i64, WireError> {
    value
        .as_i64()
        .filter(|seq| *seq >= 0)
        .ok_or_else(|| WireError::field(field, format!("{field} must be an integer from 0")))
}
