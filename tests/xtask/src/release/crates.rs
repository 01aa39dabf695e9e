//! Which crates are in a program: what cargo resolves for it, with licences and checksums.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::shell;

/// Name and version, by which cargo's three sources are brought together.
type Key = (String, String);

/// What releases are built for.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// One crate of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Crate {
    /// Name on the registry, or in this workspace.
    pub(crate) name: String,
    /// Version.
    pub(crate) version: String,
    /// SPDX expression; None where the crate names none.
    pub(crate) licence: Option<String>,
    /// SHA-256 of the archive that the registry serves; None for crates of this workspace.
    pub(crate) checksum: Option<String>,
    /// Whether it only ran while the program was compiled, as procedural macros and what they need.
    pub(crate) build_only: bool,
    /// Package URLs of what it uses, those of the program only.
    pub(crate) uses: Vec<String>,
}

impl Crate {
    /// Its package URL.
    pub(crate) fn purl(&self) -> String {
        purl(&self.name, &self.version)
    }
}

/// A crate's package URL.
pub(crate) fn purl(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

/// What cargo says of the whole workspace.
pub(crate) struct Workspace {
    metadata: Value,
    checksums: BTreeMap<Key, String>,
}

impl Workspace {
    /// Asks cargo, and reads the lock file.
    ///
    /// # Errors
    /// The lock file is out of date, or cargo fails.
    pub(crate) fn read(lock: &str) -> Result<Self> {
        let args = ["metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET];
        let metadata =
            serde_json::from_str(&shell::output(shell::cargo(&args))?).context("cargo metadata is no JSON")?;
        Ok(Self { metadata, checksums: checksums(lock) })
    }

    /// The version of one of its packages.
    ///
    /// # Errors
    /// There is none of that name.
    pub(crate) fn version(&self, package: &str) -> Result<&str> {
        let members = self.metadata["workspace_members"].as_array().into_iter().flatten();
        let members: BTreeSet<&str> = members.filter_map(Value::as_str).collect();
        let mut packages = self.metadata["packages"].as_array().into_iter().flatten();
        let found = packages
            .find(|entry| entry["name"] == package && entry["id"].as_str().is_some_and(|id| members.contains(id)));
        found
            .and_then(|entry| entry["version"].as_str())
            .with_context(|| format!("the workspace has no package {package}"))
    }

    /// The crates of a package's programs when it is built alone: its normal dependencies with the features that it asks for, and itself. By name and version.
    ///
    /// # Errors
    /// Cargo fails, or its answers do not fit together.
    pub(crate) fn crates_of(&self, package: &str) -> Result<Vec<Crate>> {
        self.resolve(&tree(package, "normal")?, &tree(package, "normal,no-proc-macro")?)
    }

    /// The same from what `cargo tree` printed, with procedural macros and without.
    fn resolve(&self, all: &str, runtime: &str) -> Result<Vec<Crate>> {
        let (all, runtime) = (keys(all)?, keys(runtime)?);
        let packages = self.metadata["packages"].as_array().context("cargo metadata lists no packages")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let key = |package: &Value| (text(&package["name"]), text(&package["version"]));
        let by_id: BTreeMap<&str, &Value> =
            packages.iter().filter_map(|package| Some((package["id"].as_str()?, package))).collect();
        let nodes = self.metadata["resolve"]["nodes"].as_array().context("cargo metadata resolves nothing")?;
        let mut crates = BTreeMap::new();
        for node in nodes {
            let Some(package) = node["id"].as_str().and_then(|id| by_id.get(id)) else { continue };
            let own = key(package);
            if !all.contains(&own) {
                continue;
            }
            let normal = |dependency: &&Value| {
                dependency["dep_kinds"].as_array().into_iter().flatten().any(|kind| kind["kind"].is_null())
            };
            let uses = node["deps"].as_array().into_iter().flatten().filter(normal);
            let uses = uses.filter_map(|dependency| Some(key(by_id.get(dependency["pkg"].as_str()?)?)));
            let uses: BTreeSet<Key> = uses.filter(|used| all.contains(used)).collect();
            let licence = package["license"].as_str().map(expression);
            let (name, version) = own.clone();
            let found = Crate {
                name,
                version,
                licence,
                checksum: self.checksums.get(&own).cloned(),
                build_only: !runtime.contains(&own),
                uses: uses.iter().map(|(name, version)| purl(name, version)).collect(),
            };
            crates.insert(own, found);
        }
        if let Some((name, version)) = all.iter().find(|key| !crates.contains_key(*key)) {
            anyhow::bail!("cargo tree names {name} {version}, and cargo metadata does not");
        }
        Ok(crates.into_values().collect())
    }
}

/// Old manifests write a slash where SPDX has a word.
fn expression(licence: &str) -> String {
    licence.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ")
}

fn tree(package: &str, edges: &str) -> Result<String> {
    let args = ["tree", "--locked", "--package", package, "--target", TARGET, "--edges", edges, "--prefix", "none"];
    shell::output(shell::cargo(&[args.as_slice(), &["--format", "{p}"]].concat()))
}

/// `NAME vVERSION (PATH OR proc-macro) (*)` lines.
fn keys(tree: &str) -> Result<BTreeSet<Key>> {
    let lines = tree.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let mut words = line.split(' ');
            let (name, version) = (words.next(), words.next().and_then(|word| word.strip_prefix('v')));
            let (name, version) = name.zip(version).with_context(|| format!("cargo tree printed {line:?}"))?;
            Ok((name.to_owned(), version.to_owned()))
        })
        .collect()
}

