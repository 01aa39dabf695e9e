//! What a client's frame consists of, whichever encoding it came in.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use uuid::Uuid;

/// Fields by their names. In order, so that a frame of many names costs no more than its length warrants.
pub(crate) type Map = BTreeMap<String, Value>;

/// A value of JSON, or of CBOR as far as the protocol has a use for it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// `null`, and CBOR's `undefined`.
    Null,
    /// An integer from 0 to 2^64-1.
    Unsigned(u64),
    /// A text.
    Text(String),
    /// A byte string of 16 bytes, which only CBOR has.
    Id(Uuid),
    /// A list.
    List(Vec<Self>),
    /// An object. A name that comes twice makes the whole frame unreadable: who reads the first one and who reads the last one would see
    /// different requests.
    Map(Map),
    /// Something that no field of any request takes: a truth value, a number with a fraction or below zero, other bytes.
    Other,
}

impl Value {
    /// Whether the field counts as absent.
    pub(crate) fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// The text, if it is one.
    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The integer, if it is one from 0.
    pub(crate) fn as_u64(&self) -> Option<u64> {
        if let Self::Unsigned(number) = self { Some(*number) } else { None }
    }

    /// A field of an object, if it is one that has it.
    pub(super) fn get(&self, field: &str) -> Option<&Self> {
        if let Self::Map(map) = self { map.get(field) } else { None }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Unsigned(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(u64::try_from(number).map_or(Value::Other, Value::Unsigned))
    }

    fn visit_u128<E>(self, _: u128) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Uuid::from_slice(bytes).map_or(Value::Other, Value::Id))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        // Grows with what is there: the length that a frame claims is worth nothing.
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, value)) = entries.next_entry::<String, Value>()? {
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a name comes twice"));
            }
        }
        Ok(Value::Map(map))
    }
}
