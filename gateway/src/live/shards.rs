//! The folder that names the shards: a mounted Secret, with a file for each shard. The file's name is the shard's, its content the URI.
//!
//! Only the names are followed here: who connects to a shard reads its URI anew each time.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use chat_gateway_config::Shard;

use crate::settings::SettingsError;

/// Longest name of a shard, as in a ChatCluster.
const MAX_NAME: usize = 20;

/// The folder, and the shards that it named last.
#[derive(Debug)]
pub struct ShardsFolder {
    path: PathBuf,
    names: BTreeSet<String>,
    /// Those that were not there at the last look. A shard goes when it is missed twice: its loss is not what a moment of a volume's change decides.
    missed: BTreeSet<String>,
    /// Entries that were complained about.
    strange: BTreeSet<String>,
    trouble: Option<String>,
}

/// What has changed in a folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Shards that have come.
    pub(crate) come: Vec<Shard>,
    /// Names of shards that have gone.
    pub(crate) gone: Vec<String>,
}

impl ShardsFolder {
    /// Reads the folder for the first time.
    ///
    /// # Errors
    /// [`SettingsError::Shards`] when it cannot be read or names no shard: at its start a gateway has nothing better to go on with.
    pub fn open(path: PathBuf) -> Result<Self, SettingsError> {
        let fail = |problem: String| SettingsError::Shards { path: path.clone(), problem };
        let (names, strange) = read(&path).map_err(|error| fail(error.to_string()))?;
        if names.is_empty() {
            return Err(fail("it has no file that is named after a shard".to_owned()));
        }
        let mut folder = Self { path, names, missed: BTreeSet::new(), strange: BTreeSet::new(), trouble: None };
        folder.complain(strange);
        Ok(folder)
    }

    /// The shards that it named last, in the order of their names. They have no URI for migrations.
    #[must_use]
    pub fn shards(&self) -> Vec<Shard> {
        self.names.iter().map(|name| self.shard(name)).collect()
    }

    fn shard(&self, name: &str) -> Shard {
        Shard { name: name.to_owned(), uri_file: self.path.join(name), migration_uri_file: None }
    }

    /// Looks again. A folder that cannot be read, or names nobody, changes nothing: nobody takes the last shard away.
    pub(crate) fn look(&mut self) -> Change {
        let (names, strange) = match read(&self.path) {
            Ok((names, _)) if names.is_empty() => return self.keep("it names no shard any more".to_owned()),
            Ok(found) => found,
            Err(error) => return self.keep(error.to_string()),
        };
        self.trouble = None;
        self.complain(strange);
        let come: Vec<_> = names.difference(&self.names).map(|name| self.shard(name)).collect();
        let absent: BTreeSet<String> = self.names.difference(&names).cloned().collect();
        let gone: Vec<String> = absent.intersection(&self.missed).cloned().collect();
        self.missed = absent;
        self.names.extend(come.iter().map(|shard| shard.name.clone()));
        for name in &gone {
            self.names.remove(name);
            self.missed.remove(name);
        }
        Change { come, gone }
    }

    fn keep(&mut self, trouble: String) -> Change {
        if self.trouble.as_ref() != Some(&trouble) {
            tracing::warn!(folder = %self.path.display(), trouble, "the folder of shards is no use; the shards from before stay");
            self.trouble = Some(trouble);
        }
        self.missed.clear();
        Change::default()
    }

    fn complain(&mut self, strange: BTreeSet<String>) {
        for name in strange.difference(&self.strange) {
            tracing::warn!(
                folder = %self.path.display(),
                name,
                "ignored: a shard's name has 1 to {MAX_NAME} characters of a-z, 0-9 and, in between, the hyphen"
            );
        }
        self.strange = strange;
    }
}

