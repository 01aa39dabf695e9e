//! What must not be in the tree of dependencies: licences, duplicates, a second TLS stack, known vulnerabilities.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::{packages, shell};

/// Crates that would bring a second TLS stack or link a system library into a static binary.
const BANNED: &[&str] = &["aws-lc-sys", "aws-lc-rs", "openssl-sys", "native-tls"];
/// Crates of which two versions at once mean that types silently differ.
const SINGLE: &[&str] = &["kube", "rustls", "tokio-tungstenite", "k8s-openapi"];

pub(crate) fn run() -> Result<()> {
    let tree = shell::output(shell::cargo(&[
        "tree",
        "--workspace",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--locked",
    ]))?;
    let versions = |name: &str| -> Vec<String> {
        let mut found: Vec<String> = tree
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(" v"))
            .map(|rest| rest.split(' ').next().unwrap_or(rest).to_owned())
            .collect();
        found.sort();
        found.dedup();
        found
    };
    for name in BANNED {
        if !versions(name).is_empty() {
            bail!("{name} is in the tree; find out why with: cargo tree --invert {name}");
        }
    }
    for name in SINGLE {
        let found = versions(name);
        if found.len() > 1 {
            bail!("{name} is in the tree as {}; one version only", found.join(" and "));
        }
    }
    let deny = tool()?;
    shell::run(shell::command(&deny, &["--all-features", "check", "bans", "licenses", "sources"]))?;
    advisories(&deny)
}

/// The advisory database is a git repository of its own, in no package registry. With `ADVISORY_DB` naming a clone's parent folder it is
/// checked; without, this says plainly that it was not.
fn advisories(deny: &PathBuf) -> Result<()> {
    if std::env::var_os("ADVISORY_DB").is_none() {
        println!(
            "NOT CHECKED: security advisories. Their database is in no package registry; set ADVISORY_DB=1 where it can be cloned."
        );
        return Ok(());
    }
    shell::run(shell::command(deny, &["check", "advisories"]))
}

/// A version of cargo-deny that the pinned toolchain builds.
const VERSION: &str = "0.20.2";

/// cargo-deny, built once into the cache.
fn tool() -> Result<PathBuf> {
    Ok(packages::cargo_install("cargo-deny", VERSION, "cargo-deny")?.join("cargo-deny"))
}
