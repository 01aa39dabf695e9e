//! JSON Schemas out of the types that serde writes and reads.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// Gathers schemas under `#/components/schemas`, where both kinds of documents have them.
pub(super) struct Schemas {
    written: SchemaGenerator,
    read: SchemaGenerator,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let settings =
            || SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into());
        Self {
            written: settings().for_serialize().into_generator(),
            read: settings().for_deserialize().into_generator(),
        }
    }

    /// The schema of what the gateway writes: a reference, but for small ones.
    pub(super) fn written<T: JsonSchema>(&mut self) -> Value {
        tidied(self.written.subschema_for::<T>().into())
    }

    /// The schema of what the gateway reads.
    pub(super) fn read<T: JsonSchema>(&mut self) -> Value {
        let mut schema = self.read.subschema_for::<T>().into();
        tidy(&mut schema, false);
        schema
    }

    /// The schemas of an enum that is told apart by `type`, by that type.
    pub(super) fn variants<T: JsonSchema>(&mut self) -> Vec<(String, Value)> {
        let schema: Value = T::json_schema(&mut self.written).into();
        let variants = schema["oneOf"].as_array().cloned().unwrap_or_default();
        let named = variants.into_iter().map(|variant| {
            let name = variant["properties"]["type"]["const"].as_str().unwrap_or_default().to_owned();
            (name, tidied(variant))
        });
        named.collect()
    }

    /// Everything that the schemas so far refer to.
    pub(super) fn definitions(mut self) -> Map<String, Value> {
        let (written, mut read) = (self.written.take_definitions(true), self.read.take_definitions(true));
        read.values_mut().for_each(|schema| tidy(schema, false));
        written.into_iter().map(|(name, schema)| (name, tidied(schema))).chain(read).collect()
    }
}

/// Says what serde does when it writes: a field that is left out when it is empty is never `null`.
fn tidied(mut schema: Value) -> Value {
    tidy(&mut schema, true);
    schema
}

/// Puts a reference that has company into an `allOf`, where also tools that know an older draft see both.
fn tidy(schema: &mut Value, written: bool) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| tidy(item, written)),
        Value::Object(object) => {
            object.values_mut().for_each(|value| tidy(value, written));
            let required = object.get("required").cloned().unwrap_or_default();
            if written && let Some(Value::Object(properties)) = object.get_mut("properties") {
                let optional = |name: &str| !required.as_array().is_some_and(|all| all.iter().any(|one| one == name));
                properties.iter_mut().filter(|(name, _)| optional(name)).for_each(|(_, property)| never_null(property));
            }
            if object.len() > 1
                && object.contains_key("properties")
                && let Some(reference) = object.remove("$ref")
            {
                object.insert("allOf".into(), json!([{ "$ref": reference }]));
            }
            // Rust's names of number types mean nothing to others.
            if object.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
                object.remove("format");
            }
        }
        _ => {}
    }
}

fn never_null(property: &mut Value) {
    let Some(object) = property.as_object_mut() else { return };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(any)) = object.remove("anyOf") {
        let mut others: Vec<Value> = any.into_iter().filter(|one| one["type"] != "null").collect();
        match (others.len(), others.pop()) {
            (1, Some(Value::Object(only))) => object.extend(only),
            (_, last) => {
                others.extend(last);
                object.insert("anyOf".into(), others.into());
            }
        }
    }
}
