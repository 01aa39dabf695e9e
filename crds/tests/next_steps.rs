//! Every reason that a condition can have has a next step.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use chat_crds::next_steps::{DELIVERY, GENERAL, GOOD, SHARDS, tables, with_table};

/// Sources of the operator that give reasons to conditions.
const SOURCES: [&str; 14] = [
    "reconcile/availability.rs",
    "reconcile/conditions.rs",
    "reconcile/credentials.rs",
    "reconcile/credentials_rotated.rs",
    "reconcile/mod.rs",
    "reconcile/outcome.rs",
    "reconcile/rollout.rs",
    "reconcile/shards.rs",
    "reconcile/validate.rs",
    "reconcile/validate",
    "rebalance/course.rs",
    "rollout",
    "poll/prober.rs",
    "probe",
];

/// Words in them that are no reasons.
const OTHER_WORDS: [&str; 15] = [
    "UTC",
    "True",
    "False",
    "Unknown",
    "RabbitMQ",
    "Redis",
    "Kafka",
    "Deployment",
    "Recreate",
    "Failed",
    "Succeeded",
    "JWT",
    "None",
    "NaN",
    "EdDSA",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn is_word(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric())
}

fn known() -> BTreeSet<&'static str> {
    let steps = [GENERAL, DELIVERY, SHARDS].into_iter().flatten();
    steps.flat_map(|step| step.reasons).chain(GOOD).copied().collect()
}

/// The Rust sources at a path; those of tests left out.
fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let files = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let is_source = |path: &PathBuf| !path.file_stem().unwrap().to_string_lossy().ends_with("tests");
    files.filter(|path| path.is_file()).filter(is_source).collect()
}

#[test]
fn every_reason_in_the_operators_source_has_a_step() {
    let known = known();
    let mut missing = BTreeSet::new();
    let mut found = 0;
    for source in SOURCES {
        for file in sources(&root().join("operator/src").join(source)) {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for word in code.split('"').filter(|text| is_word(text)) {
                found += 1;
                if !known.contains(word) && !OTHER_WORDS.contains(&word) {
                    missing.insert(format!("{word} in {}", file.display()));
                }
            }
        }
    }
    assert!(found > 80, "{found} words: the sources are elsewhere");
    assert!(
        missing.is_empty(),
        "add these to crds/src/next_steps.rs, or to the words that are no reasons: {missing:#?}"
    );
}

#[test]
fn every_reason_of_gateways_has_a_step() {
    let page = fs::read_to_string(root().join("docs/reference/gateway.md")).unwrap();
    let (_, section) = page.split_once("### Reasons").unwrap();
    // Reasons of movers, below the table, are told by ShardRebalances.
    let rows = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let known = known();
    let words: BTreeSet<&str> = rows.flat_map(|row| row.split('`')).filter(|text| is_word(text)).collect();
    assert!(words.len() > 20, "{words:?}");
    // A server's own word in an example.
    let missing: Vec<&&str> = words.iter().filter(|word| !known.contains(**word) && **word != "CLUSTERDOWN").collect();
    assert!(missing.is_empty(), "add these to crds/src/next_steps.rs: {missing:?}");
}

#[test]
fn the_pages_have_the_steps() {
    for (page, table) in tables() {
        let text = fs::read_to_string(root().join(page)).unwrap();
        assert_eq!(
            with_table(&text, &table).as_deref(),
            Some(text.as_str()),
            "{page} is out of date; run: cargo xtask codegen"
        );
    }
}
