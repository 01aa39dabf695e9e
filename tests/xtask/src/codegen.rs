//! Generated files: the CRDs and the documents of the protocol out of the Rust types, and the page out of its TypeScript.

use anyhow::{Result, bail};

use crate::{packages, paths, shell};

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
    page(check)
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
