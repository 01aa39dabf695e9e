//! How a release was made: an in-toto statement with a SLSA v1 predicate. It is not signed, so that it is a claim and no proof.

use serde_json::{Value, json};

use super::{crates::TARGET, facts::Facts};

/// What the parameters and materials mean; described in docs/how-to/make-a-release.md.
const BUILD_TYPE: &str = "https://chatcluster.dev/release/v1";
/// Whoever ran the command on a machine of his own: nobody vouches for that.
const BUILDER: &str = "https://chatcluster.dev/release/cargo-xtask-release";

/// The statement about files, by name and SHA-256. It tells no time of the clock and no machine, so that the same release has the same statement.
pub(crate) fn statement(facts: &Facts, subjects: &[(String, String)]) -> Value {
    let subject = |(name, sha256): &(String, String)| json!({ "name": name, "digest": { "sha256": sha256 } });
    let mut source = json!({ "name": "source", "digest": { "gitCommit": facts.commit } });
    if let Some(repository) = &facts.repository {
        source["uri"] = json!(format!("git+{repository}@{}", facts.commit));
    }
    let rust = format!("pkg:generic/rust@{}", facts.rust);
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects.iter().map(subject).collect::<Vec<_>>(),
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": { "repository": facts.repository, "commit": facts.commit, "version": facts.version },
                "internalParameters": { "target": TARGET, "profile": "release", "SOURCE_DATE_EPOCH": facts.epoch },
                "resolvedDependencies": [
                    source,
                    { "name": "Cargo.lock", "digest": { "sha256": facts.lock_sha256 } },
                    { "name": "rust", "uri": rust },
                ],
            },
            "runDetails": { "builder": { "id": BUILDER, "version": { "xtask": facts.version } } },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_has_what_in_toto_and_slsa_demand() {
        let facts = Facts { repository: Some("https://git.example/chat".to_owned()), ..Facts::example() };
        let statement = statement(&facts, &[("a".to_owned(), "00".repeat(32)), ("b".to_owned(), "11".repeat(32))]);
        assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
        assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
        let subjects = statement["subject"].as_array().unwrap();
        assert_eq!(subjects.len(), 2);
        assert!(subjects.iter().all(|subject| subject["digest"]["sha256"].as_str().is_some_and(|hex| hex.len() == 64)));
        let definition = &statement["predicate"]["buildDefinition"];
        for field in ["buildType", "externalParameters", "resolvedDependencies"] {
            assert!(!definition[field].is_null(), "{field}");
        }
        for uri in [&definition["buildType"], &statement["predicate"]["runDetails"]["builder"]["id"]] {
            assert!(uri.as_str().is_some_and(|uri| uri.starts_with("https://")), "{uri}");
        }
        for material in definition["resolvedDependencies"].as_array().unwrap() {
            assert!(material["uri"].is_string() || material["digest"].is_object(), "{material} names nothing");
        }
        assert_eq!(
            definition["resolvedDependencies"][0]["uri"],
            format!("git+https://git.example/chat@{}", facts.commit)
        );
    }

    #[test]
    fn no_repository_is_made_up() {
        let statement = statement(&Facts::example(), &[]);
        assert_eq!(statement["predicate"]["buildDefinition"]["resolvedDependencies"][0]["uri"], Value::Null);
    }
}
