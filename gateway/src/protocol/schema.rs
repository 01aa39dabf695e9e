//! JSON Schemas of the values that serde writes as texts.

use schemars::{Schema, SchemaGenerator, json_schema};

/// An id as JSON writes it. In CBOR whatever has this format is a byte string of 16 bytes.
pub(crate) fn id(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "format": "uuid",
        "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    })
}

/// A time as JSON writes it. In CBOR whatever has this format is an integer of milliseconds since the Unix epoch.
pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}
