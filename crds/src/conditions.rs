//! The schema of `status.conditions`, which every resource has.

use schemars::{Schema, SchemaGenerator, json_schema};

/// The conditions' schema of the Kubernetes API conventions: a list map by type.
pub(crate) fn schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 32,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": { "type": "string", "description": "Which condition.", "maxLength": 316, "pattern": "^[A-Z][A-Za-z]*$" },
                "status": { "type": "string", "description": "True, False or Unknown.", "enum": ["True", "False", "Unknown"] },
                "observedGeneration": { "type": "integer", "format": "int64", "minimum": 0, "description": "Generation of the spec that this is about." },
                "lastTransitionTime": { "type": "string", "format": "date-time", "description": "When the status changed last." },
                "reason": { "type": "string", "description": "One word for programs.", "minLength": 1, "maxLength": 1024, "pattern": "^[A-Z][A-Za-z0-9]*$" },
                "message": { "type": "string", "description": "A sentence for people.", "maxLength": 32768 }
            }
        }
    })
}
