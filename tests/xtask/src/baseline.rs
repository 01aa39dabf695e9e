//! The gateway of the version before, built out of this repository's own history into the cache, for the test `mixed_versions`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{paths, shell};

/// What names the version before.
const VERSION: &str = "gateway/tests/baseline/version.json";

/// Name of the program while cargo builds it: under its own it would take the place of today's in the folder that both share.
const PROGRAM: &str = "chat-gateway-before";

/// The version of all packages here. Under it the libraries of the version before would take the place of today's in that folder, and cargo, which goes by
/// the time of files, would take them for up to date.
const VERSION_NOW: &str = "version = \"0.1.0\"";
/// The version that they get for it.
const VERSION_BEFORE: &str = "version = \"0.1.0-before\"";

/// Name of the test program that it is built for, and of nothing else.
const OCCASION: &str = "version_before";

/// Builds the program unless it is in the cache.
pub(crate) fn ensure() -> Result<()> {
    let commit = commit()?;
    let folder = images::cache_dir().join("baseline");
    let kept = folder.join(&commit).join("chat-gateway");
    if kept.exists() {
        return Ok(());
    }
    check_history(&commit)?;
    println!("building the gateway of the version before, {commit}");
    let draft = folder.join(format!("unfinished-{}", std::process::id()));
    let outcome = build(&commit, &draft).and_then(|built| keep(&built, &draft, &kept));
    // The sources are of no more use, whatever came of them.
    fs::remove_dir_all(&draft).with_context(|| format!("failed to remove {}", draft.display()))?;
    outcome
}

fn commit() -> Result<String> {
    let path = paths::root().join(VERSION);
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let version: Value = serde_json::from_str(&text).with_context(|| format!("{VERSION} is no JSON"))?;
    let commit = version["commit"].as_str().unwrap_or_default();
    let whole = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(whole, "{VERSION} names no commit by its 40 hexadecimal digits: {commit:?}");
    Ok(commit.to_owned())
}

/// Whether the commit is here, and came before what is checked out: another branch is nobody's version before.
fn check_history(commit: &str) -> Result<()> {
    let there = git(&["cat-file", "-e", &format!("{commit}^{{commit}}")])?;
    let shallow = shell::output(shell::command("git", &["rev-parse", "--is-shallow-repository"]))?.trim() == "true";
    let way_out = if shallow { "this clone is shallow: git fetch --unshallow" } else { "git fetch" };
    ensure!(there, "the version before, {commit} in {VERSION}, is not in this clone's history ({way_out})");
    let before = git(&["merge-base", "--is-ancestor", commit, "HEAD"])?;
    ensure!(before, "{commit} in {VERSION} is no ancestor of what is checked out");
    Ok(())
}

/// Whether git says yes; what it prints of a no is not for people.
fn git(args: &[&str]) -> Result<bool> {
    let mut command = shell::command("git", args);
    let status = command.stderr(Stdio::null()).status().context("git is needed: apt-get install git")?;
    Ok(status.success())
}

/// Builds the program of a commit, whose sources go into `draft`; where it is.
///
/// All of the workspace is named, for a test program, because cargo chooses the features of dependencies by what it is asked for: with the choice of
/// the step `compile`, in the same folder, it finds nearly all of them compiled. Nothing else of the sources is changed than names.
fn build(commit: &str, draft: &Path) -> Result<PathBuf> {
    fs::create_dir_all(draft).with_context(|| format!("failed to make {}", draft.display()))?;
    let archive = draft.join("sources.tar");
    let (archive_arg, draft_arg) = (archive.display().to_string(), draft.display().to_string());
    shell::run(shell::command("git", &["archive", "--format=tar", "--output", &archive_arg, commit]))?;
    shell::run(shell::command("tar", &["--extract", "--file", &archive_arg, "--directory", &draft_arg]))?;
    rename(&draft.join("gateway"))?;
    set_back(draft)?;
    let mut command = shell::cargo(&["test", "--workspace", "--locked", "--no-run", "--quiet", "--test", OCCASION]);
    command.arg("--message-format=json-render-diagnostics").current_dir(draft);
    command.env("CARGO_TARGET_DIR", target()).env("CARGO_INCREMENTAL", "0");
    let messages = shell::output(command)?;
    let built = messages.lines().find_map(executable);
    built.with_context(|| format!("cargo built {commit} and tells of no program {PROGRAM}"))
}

/// Gives the gateway's program its other name, and a test program to be built for.
fn rename(gateway: &Path) -> Result<()> {
    let manifest = gateway.join("Cargo.toml");
    change(&manifest, |text| text.replacen("[package]\n", "[package]\nautobins = false\n", 1))?;
    change(&manifest, |text| format!("{text}\n[[bin]]\nname = \"{PROGRAM}\"\npath = \"src/main.rs\"\n"))?;
    let test = gateway.join("tests").join(format!("{OCCASION}.rs"));
    fs::write(&test, "//! Built so that the program is.\n")
        .with_context(|| format!("failed to write {}", test.display()))
}

/// Gives all packages of the workspace in `draft` another version, there and in the lock file.
fn set_back(draft: &Path) -> Result<()> {
    change(&draft.join("Cargo.toml"), |text| text.replacen(VERSION_NOW, VERSION_BEFORE, 1))?;
    // Only packages of the workspace have no source.
    let older = |package: &str| match package.contains("\nsource = ") {
        true => package.to_owned(),
        false => package.replacen(VERSION_NOW, VERSION_BEFORE, 1),
    };
    change(&draft.join("Cargo.lock"), |text| text.split("\n\n").map(older).collect::<Vec<_>>().join("\n\n"))
}

fn change(file: &Path, edit: impl Fn(&str) -> String) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
    let changed = edit(&text);
    ensure!(changed != text, "{} is not what it is taken for", file.display());
    fs::write(file, changed).with_context(|| format!("failed to write {}", file.display()))
}

/// The folder that this workspace is built in.
fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty()) {
        // A relative one counts from where cargo is started.
        Some(folder) => paths::root().join(folder),
        None => paths::root().join("target"),
    }
}

/// Where the program is, if one of cargo's messages is about it.
fn executable(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    (message["target"]["name"] == PROGRAM).then_some(())?;
    message["executable"].as_str().map(PathBuf::from)
}

/// Copies the program to where tests look for it: whole or not at all.
fn keep(built: &Path, draft: &Path, kept: &Path) -> Result<()> {
    let copy = draft.join("kept");
    fs::copy(built, &copy).with_context(|| format!("failed to copy {}", built.display()))?;
    if let Some(folder) = kept.parent() {
        fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    }
    fs::rename(&copy, kept).with_context(|| format!("failed to make {}", kept.display()))
}
