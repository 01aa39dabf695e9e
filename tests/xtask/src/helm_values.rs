//! The page of what both charts can be told: names, types and limits out of `values.schema.json`, defaults and comments out of `values.yaml`.

mod comments;

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, bail};
use serde_yaml_ng::Value;

use crate::paths;

const PAGE: &str = "docs/reference/helm-values.md";

/// Charts, in the order of their installation.
const CHARTS: [&str; 2] = ["chat-operator-crds", "chat-operator"];

const HEAD: &str = "# Helm values

<!-- Generated from values.yaml and values.schema.json of both charts; write it anew with: cargo xtask codegen -->

What `helm install` and `helm upgrade` take, by `--set` or `--values`. Both charts refuse a value that is not listed here. An object without a default consists of the values below it.
";

/// Writes the page, or compares it with what would be written.
pub(crate) fn run(check: bool) -> Result<()> {
    let made = page()?;
    let path = paths::root().join(PAGE);
    // A page that is not there yet differs, too.
    if fs::read_to_string(&path).is_ok_and(|before| before == made) {
        return Ok(());
    }
    if check {
        bail!("{PAGE} is out of date; run: cargo xtask codegen");
    }
    fs::write(&path, made).with_context(|| format!("failed to write {}", path.display()))
}

fn page() -> Result<String> {
    let mut page = HEAD.to_owned();
    for chart in CHARTS {
        let folder = paths::root().join("charts").join(chart);
        let read = |name: &str| read(&folder.join(name));
        let table = table(&read("values.schema.json")?, &read("values.yaml")?)
            .with_context(|| format!("charts/{chart} cannot be described in {PAGE}"))?;
        let description = parse(&read("Chart.yaml")?, "Chart.yaml")?;
        let description = description["description"].as_str().unwrap_or_default();
        page += &format!("\n## {chart}\n\n{description}\n\n{table}");
    }
    Ok(page)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))
}

fn parse(text: &str, name: &str) -> Result<Value> {
    serde_yaml_ng::from_str(text).with_context(|| format!("failed to read {name}"))
}

/// The table of one chart's values.
fn table(schema: &str, values: &str) -> Result<String> {
    // JSON is YAML, and so its properties keep their order.
    let (schema, defaults) = (parse(schema, "values.schema.json")?, parse(values, "values.yaml")?);
    let mut rows = Rows { comments: comments::of(values), lines: Vec::new(), without: Vec::new() };
    rows.add_members("", &schema, Some(&defaults));
    if !rows.without.is_empty() {
        bail!(
            "nothing says what these mean: {}; give each a description in values.schema.json, or a comment right above it in values.yaml",
            rows.without.join(", ")
        );
    }
    Ok(format!("| value | type | default | meaning |\n| --- | --- | --- | --- |\n{}", rows.lines.concat()))
}

struct Rows {
    comments: BTreeMap<String, String>,
    lines: Vec<String>,
    /// Values that have no meaning.
    without: Vec<String>,
}

impl Rows {
    fn add_members(&mut self, path: &str, schema: &Value, defaults: Option<&Value>) {
        for (name, member) in schema["properties"].as_mapping().into_iter().flatten() {
            let Some(name) = name.as_str() else { continue };
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            let default = defaults.and_then(|defaults| defaults.get(name));
            self.add(&path, member, default);
            self.add_members(&path, member, default);
        }
    }

    fn add(&mut self, path: &str, schema: &Value, default: Option<&Value>) {
        let described = schema["description"].as_str().map(str::to_owned);
        let Some(meaning) = described.or_else(|| self.comments.get(path).cloned()) else {
            self.without.push(path.to_owned());
            return;
        };
        // What an object consists of follows it, each with its own default.
        let shown = match default.filter(|_| schema.get("properties").is_none()) {
            Some(default) => format!("`{}`", cell(&inline(default))),
            None => String::new(),
        };
        self.lines.push(format!("| `{path}` | {} | {shown} | {} |\n", cell(&type_of(schema)), cell(&meaning)));
    }
}

/// A type in words, with its limits.
fn type_of(schema: &Value) -> String {
    if let Some(choices) = schema["enum"].as_sequence() {
        let choices: Vec<String> = choices.iter().map(|choice| format!("`{}`", plain(choice))).collect();
        return choices.join(", ");
    }
    let name = schema["type"].as_str().unwrap_or("anything");
    match name {
        "array" => format!("list of {}", type_of(&schema["items"])),
        "object" if schema["additionalProperties"].is_mapping() => {
            format!("map of {}", type_of(&schema["additionalProperties"]))
        }
        "integer" if schema["minimum"].is_number() && schema["maximum"].is_number() => {
            format!("integer, {} to {}", plain(&schema["minimum"]), plain(&schema["maximum"]))
        }
        _ => name.to_owned(),
    }
}

/// A default on one line, as it can be written into a file of values.
fn inline(value: &Value) -> String {
    match value {
        Value::Mapping(members) => {
            let members = members.iter().map(|(name, value)| format!("{}: {}", plain(name), inline(value)));
            let members: Vec<String> = members.collect();
            if members.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", members.join(", ")) }
        }
        Value::Sequence(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        _ => plain(value),
    }
}

fn plain(value: &Value) -> String {
    serde_yaml_ng::to_string(value).unwrap_or_default().trim_end().to_owned()
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{ "properties": {
        "scope": { "enum": ["Cluster", "Namespace"] },
        "image": { "type": "object", "description": "What runs.", "properties": { "tag": { "type": "string" } } },
        "labels": { "type": "object", "additionalProperties": { "type": "string" } },
        "replicas": { "type": "integer", "minimum": 0, "maximum": 5, "description": "How many: a|b." }
    } }"#;
    const VALUES: &str = "# Whom it serves.\nscope: Cluster\nimage:\n  # Its version.\n  tag: \"\"\n# For all.\nlabels:\n  team: { name: x }\nreplicas: 1\n";

    #[test]
    fn each_value_has_its_type_default_and_meaning() {
        let table = table(SCHEMA, VALUES).unwrap();
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| `scope` | `Cluster`, `Namespace` | `Cluster` | Whom it serves. |",
                "| `image` | object |  | What runs. |",
                "| `image.tag` | string | `\"\"` | Its version. |",
                "| `labels` | map of string | `{ team: { name: x } }` | For all. |",
                "| `replicas` | integer, 0 to 5 | `1` | How many: a\\|b. |",
            ]
        );
    }

    #[test]
    fn a_value_without_a_meaning_is_an_error_that_names_it() {
        let error = table(SCHEMA, "scope: Cluster\n").unwrap_err().to_string();
        assert!(error.starts_with("nothing says what these mean: scope, image.tag, labels; give each"), "{error}");
    }
}
