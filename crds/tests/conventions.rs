//! The Kubernetes API conventions that can be checked on the definition itself, one test a rule.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use chat_crds::render::{crd, crds};
use serde_json::Value;

fn schema() -> Value {
    crd().unwrap()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

fn statuses() -> Vec<Value> {
    let status = |crd: &Value| {
        crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"].clone()
    };
    crds().unwrap().iter().map(status).collect()
}

/// Calls `visit` with every object in a JSON value and the path that leads to it.
fn walk(value: &Value, path: &str, visit: &mut impl FnMut(&str, &serde_json::Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            visit(path, map);
            for (key, inner) in map {
                walk(inner, &format!("{path}.{key}"), visit);
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, inner)| walk(inner, &format!("{path}[{at}]"), visit))
        }
        _ => {}
    }
}

/// Calls `visit` with every object in the schemas of all definitions.
fn walk_all(visit: &mut impl FnMut(&str, &serde_json::Map<String, Value>)) {
    for crd in crds().unwrap() {
        walk(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], "", visit);
    }
}

/// Paths of the objects for which `wrong` holds.
fn offenders(wrong: impl Fn(&serde_json::Map<String, Value>) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    walk_all(&mut |path, map| {
        if wrong(map) {
            found.push(path.to_owned());
        }
    });
    found
}

fn is_type(map: &serde_json::Map<String, Value>, name: &str) -> bool {
    map.get("type").and_then(Value::as_str) == Some(name)
}

#[test]
fn a2_every_served_version_has_a_status_subresource() {
    for crd in crds().unwrap() {
        for version in crd["spec"]["versions"].as_array().unwrap() {
            assert!(version["subresources"]["status"].is_object());
        }
    }
}

#[test]
fn a3_the_scale_paths_resolve() {
    let crd = crd().unwrap();
    let scale = &crd["spec"]["versions"][0]["subresources"]["scale"];
    for key in ["specReplicasPath", "statusReplicasPath", "labelSelectorPath"] {
        let path = scale[key].as_str().unwrap();
        let mut at = schema();
        for part in path.trim_start_matches('.').split('.') {
            at = at["properties"][part].clone();
        }
        assert!(at["type"].is_string(), "{key}: {path} is not in the schema");
    }
}

#[test]
fn a4_conditions_are_a_map_list_by_type_with_observed_generation() {
    for status in statuses() {
        let conditions = &status["conditions"];
        assert_eq!(conditions["x-kubernetes-list-type"], "map");
        assert_eq!(conditions["x-kubernetes-list-map-keys"], serde_json::json!(["type"]));
        let mut required: Vec<&str> =
            conditions["items"]["required"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
        required.sort_unstable();
        assert_eq!(required, ["lastTransitionTime", "message", "reason", "status", "type"]);
        assert!(conditions["items"]["properties"]["observedGeneration"].is_object());
    }
}

#[test]
fn a5_the_status_has_observed_generation() {
    assert!(statuses().iter().all(|status| status["observedGeneration"].is_object()));
}

/// kstatus would take an object without any status for one that is as its spec says.
#[test]
fn a5_an_object_that_nobody_has_seen_says_so() {
    for crd in crds().unwrap() {
        let default = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["default"];
        assert_eq!(default, &serde_json::json!({ "observedGeneration": -1 }), "{}", crd["metadata"]["name"]);
    }
}

#[test]
fn a6_there_is_no_phase() {
    assert!(statuses().iter().all(|status| status["phase"].is_null() && status["state"].is_null()));
}

#[test]
fn a7_every_array_says_how_it_merges() {
    assert_eq!(
        offenders(|map| is_type(map, "array")
            && map.contains_key("items")
            && !map.contains_key("x-kubernetes-list-type")),
        [""; 0]
    );
}

#[test]
fn a8_there_are_no_floating_point_numbers() {
    assert_eq!(offenders(|map| is_type(map, "number")), [""; 0]);
}

#[test]
fn a9_there_are_no_unsigned_formats() {
    assert_eq!(
        offenders(|map| map.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint"))),
        [""; 0]
    );
}

/// Values of enums that are names of others, which people know as they are written here: of Kafka's security protocols and of SASL
/// mechanisms (RFC 4422 and IANA's registry).
const PROPER_NAMES: [&str; 4] = ["SASL_PLAINTEXT", "SASL_SSL", "SCRAM-SHA-256", "SCRAM-SHA-512"];

#[test]
fn a10_enum_values_are_camel_case() {
    let is_camel_case = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_uppercase()) && text.chars().all(|c| c.is_ascii_alphanumeric())
    };
    let mut odd = Vec::new();
    walk_all(&mut |_, map| {
        let values = map.get("enum").and_then(Value::as_array).into_iter().flatten();
        odd.extend(values.filter(|value| !value.as_str().is_some_and(is_camel_case)).cloned());
    });
    odd.sort_by_key(Value::to_string);
    // Exactly these: a name that is used no longer is exempt no longer.
    assert_eq!(odd, PROPER_NAMES);
}

