//! The manifest for krew says what krew needs, of every platform that is built.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

fn manifest() -> Value {
    serde_yaml_ng::from_str(include_str!("../krew/chat.yaml")).unwrap()
}

/// The targets in Cargo's configuration, as Go calls them.
fn built() -> BTreeSet<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cargo/config.toml");
    let text = fs::read_to_string(path).unwrap();
    let targets = text.lines().filter_map(|line| line.strip_prefix("target = "));
    let platform = |target: &str| {
        let arch = if target.contains("x86_64") { "amd64" } else { "arm64" };
        let os = ["linux", "darwin", "windows"].into_iter().find(|os| target.contains(os)).unwrap();
        (os.to_owned(), arch.to_owned())
    };
    targets.flat_map(|value| value.split(',')).map(platform).collect()
}

#[test]
fn every_platform_that_is_built_is_named_and_no_other() {
    let manifest = manifest();
    let named = manifest["spec"]["platforms"].as_array().unwrap().iter().map(|platform| {
        let labels = &platform["selector"]["matchLabels"];
        (labels["os"].as_str().unwrap().to_owned(), labels["arch"].as_str().unwrap().to_owned())
    });
    assert_eq!(named.collect::<BTreeSet<_>>(), built());
}

#[test]
fn the_manifest_is_of_this_version_and_has_what_krew_needs() {
    let manifest = manifest();
    let version = format!("v{}", env!("CARGO_PKG_VERSION"));
    assert_eq!((&manifest["kind"], &manifest["metadata"]["name"]), (&"Plugin".into(), &"chat".into()));
    assert_eq!(manifest["spec"]["version"], version.as_str());
    // krew refuses longer ones.
    assert!(manifest["spec"]["shortDescription"].as_str().unwrap().len() <= 50);
    for platform in manifest["spec"]["platforms"].as_array().unwrap() {
        assert!(platform["uri"].as_str().unwrap().contains(&version), "{platform}");
        let sum = platform["sha256"].as_str().unwrap();
        assert!(sum.len() == 64 && sum.chars().all(|digit| digit.is_ascii_hexdigit()), "{sum}");
        assert_eq!(platform["bin"], "kubectl-chat");
    }
}
