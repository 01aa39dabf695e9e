//! JSON inside JSON: a field's text is taken as it stands and given as it stands.

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::Error as _};
use serde_json::value::RawValue;

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(String::from(Box::<str>::from(raw)).into_bytes())
}

pub(super) fn serialize<S: Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let raw: &RawValue = serde_json::from_slice(data).map_err(S::Error::custom)?;
    raw.serialize(serializer)
}