#[test]
fn a11_strings_arrays_and_maps_are_bounded() {
    let unbounded = |map: &serde_json::Map<String, Value>| {
        (is_type(map, "string") && !["maxLength", "enum", "format"].iter().any(|bound| map.contains_key(*bound)))
            || (is_type(map, "array") && !map.contains_key("maxItems"))
            || (map.contains_key("additionalProperties") && !map.contains_key("maxProperties"))
    };
    // The API server itself owns these.
    let own: Vec<String> = offenders(unbounded)
        .into_iter()
        .filter(|path| !path.starts_with(".properties.apiVersion") && !path.starts_with(".properties.kind"))
        .collect();
    assert_eq!(own, [""; 0]);
}

#[test]
fn a12_durations_carry_their_unit() {
    let mut odd = Vec::new();
    walk_all(&mut |path, map| {
        for name in
            map.get("properties").and_then(Value::as_object).into_iter().flat_map(|properties| properties.keys())
        {
            if ["Timeout", "Interval", "Period", "Duration", "Delay"].iter().any(|end| name.ends_with(end)) {
                odd.push(format!("{path}.{name}"));
            }
        }
    });
    assert_eq!(odd, [""; 0]);
}

#[test]
fn a13_a14_only_the_scale_path_and_the_status_have_a_default() {
    // Stricter than the rules: none inside arrays, none that are required too, and no other at all.
    let [gateways, status] = [".properties.spec.properties.gateways", ".properties.status"];
    let replicas = format!("{gateways}.properties.replicas");
    assert_eq!(
        offenders(|map| map.contains_key("default") && map.contains_key("type")),
        // Of both kinds.
        [gateways, &replicas, status, status]
    );
}

#[test]
fn a15_references_stay_in_the_namespace_and_no_secret_is_plain_text() {
    let mut odd = Vec::new();
    walk_all(&mut |path, map| {
        for (name, inner) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let reference = name.ends_with("Ref") && !inner["properties"]["namespace"].is_null();
            let plain = name.to_lowercase().ends_with("password") && inner["type"] == "string";
            if reference || plain || name.ends_with("Reference") {
                odd.push(format!("{path}.{name}"));
            }
        }
    });
    assert_eq!(odd, [""; 0]);
}

#[test]
fn a16_the_definition_is_small() {
    for crd in crds().unwrap() {
        let size = serde_json::to_string(&crd).unwrap().len();
        assert!(size < 131_072, "{size} bytes");
    }
}

#[test]
fn a18_only_spec_and_status_stand_beside_the_metadata_and_spec_is_required() {
    for crd in crds().unwrap() {
        only_spec_and_status(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]);
    }
}

fn only_spec_and_status(schema: &Value) {
    let names: Vec<&String> = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .filter(|name| !["apiVersion", "kind", "metadata"].contains(&name.as_str()))
        .collect();
    assert_eq!(names, ["spec", "status"]);
    assert!(schema["required"].as_array().unwrap().contains(&"spec".into()));
}

#[test]
fn a19_every_property_is_described() {
    let mut silent = Vec::new();
    walk_all(&mut |path, map| {
        for (name, inner) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if inner["description"].as_str().is_none_or(str::is_empty) {
                silent.push(format!("{path}.{name}"));
            }
        }
    });
    assert_eq!(silent, [""; 0]);
}

#[test]
fn every_message_of_a_rule_names_the_field_and_the_way_out() {
    let mut rules = 0;
    walk_all(&mut |_, map| {
        for rule in map.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
            rules += 1;
            let message = rule["message"].as_str().unwrap();
            assert!(message.starts_with("spec.") || message.starts_with("metadata."), "{message}");
            assert!(message.contains(';'), "no way out: {message}");
        }
    });
    assert!(rules >= 10, "only {rules} rules were found");
}

#[test]
fn the_checked_in_files_are_up_to_date() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (name, text) in chat_crds::render::files().unwrap() {
        assert_eq!(
            std::fs::read_to_string(root.join(&name)).unwrap(),
            text,
            "{name} is out of date; run: cargo xtask codegen"
        );
    }
}

#[test]
fn the_examples_are_chat_clusters_without_unknown_fields() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let given: Value = serde_yaml_ng::from_str(&text).unwrap();
        let typed: chat_crds::ChatCluster = serde_json::from_value(given.clone()).unwrap();
        assert_eq!(serde_json::to_value(&typed).unwrap()["spec"], given["spec"]);
        seen += 1;
    }
    assert!(seen >= 3);
}
