//! Where images are kept between runs, by a key made of everything that goes into them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::oci::BuiltImage;

/// Where this project keeps what is costly to make: `$CHATCLUSTER_CACHE`, else `$XDG_CACHE_HOME/chatcluster`, else
/// `~/.cache/chatcluster`.
#[must_use]
pub fn cache_dir() -> PathBuf {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    from("CHATCLUSTER_CACHE")
        .or_else(|| from("XDG_CACHE_HOME").map(|dir| dir.join("chatcluster")))
        .unwrap_or_else(|| from("HOME").unwrap_or_else(|| PathBuf::from("/root")).join(".cache/chatcluster"))
}

/// One image's place in the cache.
#[derive(Debug)]
pub struct Slot {
    folder: PathBuf,
    name: String,
    key: String,
}

#[derive(Serialize, Deserialize)]
struct Record {
    digest: String,
    size: u64,
}

impl Slot {
    /// The place for the image `name` with the given `key` in `folder`, which is made when absent.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(folder: PathBuf, name: &str, key: &str) -> Result<Self, Error> {
        fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        Ok(Self { folder, name: name.to_owned(), key: key.chars().take(16).collect() })
    }

    /// The path of the archive.
    #[must_use]
    pub fn archive(&self) -> PathBuf {
        self.folder.join(format!("{}-{}.tar", self.name, self.key))
    }

    /// The image, when it was kept whole.
    #[must_use]
    pub fn find(&self, reference: &str) -> Option<BuiltImage> {
        let record: Record = serde_json::from_slice(&fs::read(self.record()).ok()?).ok()?;
        let tar = self.archive();
        let whole = fs::metadata(&tar).ok()?.len() == record.size;
        whole.then(|| BuiltImage { reference: reference.to_owned(), tar, digest: record.digest, size: record.size })
    }

    /// Notes that the archive is whole, and removes what other keys of the same name left.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn keep(&self, image: &BuiltImage) -> Result<(), Error> {
        let record = Record { digest: image.digest.clone(), size: image.size };
        let text =
            serde_json::to_vec(&record).map_err(|error| Error::File { path: self.record(), source: error.into() })?;
        fs::write(self.record(), text).map_err(Error::file(self.record()))?;
        self.remove_others()
    }

    fn record(&self) -> PathBuf {
        self.archive().with_extension("json")
    }

    fn remove_others(&self) -> Result<(), Error> {
        for entry in fs::read_dir(&self.folder).map_err(Error::file(&self.folder))?.flatten() {
            let path = entry.path();
            if self.is_other(&path) {
                fs::remove_file(&path).map_err(Error::file(&path))?;
            }
        }
        Ok(())
    }

    /// Whether the path is an archive or record of this name with another key. Keys hold no dash, so names cannot be mixed up.
    fn is_other(&self, path: &Path) -> bool {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        stem.rsplit_once('-').is_some_and(|(name, key)| name == self.name && key != self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(slot: &Slot) -> BuiltImage {
        fs::write(slot.archive(), b"12345").unwrap();
        BuiltImage { reference: "r".to_owned(), tar: slot.archive(), digest: "sha256:1".to_owned(), size: 5 }
    }

    #[test]
    fn finds_only_whole_archives() {
        let folder = tempfile::tempdir().unwrap();
        let slot = Slot::new(folder.path().to_owned(), "redis", "aaaa").unwrap();
        assert_eq!(slot.find("r"), None);
        let built = image(&slot);
        slot.keep(&built).unwrap();
        assert_eq!(slot.find("r"), Some(built));
        fs::write(slot.archive(), b"123").unwrap();
        assert_eq!(slot.find("r"), None);
    }

    #[test]
    fn a_new_key_replaces_the_old_one_of_the_same_name_only() {
        let folder = tempfile::tempdir().unwrap();
        let old = Slot::new(folder.path().to_owned(), "chat-gateway", "aaaa").unwrap();
        let other = Slot::new(folder.path().to_owned(), "gateway", "cccc").unwrap();
        let new = Slot::new(folder.path().to_owned(), "chat-gateway", "bbbb").unwrap();
        for slot in [&old, &other, &new] {
            slot.keep(&image(slot)).unwrap();
        }
        assert!(old.find("r").is_none() && !old.archive().exists());
        assert!(other.find("r").is_some() && new.find("r").is_some());
    }
}
