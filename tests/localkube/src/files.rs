//! File operations whose errors name the file.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action} {}", path.display())]
pub struct FileError {
    action: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Names the operation and the file in an I/O error.
pub(crate) fn failed_to<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> FileError + 'a {
    move |source| FileError { action, path: path.to_owned(), source }
}

/// Makes a folder and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(failed_to("make the folder", path))
}

/// Removes a folder with everything in it; none there is fine.
pub(crate) fn remove_folder(path: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(failed_to("remove the folder", path)),
    }
}

/// Reads a whole text file.
pub(crate) fn read(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(failed_to("read", path))
}

/// Writes a file in one step: a reader, or a crash, sees the old content or the new one and nothing in between.
pub(crate) fn write(path: &Path, content: &str) -> Result<(), FileError> {
    replace(path, content, 0o644)
}

/// Like [`write`], for a file that only its owner may read.
pub(crate) fn write_secret(path: &Path, content: &str) -> Result<(), FileError> {
    replace(path, content, 0o600)
}

/// Like [`write`], for a file that can be run.
pub(crate) fn write_program(path: &Path, content: &str) -> Result<(), FileError> {
    replace(path, content, 0o755)
}

fn replace(path: &Path, content: &str, mode: u32) -> Result<(), FileError> {
    let draft = path.with_extension("new");
    fs::write(&draft, content).map_err(failed_to("write", &draft))?;
    fs::set_permissions(&draft, fs::Permissions::from_mode(mode)).map_err(failed_to("set the mode of", &draft))?;
    fs::rename(&draft, path).map_err(failed_to("replace", path))
}
