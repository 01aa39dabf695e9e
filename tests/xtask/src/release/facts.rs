//! What a release is made of: the commit, and nothing beside it.

use anyhow::{Context as _, Result, ensure};

use super::{crates::Workspace, sums::sha256};
use crate::{paths, shell};

/// What all files of a release tell of it.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Of the workspace.
    pub(crate) version: String,
    /// 40 hexadecimal digits.
    pub(crate) commit: String,
    /// Of the commit, RFC 3339 in UTC.
    pub(crate) date: String,
    /// The same in seconds since 1970.
    pub(crate) epoch: u64,
    /// Version of the compiler.
    pub(crate) rust: String,
    /// SHA-256 of `Cargo.lock`.
    pub(crate) lock_sha256: String,
    /// Where the source is to be had, when the caller says so.
    pub(crate) repository: Option<String>,
}

impl Facts {
    /// Reads them from git, cargo and the compiler.
    ///
    /// # Errors
    /// The tree has changes that no commit has, or a program fails.
    pub(crate) fn read(workspace: &Workspace, lock: &str, repository: Option<String>) -> Result<Self> {
        ensure_clean(&git(&["status", "--porcelain"])?)?;
        let date = ["log", "-1", "--date=format-local:%Y-%m-%dT%H:%M:%SZ"];
        let date = |format: &str| git(&[date.as_slice(), &[&format!("--format={format}")]].concat());
        let rust = shell::output(shell::command("rustc", &["--version"]))?;
        Ok(Self {
            version: workspace.version("chat-operator")?.to_owned(),
            commit: git(&["rev-parse", "HEAD"])?,
            date: date("%cd")?,
            epoch: date("%ct")?.parse().context("git told no time of the commit")?,
            rust: rust.split(' ').nth(1).context("rustc told no version")?.to_owned(),
            lock_sha256: sha256(lock.as_bytes()),
            repository,
        })
    }

    #[cfg(test)]
    pub(crate) fn example() -> Self {
        Self {
            version: "0.1.0".to_owned(),
            commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            date: "2026-01-02T03:04:05Z".to_owned(),
            epoch: 1_767_323_045,
            rust: "1.95.0".to_owned(),
            lock_sha256: "00".repeat(32),
            repository: None,
        }
    }
}

/// What is in no commit cannot be looked up by who gets the release.
fn ensure_clean(status: &str) -> Result<()> {
    ensure!(
        status.is_empty(),
        "the working tree has changes that are in no commit; commit them, or put them aside by git stash:\n{status}"
    );
    Ok(())
}

fn git(args: &[&str]) -> Result<String> {
    let mut command = shell::command("git", args);
    command.env("TZ", "UTC").current_dir(paths::root());
    Ok(shell::output(command)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dirty_tree_is_refused() {
        assert!(ensure_clean("").is_ok());
        let error = ensure_clean("?? new.rs").unwrap_err().to_string();
        assert!(error.contains("?? new.rs") && error.contains("git stash"), "{error}");
    }
}
