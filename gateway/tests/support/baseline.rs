//! The version before, as `gateway/tests/baseline` names it: its gateway, out of the cache.

use std::path::PathBuf;

/// The commit of the version before, and the version of its schema.
pub struct Baseline {
    pub commit: String,
    pub schema: i32,
}

/// What `gateway/tests/baseline/version.json` says.
pub fn baseline() -> Baseline {
    let version: serde_json::Value = serde_json::from_str(include_str!("../baseline/version.json")).unwrap();
    let schema = version["schema"].as_i64().and_then(|schema| i32::try_from(schema).ok());
    Baseline { commit: version["commit"].as_str().unwrap().to_owned(), schema: schema.unwrap() }
}

/// Its gateway's program.
pub fn program() -> PathBuf {
    let program = images::cache_dir().join("baseline").join(baseline().commit).join("chat-gateway");
    assert!(program.exists(), "the gateway of the version before is needed, which `cargo xtask baseline` builds");
    program
}
