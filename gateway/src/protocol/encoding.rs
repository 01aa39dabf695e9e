//! The two encodings of the protocol: one JSON object in a text frame, or the same as one CBOR map (RFC 8949) in a binary frame.
//!
//! Both are written by the same `Serialize` implementations and read into the same [`Value`]s, so there is one definition of every frame.
//! What differs is how two kinds of values look, and a serialiser that is not for people is told so by serde itself: an id is a
//! byte string of 16 bytes instead of a text, a time an integer of milliseconds since the Unix epoch.

use cbor4ii::{
    core::{dec::Read as _, utils::SliceReader},
    serde::{Deserializer, to_vec},
};
use serde::{Deserialize as _, Serialize};
use tokio_tungstenite::tungstenite::{Bytes, Utf8Bytes};

use super::value::{Map, Value};

/// Bytes that most frames fit in, so that writing one does not move it about.
const USUAL_BYTES: usize = 512;

/// JSON of a type whose serialisation cannot fail: string keys only, no foreign `Serialize`.
pub(super) fn json<T: Serialize>(value: &T) -> Utf8Bytes {
    serde_json::to_string(value).unwrap_or_default().into()
}

/// CBOR of the same types; all that could fail is memory.
pub(super) fn cbor<T: Serialize>(value: &T) -> Bytes {
    to_vec(Vec::with_capacity(USUAL_BYTES), value).unwrap_or_default().into()
}

/// The fields of a text frame; `None` when it is no JSON object that names each field once.
pub(super) fn read_json(text: &str) -> Option<Map> {
    map(serde_json::from_str(text).ok()?)
}

/// The fields of a binary frame; `None` when it is not one CBOR map that names each field once, with nothing behind it. Lists and maps in
/// each other are read 256 deep at most.
pub(super) fn read_cbor(bytes: &[u8]) -> Option<Map> {
    let mut deserializer = Deserializer::new(SliceReader::new(bytes));
    let value = Value::deserialize(&mut deserializer).ok()?;
    let mut rest = deserializer.into_inner();
    let nothing_left = rest.fill(1).is_ok_and(|left| left.as_ref().is_empty());
    map(value).filter(|_| nothing_left)
}

fn map(value: Value) -> Option<Map> {
    if let Value::Map(map) = value { Some(map) } else { None }
}
