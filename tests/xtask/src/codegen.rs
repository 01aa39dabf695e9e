//! Generated files: the CRDs and the documents of the protocol out of the Rust types, the reference of both charts' values, the page out of its
//! TypeScript, and the lock file of the workspace that fuzzes.

use std::{collections::BTreeMap, ffi::OsString, fs, path::Path};

use anyhow::{Context as _, Result, bail};

use crate::{fuzz, helm_values, packages, paths, shell};

/// Writes the generated files, or compares them with what would be written.
pub(crate) fn run(check: bool) -> Result<()> {
    // Without --package, so that dependencies keep the features that the whole workspace compiles them with.
    for generator in
        [["--bin", "crdgen"], ["--bin", "capacitygen"], ["--example", "metricsgen"], ["--example", "apigen"]]
    {
        let mut run = vec!["run", "--quiet"];
        run.extend(generator);
        run.push("--");
        if check {
            run.push("--check");
        }
        shell::run(shell::cargo(&run))?;
    }
    helm_values::run(check)?;
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

/// Compiles the page beside its place, so that files that stay the same keep their times: the gateway contains them, and would be compiled anew.
fn page(check: bool) -> Result<()> {
    npm_ci()?;
    let web = paths::root().join("gateway/web");
    let (dist, made) = (web.join("dist"), web.join("node_modules/.dist"));
    if made.exists() {
        fs::remove_dir_all(&made)?;
    }
    let mut build = shell::command("npm", &["run", "--silent", "build", "--", "--outDir", "node_modules/.dist"]);
    build.current_dir(&web);
    shell::run(build)?;
    let (before, after) = (files(&dist)?, files(&made)?);
    if check && before != after {
        bail!("gateway/web/dist is out of date; run: cargo xtask codegen");
    }
    for (name, _) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
        fs::remove_file(dist.join(name))?;
    }
    for (name, content) in after.iter().filter(|(name, content)| before.get(*name) != Some(content)) {
        fs::write(dist.join(name), content)?;
    }
    Ok(())
}

/// Installs the page's development packages as the lock file says, once.
pub(crate) fn npm_ci() -> Result<()> {
    packages::npm_ci("gateway/web")
}

fn files(folder: &Path) -> Result<BTreeMap<OsString, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("failed to list {}", folder.display()))? {
        let entry = entry?;
        found.insert(entry.file_name(), fs::read(entry.path())?);
    }
    Ok(found)
}
