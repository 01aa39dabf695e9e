//! An image's files on this machine.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::error::Error;
use crate::oci::BuiltImage;

/// Unpacks the only layer of an image of this crate into `root`, which is made when absent, with owners and permissions. Only root can.
///
/// # Errors
/// When the archive holds no layer, or something cannot be read or written.
pub fn unpack(image: &BuiltImage, root: &Path) -> Result<(), Error> {
    fs::create_dir_all(root).map_err(Error::file(root))?;
    let failed = |source| Error::Archive { image: image.reference.clone(), source };
    let file = File::open(&image.tar).map_err(Error::file(&image.tar))?;
    let mut archive = tar::Archive::new(file);
    for entry in archive.entries().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // Everything else in the archive is a page of JSON.
        if entry.size() > 100_000 {
            let mut layer = tar::Archive::new(entry);
            layer.set_preserve_ownerships(true);
            layer.set_preserve_permissions(true);
            return layer.unpack(root).map_err(failed);
        }
    }
    Err(failed(io::Error::new(io::ErrorKind::InvalidData, "the archive has no layer")))
}