/// Checksums of a lock file, which cargo writes one field a line.
fn checksums(lock: &str) -> BTreeMap<Key, String> {
    let field = |block: &str, name: &str| {
        let start = format!("{name} = \"");
        block.lines().find_map(|line| Some(line.strip_prefix(&start)?.strip_suffix('"')?.to_owned()))
    };
    let blocks = lock.split("[[package]]").skip(1);
    blocks
        .filter_map(|block| Some(((field(block, "name")?, field(block, "version")?), field(block, "checksum")?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn checksums_are_those_of_the_lock_file() {
        let lock = "version = 4\n\n[[package]]\nname = \"ours\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0+x\"\n\
                    source = \"registry\"\nchecksum = \"abc\"\ndependencies = [\n \"b\",\n]\n";
        assert_eq!(checksums(lock), [(("a".to_owned(), "1.0.0+x".to_owned()), "abc".to_owned())].into());
    }

    #[test]
    fn a_program_has_what_its_tree_names_and_nothing_else() {
        let package =
            |name: &str, licence: &str| json!({ "id": name, "name": name, "version": "1.0.0", "license": licence });
        let uses = |name: &str, kind: Value| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let metadata = json!({
            "packages": [package("own", "Apache-2.0"), package("used", "MIT / Apache-2.0"), package("derive", "MIT"), package("tests", "MIT")],
            "resolve": { "nodes": [
                { "id": "own", "deps": [uses("used", Value::Null), uses("derive", Value::Null), uses("tests", json!("dev"))] },
                { "id": "used", "deps": [] }, { "id": "derive", "deps": [] }, { "id": "tests", "deps": [] },
            ] },
        });
        let checksums = [(("used".to_owned(), "1.0.0".to_owned()), "abc".to_owned())].into();
        let workspace = Workspace { metadata, checksums };
        let all = "own v1.0.0 (/somewhere)\nused v1.0.0\nderive v1.0.0 (proc-macro)\nused v1.0.0 (*)\n";
        let crates = workspace.resolve(all, "own v1.0.0 (/somewhere)\nused v1.0.0\n").unwrap();
        let names: Vec<_> = crates.iter().map(|own| (own.name.as_str(), own.build_only)).collect();
        assert_eq!(names, [("derive", true), ("own", false), ("used", false)]);
        assert_eq!(crates[1].uses, ["pkg:cargo/derive@1.0.0", "pkg:cargo/used@1.0.0"]);
        assert_eq!(
            (crates[2].licence.as_deref(), crates[2].checksum.as_deref()),
            (Some("MIT OR Apache-2.0"), Some("abc"))
        );
        assert!(workspace.resolve("lost v2.0.0", "").unwrap_err().to_string().contains("lost 2.0.0"));
    }
}
