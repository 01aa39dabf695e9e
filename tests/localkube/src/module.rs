//! The Go modules beside this crate and the programs that are built from them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest as _, Sha256};

use crate::{
    command::{self, CommandError},
    files::{self, FileError, failed_to},
};

/// Options of every build: no C, so that the programs run in an empty image; no paths of this machine; no symbols.
const ENVIRONMENT: &[(&str, &str)] = &[("CGO_ENABLED", "0")];
const ARGUMENTS: &[&str] = &["build", "-trimpath", "-mod=readonly"];

/// Characters of the hash in a folder's name.
const HASH_LENGTH: usize = 16;

/// One Go module and what is built from it.
#[derive(Debug)]
pub(crate) struct Module {
    /// Folder under this crate's.
    pub(crate) folder: &'static str,
    /// What the user reads while it is built.
    pub(crate) announcement: &'static str,
    /// Value of `-ldflags`.
    pub(crate) link_flags: &'static str,
    /// Value of `-tags`; empty for none.
    pub(crate) tags: &'static str,
    /// Names of the programs and the Go packages that they are built from.
    pub(crate) programs: &'static [(&'static str, &'static str)],
}

impl Module {
    /// Builds the programs into a folder under `cache` that is named after everything they are made of, unless it is
    /// there, and returns it.
    ///
    /// # Errors
    /// [`ModuleError`] with what the Go compiler said.
    pub(crate) fn build(&self, cache: &Path, progress: &dyn Fn(&str)) -> Result<PathBuf, ModuleError> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(self.folder);
        let folder = cache.join(format!("{}-{}", self.folder, self.hash(&source)?));
        if folder.exists() {
            return Ok(folder);
        }
        progress(self.announcement);
        // Under another name until it is complete: a build that was interrupted must not look like a whole one.
        let draft = cache.join(format!("{}-unfinished", self.folder));
        files::remove_folder(&draft)?;
        files::make_folder(&draft)?;
        for (name, package) in self.programs {
            let mut go = Command::new("go");
            go.current_dir(&source).envs(ENVIRONMENT.iter().copied()).args(ARGUMENTS);
            if !self.tags.is_empty() {
                go.args(["-tags", self.tags]);
            }
            go.args(["-ldflags", self.link_flags, "-o"]).arg(draft.join(name)).arg(package);
            command::output(&mut go)?;
        }
        fs::rename(&draft, &folder).map_err(failed_to("rename", &draft))?;
        Ok(folder)
    }

    /// The folder into which Go has unpacked the module `path`, which this one requires.
    ///
    /// # Errors
    /// [`ModuleError`] with what Go said.
    pub(crate) fn unpacked(&self, path: &str) -> Result<PathBuf, ModuleError> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(self.folder);
        let mut go = Command::new("go");
        go.current_dir(source).args(["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", path]);
        Ok(PathBuf::from(command::output(&mut go)?.trim()))
    }

    fn hash(&self, source: &Path) -> Result<String, ModuleError> {
        let compiler = command::output(Command::new("go").current_dir(source).arg("version"))?;
        let mut hash = Sha256::new();
        hash.update(format!("{compiler}{ENVIRONMENT:?}{ARGUMENTS:?}{}{:?}", self.link_flags, self.programs));
        // Those without any keep the names that their folders have.
        if !self.tags.is_empty() {
            hash.update(self.tags);
        }
        for path in sources(source)? {
            let content = fs::read(&path).map_err(failed_to("read", &path))?;
            let name = path.strip_prefix(source).unwrap_or(&path);
            hash.update(format!("{} {}\n", name.display(), content.len()));
            hash.update(content);
        }
        let digits: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(digits[..HASH_LENGTH].to_owned())
    }
}

/// A module that could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// The compiler failed.
    #[error(transparent)]
    Go(#[from] CommandError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Every file of the module, in a fixed order.
fn sources(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed_to("list", folder))? {
        let path = entry.map_err(failed_to("list", folder))?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
