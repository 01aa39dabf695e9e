//! The folder that everything built or run here lives in, shared with the images.

use std::fs::File;

pub use images::cache_dir;

use crate::files::{self, FileError, failed_to};

/// Programs built from source, one folder per content.
pub(crate) const BINARIES: &str = "bin";
/// State of running clusters, one folder per cluster.
pub(crate) const CLUSTERS: &str = "clusters";
const LOCKS: &str = "locks";

/// Waits until no other process holds the lock of this name, and holds it until the returned file is dropped.
///
/// A lock is let go when its process ends, however it ends. The empty file stays: removing it could let two
/// processes hold the same lock.
pub(crate) fn lock(name: &str) -> Result<File, FileError> {
    let folder = cache_dir().join(LOCKS);
    files::make_folder(&folder)?;
    let path = folder.join(name);
    let file = File::create(&path).map_err(failed_to("open", &path))?;
    file.lock().map_err(failed_to("lock", &path))?;
    Ok(file)
}
