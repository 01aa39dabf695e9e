//! The documents of the protocol, and the HTTP part against its own: tools from npm and PyPI, and the tests that run them.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::{packages, shell};

/// What comes from PyPI. Their own dependencies follow them.
const TOOLS: [&str; 2] = ["schemathesis==4.32.5", "openapi-spec-validator==0.9.0"];

/// Installs the tools and lets the command of the tests know where they are.
pub(crate) fn equip(tests: &mut Command) -> Result<()> {
    packages::ensure()?;
    packages::npm_ci("gateway/tests/contract")?;
    tests.env("CHATCLUSTER_API_TOOLS", tools()?);
    Ok(())
}

/// A Python environment of their own, made once in the cache.
fn tools() -> Result<PathBuf> {
    let folder = images::cache_dir().join("tools").join(TOOLS.join("+"));
    let done = folder.join("installed");
    if !done.exists() {
        println!("installing {} from PyPI", TOOLS.join(" and "));
        let place = folder.display().to_string();
        shell::run(shell::command("python3", &["-m", "venv", "--clear", &place]))
            .context("Python 3.10 or newer with venv is needed; on Debian: apt-get install python3-venv")?;
        let mut install = vec!["install", "--quiet", "--disable-pip-version-check"];
        install.extend(TOOLS);
        shell::run(shell::command(folder.join("bin/pip"), &install))?;
        std::fs::write(&done, "")?;
    }
    Ok(folder)
}
