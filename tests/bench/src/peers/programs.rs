//! Builds the peers' programs in the cache of this project, anew when their sources change.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

/// The folder of one peer's sources.
pub(super) fn sources(peer: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(peer)
}

/// The folder in the cache that `make` fills, named after the sources; made at most once.
pub(super) fn built(peer: &str, files: &[&str], make: impl FnOnce(&Path, &Path) -> Result<()>) -> Result<PathBuf> {
    let from = sources(peer);
    let mut hash = Sha256::new();
    for name in files {
        let path = from.join(name);
        hash.update(fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?);
    }
    let digits: String = hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let cache = images::cache_dir().join("bench");
    let folder = cache.join(format!("{peer}-{digits}"));
    if folder.exists() {
        return Ok(folder);
    }
    eprintln!("building {peer}");
    // Under another name until it is whole.
    let draft = cache.join(format!("{peer}-unfinished"));
    if draft.exists() {
        fs::remove_dir_all(&draft)?;
    }
    fs::create_dir_all(&draft)?;
    make(&from, &draft)?;
    fs::rename(&draft, &folder)?;
    Ok(folder)
}

/// Runs a tool to its end.
pub(super) fn run(command: &mut Command, missing: &str) -> Result<()> {
    let output = command.output().with_context(|| missing.to_owned())?;
    if !output.status.success() {
        bail!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
