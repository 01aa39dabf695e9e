//! SHA-256 of files, and the list of them that `sha256sum --check` reads.

use std::{fmt::Write as _, fs::File, io::Read as _, path::Path};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

/// Lower-case hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The same of a file, which may be larger than memory.
///
/// # Errors
/// It cannot be read.
pub(crate) fn sha256_of(path: &Path) -> Result<String> {
    let failed = || format!("failed to read {}", path.display());
    let mut file = File::open(path).with_context(failed)?;
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).with_context(failed)? {
            0 => return Ok(hex(&digest.finalize())),
            length => digest.update(&buffer[..length]),
        }
    }
}

/// One line a file, by name.
pub(crate) fn list(files: &[(String, String)]) -> String {
    let mut files: Vec<_> = files.iter().collect();
    files.sort();
    files.into_iter().map(|(name, sha256)| format!("{sha256}  {name}\n")).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