/// Files that are named as shards may be, and those that are not. What is hidden, or is no file, is not looked at: a mounted Secret is made of links
/// to files in hidden folders.
fn read(folder: &Path) -> io::Result<(BTreeSet<String>, BTreeSet<String>)> {
    let (mut names, mut strange) = (BTreeSet::new(), BTreeSet::new());
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // A link to nowhere is a key that has just been taken out.
        let is_file = std::fs::metadata(entry.path()).is_ok_and(|found| found.is_file());
        if name.starts_with('.') || !is_file {
            continue;
        }
        if is_name(&name) {
            names.insert(name)
        } else {
            strange.insert(name)
        };
    }
    Ok((names, strange))
}

fn is_name(name: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [name.as_bytes().first(), name.as_bytes().last()];
    name.len() <= MAX_NAME
        && ends.into_iter().all(|end| end.is_some_and(plain))
        && name.bytes().all(|byte| plain(&byte) || byte == b'-')
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn names(folder: &ShardsFolder) -> Vec<String> {
        folder.shards().into_iter().map(|shard| shard.name).collect()
    }

    #[test]
    fn names_are_those_of_a_chatcluster() {
        let longest = "a".repeat(20);
        for name in ["a", "0", "shard-1", "a--b", &longest] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-a", "a-", "A", "a.b", "a_b", "é", &format!("{longest}a")] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn a_mounted_secret_is_read_through_its_links() {
        let dir = tempfile::tempdir().unwrap();
        let version = dir.path().join("..2026_01");
        fs::create_dir(&version).unwrap();
        symlink("..2026_01", dir.path().join("..data")).unwrap();
        for name in ["b", "a", "README.md"] {
            fs::write(version.join(name), "postgresql://x").unwrap();
            symlink(Path::new("..data").join(name), dir.path().join(name)).unwrap();
        }
        fs::create_dir(dir.path().join("folder")).unwrap();
        let mut folder = ShardsFolder::open(dir.path().to_owned()).unwrap();
        assert_eq!(names(&folder), ["a", "b"]);
        assert_eq!(folder.shards()[0].uri_file, dir.path().join("a"));
        assert_eq!(folder.strange.iter().collect::<Vec<_>>(), ["README.md"]);
        // The link is still there, and leads nowhere.
        fs::remove_file(version.join("b")).unwrap();
        folder.look();
        assert_eq!(folder.look().gone, ["b"]);
    }

    #[test]
    fn shards_come_at_once_and_go_when_they_are_missed_twice() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        fs::write(file("a"), "").unwrap();
        let mut folder = ShardsFolder::open(dir.path().to_owned()).unwrap();
        assert_eq!(folder.look(), Change::default());
        fs::write(file("b"), "").unwrap();
        assert_eq!(folder.look().come, [folder.shard("b")]);
        assert_eq!(folder.look(), Change::default());
        fs::remove_file(file("a")).unwrap();
        assert_eq!(folder.look(), Change::default());
        fs::write(file("a"), "").unwrap();
        assert_eq!(folder.look(), Change::default(), "it was away for a moment");
        fs::remove_file(file("a")).unwrap();
        assert_eq!(folder.look(), Change::default());
        assert_eq!(folder.look().gone, ["a"]);
        assert_eq!(names(&folder), ["b"]);
        fs::remove_file(file("b")).unwrap();
        for _ in 0..3 {
            assert_eq!(folder.look(), Change::default(), "nobody takes the last one away");
        }
        assert_eq!(names(&folder), ["b"]);
        fs::write(file("c"), "").unwrap();
        assert_eq!(folder.look().come, [folder.shard("c")]);
        assert_eq!(folder.look().gone, ["b"]);
    }

    #[test]
    fn at_the_start_an_empty_folder_is_an_error_that_names_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".hidden"), "").unwrap();
        for path in [dir.path().to_owned(), dir.path().join("absent")] {
            let error = ShardsFolder::open(path).unwrap_err().to_string();
            assert!(error.contains("CHAT_GATEWAY_SHARDS_DIR") && error.contains("database.shards"), "{error}");
        }
    }
}
