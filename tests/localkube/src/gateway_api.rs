//! The Gateway API's own definitions, out of its Go module; only tests of ways in want them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{binaries::BinariesError, command};

/// Folder of the module, and the module that it requires.
const FOLDER: &str = "gateway-api";
const MODULE: &str = "sigs.k8s.io/gateway-api";

/// Fetches the Gateway API's module; returns the folder with the definitions of its standard channel.
///
/// # Errors
/// As [`Binaries::build`](crate::Binaries::build).
pub fn gateway_api() -> Result<PathBuf, BinariesError> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
    let go = |args: &[&str]| {
        command::output(Command::new("go").current_dir(&source).args(args))
            .map_err(|source| BinariesError::Module { module: FOLDER, source: source.into() })
    };
    go(&["mod", "download", MODULE])?;
    let module = go(&["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", MODULE])?;
    Ok(Path::new(module.trim()).join("config/crd/standard"))
}
