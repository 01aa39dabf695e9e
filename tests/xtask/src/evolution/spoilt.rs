//! Definitions that break objects which users have, made out of a good one.

use anyhow::{Context as _, Result};
use serde_yaml_ng::{Mapping, Value};

/// Name of the field that is asked for all at once; no definition has one like it.
const NEW_FIELD: &str = "spoilt";

/// A definition that must be refused.
pub(super) struct Spoilt {
    /// What was done to it.
    pub(super) how: String,
    /// It as YAML.
    pub(super) definition: String,
    /// Name of crdify's check that is to refuse it.
    pub(super) refusal: &'static str,
}

/// The definition with a field of its spec gone, and with one more that is required.
pub(super) fn all(definition: &str) -> Result<[Spoilt; 2]> {
    let good: Value = serde_yaml_ng::from_str(definition).context("the definition is no YAML")?;
    Ok([field_removed(good.clone())?, field_required(good)?])
}

fn field_removed(mut definition: Value) -> Result<Spoilt> {
    let spec = spec(&mut definition)?;
    let fields = spec.get_mut("properties").and_then(Value::as_mapping_mut).context("the spec has no properties")?;
    let name = fields.keys().next().and_then(Value::as_str).context("the spec has no field")?.to_owned();
    fields.remove(name.as_str());
    // A required field that is gone would be refused for more than one reason.
    if let Some(required) = spec.get_mut("required").and_then(Value::as_sequence_mut) {
        required.retain(|field| field.as_str() != Some(&name));
    }
    finished(&definition, format!("spec.{name} removed"), "existingFieldRemoval")
}

fn field_required(mut definition: Value) -> Result<Spoilt> {
    let spec = spec(&mut definition)?;
    let fields = spec.get_mut("properties").and_then(Value::as_mapping_mut).context("the spec has no properties")?;
    fields.insert(NEW_FIELD.into(), Value::Mapping(Mapping::from_iter([("type".into(), "string".into())])));
    match spec.get_mut("required").and_then(Value::as_sequence_mut) {
        Some(required) => required.push(NEW_FIELD.into()),
        None => drop(spec.insert("required".into(), Value::Sequence(vec![NEW_FIELD.into()]))),
    }
    finished(&definition, format!("spec.{NEW_FIELD} required"), "required")
}

/// The schema of the spec in the first version.
fn spec(definition: &mut Value) -> Result<&mut Mapping> {
    let version = definition.get_mut("spec").and_then(|spec| spec.get_mut("versions")).and_then(|all| all.get_mut(0));
    let schema = version.and_then(|version| version.get_mut("schema")?.get_mut("openAPIV3Schema"));
    let spec = schema.and_then(|schema| schema.get_mut("properties")?.get_mut("spec"));
    spec.and_then(Value::as_mapping_mut).context("the definition has no schema of a spec")
}

fn finished(definition: &Value, how: String, refusal: &'static str) -> Result<Spoilt> {
    Ok(Spoilt { how, definition: serde_yaml_ng::to_string(definition)?, refusal })
}
