//! The CA certificates of our programs' images.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// The folder of Debian's package `ca-certificates`. It is read instead of the machine's bundle, which may hold
/// authorities that only this machine trusts and that have no place in an image.
const FOLDER: &str = "/usr/share/ca-certificates/mozilla";

/// All public authorities as one PEM text, in the order of their file names.
///
/// # Errors
/// When the package is not installed.
pub fn bundle() -> Result<Vec<u8>, Error> {
    let folder = Path::new(FOLDER);
    let entries = fs::read_dir(folder).map_err(|_| Error::NoCertificates(folder.to_owned()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut bundle = Vec::new();
    for file in files {
        let text = fs::read(&file).map_err(Error::file(&file))?;
        bundle.extend_from_slice(&text);
        if !text.ends_with(b"\n") {
            bundle.push(b'\n');
        }
    }
    if bundle.is_empty() {
        return Err(Error::NoCertificates(folder.to_owned()));
    }
    Ok(bundle)
}
