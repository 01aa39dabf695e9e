//! The content of an image: a sorted tree of files that always gives the same tar archive.

use std::collections::BTreeMap;
use std::io::{Read, Result, Write};

use tar::{Archive, Builder, EntryType, Header};

/// Who owns a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Owner {
    /// The owner of everything that the program only reads.
    pub const ROOT: Self = Self { uid: 0, gid: 0 };
}

/// A tree of files, by path without a leading slash.
#[derive(Debug, Default)]
pub struct Layer {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    mode: u32,
    owner: Owner,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Directory,
    File(Vec<u8>),
    Symlink(String),
}

impl Layer {
    /// Reads the files of a tar archive for whose path (no leading `./`) `keep` says yes. Everything gets root as owner. Device
    /// nodes are left out, since the container engine makes them; hard links become copies, so that sorting cannot part
    /// a link from the file that it names.
    ///
    /// # Errors
    /// When the archive cannot be read.
    pub fn from_tar(reader: impl Read, keep: impl Fn(&str) -> bool) -> Result<Self> {
        let mut layer = Self::default();
        for entry in Archive::new(reader).entries()? {
            let mut entry = entry?;
            let path = normal(&entry.path()?.to_string_lossy());
            if path.is_empty() || !keep(&path) {
                continue;
            }
            let mode = entry.header().mode()? & 0o7777;
            let link = entry.link_name()?.map(|name| name.to_string_lossy().into_owned());
            match (entry.header().entry_type(), link) {
                (EntryType::Directory, _) => layer.directory(&path, mode, Owner::ROOT),
                (EntryType::Symlink, Some(target)) => layer.symlink(&path, &target),
                (EntryType::Link, Some(target)) => {
                    if let Some(original) = layer.entries.get(&normal(&target)).cloned() {
                        layer.insert(&path, original);
                    }
                }
                (EntryType::Regular, _) => {
                    let mut bytes = Vec::with_capacity(usize::try_from(entry.size()).unwrap_or(0));
                    entry.read_to_end(&mut bytes)?;
                    layer.file(&path, mode, bytes);
                }
                _ => {}
            }
        }
        Ok(layer)
    }

    /// Adds a folder, or changes the mode and owner of one.
    pub fn directory(&mut self, path: &str, mode: u32, owner: Owner) {
        self.insert(path, Entry { mode, owner, content: Content::Directory });
    }

    /// Adds a file of root, with its folders.
    pub fn file(&mut self, path: &str, mode: u32, bytes: Vec<u8>) {
        self.insert(path, Entry { mode, owner: Owner::ROOT, content: Content::File(bytes) });
    }

    /// Adds a symbolic link, with its folders.
    pub fn symlink(&mut self, path: &str, target: &str) {
        self.insert(path, Entry { mode: 0o777, owner: Owner::ROOT, content: Content::Symlink(target.to_owned()) });
    }

    /// Whether there is something at the path.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        self.entries.contains_key(path)
    }

    /// Writes the tar archive and gives the writer back.
    ///
    /// # Errors
    /// When `writer` fails.
    pub fn write<W: Write>(&self, writer: W) -> Result<W> {
        let mut archive = Builder::new(writer);
        for (path, entry) in &self.entries {
            let mut header = Header::new_gnu();
            header.set_mode(entry.mode);
            header.set_uid(u64::from(entry.owner.uid));
            header.set_gid(u64::from(entry.owner.gid));
            header.set_mtime(0);
            match &entry.content {
                Content::Directory => {
                    header.set_entry_type(EntryType::Directory);
                    header.set_size(0);
                    archive.append_data(&mut header, format!("{path}/"), std::io::empty())?;
                }
                Content::File(bytes) => {
                    header.set_entry_type(EntryType::Regular);
                    header.set_size(bytes.len() as u64);
                    archive.append_data(&mut header, path, bytes.as_slice())?;
                }
                Content::Symlink(target) => {
                    header.set_entry_type(EntryType::Symlink);
                    header.set_size(0);
                    archive.append_link(&mut header, path, target)?;
                }
            }
        }
        archive.into_inner()
    }

    fn insert(&mut self, path: &str, entry: Entry) {
        // Parents first: an engine that meets a file without its folder makes the folder with a mode of its own choice.
        for (end, _) in path.match_indices('/') {
            self.entries.entry(path[..end].to_owned()).or_insert(Entry {
                mode: 0o755,
                owner: Owner::ROOT,
                content: Content::Directory,
            });
        }
        self.entries.insert(path.to_owned(), entry);
    }
}

fn normal(path: &str) -> String {
    path.trim_start_matches("./").trim_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(bytes: &[u8]) -> Vec<String> {
        let mut archive = Archive::new(bytes);
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn order_of_insertion_does_not_show() {
        let mut one = Layer::default();
        one.file("b/two", 0o644, b"2".to_vec());
        one.file("a", 0o644, b"1".to_vec());
        let mut two = Layer::default();
        two.file("a", 0o644, b"1".to_vec());
        two.file("b/two", 0o644, b"2".to_vec());
        assert_eq!(one.write(Vec::new()).unwrap(), two.write(Vec::new()).unwrap());
    }

    #[test]
    fn folders_come_before_their_files() {
        let mut layer = Layer::default();
        layer.file("usr/local/bin/program", 0o755, Vec::new());
        assert_eq!(
            paths(&layer.write(Vec::new()).unwrap()),
            ["usr/", "usr/local/", "usr/local/bin/", "usr/local/bin/program"]
        );
    }

    #[test]
    fn long_paths_and_links_survive() {
        let deep = format!("{}/file", "folder-with-a-long-name/".repeat(8).trim_end_matches('/'));
        let mut layer = Layer::default();
        layer.file(&deep, 0o644, b"x".to_vec());
        layer.symlink("link", &deep);
        let bytes = layer.write(Vec::new()).unwrap();
        let again = Layer::from_tar(bytes.as_slice(), |_| true).unwrap();
        assert!(again.contains(&deep));
        assert_eq!(again.write(Vec::new()).unwrap(), bytes);
    }

    #[test]
    fn from_tar_leaves_out_what_is_not_kept() {
        let mut layer = Layer::default();
        layer.file("keep/a", 0o644, Vec::new());
        layer.file("drop/b", 0o644, Vec::new());
        let bytes = layer.write(Vec::new()).unwrap();
        let kept = Layer::from_tar(bytes.as_slice(), |path| !path.starts_with("drop")).unwrap();
        assert_eq!(paths(&kept.write(Vec::new()).unwrap()), ["keep/", "keep/a"]);
    }
}
