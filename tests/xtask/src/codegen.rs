//! Generated files: the CRDs and the documents of the protocol out of the Rust types, the page out of its TypeScript, and the lock file of the
//! workspace that fuzzes.

use anyhow::{Context as _, Result, bail};

use crate::{fuzz, packages, paths, shell};

/// Writes the generated files, or compares them with what would be written.
pub(crate) fn run(check: bool) -> Result<()> {
    // Without --package, so that dependencies keep the features that the whole workspace compiles them with.
    for generator in [["--bin", "crdgen"], ["--example", "apigen"]] {
        let mut run = vec!["run", "--quiet"];
        run.extend(generator);
        run.push("--");
        if check {
            run.push("--check");
        }
        shell::run(shell::cargo(&run))?;
    }
    fuzz_lock(check)?;
    page(check)
}

/// A workspace of its own has a lock file of its own, and cargo would say that a new dependency is not in it only when somebody fuzzes.
fn fuzz_lock(check: bool) -> Result<()> {
    let mut resolve =
        shell::cargo(&["metadata", "--format-version", "1", "--manifest-path", "gateway/fuzz/Cargo.toml"]);
    resolve.args(["--filter-platform", fuzz::MACHINE]).args(check.then_some("--locked"));
    shell::output(resolve)
        .map(drop)
        .context("gateway/fuzz/Cargo.lock may be out of date; cargo xtask codegen writes it anew")
}

fn page(check: bool) -> Result<()> {
    let web = paths::root().join("gateway/web");
    let dist = web.join("dist");
    let before = files(&dist)?;
    npm_ci()?;
    let mut build = shell::command("npm", &["run", "--silent", "build"]);
    build.current_dir(&web);
    shell::run(build)?;
    if check && files(&dist)? != before {
        bail!("gateway/web/dist is out of date; run: cargo xtask codegen");
    }
    Ok(())
}

/// Installs the page's development packages as the lock file says, once.
pub(crate) fn npm_ci() -> Result<()> {
    packages::npm_ci("gateway/web")
}

fn files(folder: &std::path::Path) -> Result<Vec<(std::ffi::OsString, Vec<u8>)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        found.push((entry.file_name(), std::fs::read(entry.path())?));
    }
    found.sort();
    Ok(found)
}
