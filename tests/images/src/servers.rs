//! The servers of the backends' images as programs of this machine: for tests that want the very versions that a ChatCluster gets, whatever
//! release of Debian the machine runs.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::accounts::APP;
use crate::backends::{self, Recipe};
use crate::build::{BuildOptions, build_backend};
use crate::cache::cache_dir;
use crate::error::Error;
use crate::layer::Owner;
use crate::unpack::unpack;

/// Enters the root in mounts of its own, which end with the program. Network and processes are the machine's, and so is the folder of
/// temporary files, under the same name.
const ENTER: &str = r#"
set -eu
root=$1 temporary=$2 account=$3
shift 3
mount --bind "$root" "$root"
mkdir -p "$root$temporary"
mount -o remount,bind,ro "$root"
mount --rbind /dev "$root/dev"
mount --rbind "$temporary" "$root$temporary"
mount -t proc proc "$root/proc"
exec chroot --userspec="$account" "$root" "$@"
"#;

/// Folders that are mounted over.
const MOUNT_POINTS: [&str; 3] = ["dev", "proc", "tmp"];

/// The unpacked root of a backend's image.
#[derive(Debug, Clone)]
pub struct ServerRoot {
    root: PathBuf,
    environment: &'static [&'static str],
}

/// Whom a server runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// Root.
    Root,
    /// [`APP`], as in a container.
    App,
}

impl Account {
    /// User and group id, for folders that it is to write to.
    #[must_use]
    pub fn owner(self) -> Owner {
        match self {
            Self::Root => Owner::ROOT,
            Self::App => APP,
        }
    }
}

/// Unpacks the roots of all backends that are not there yet; `progress` gets one line for each step that takes a while.
///
/// # Errors
/// As [`server_root`].
pub fn ensure_all(progress: &dyn Fn(&str)) -> Result<(), Error> {
    backends::ALL
        .iter()
        .chain(&[&backends::PROMETHEUS, &backends::PGBOUNCER])
        .try_for_each(|recipe| server_root(recipe, progress).map(drop))
}

/// The root of a backend: built and unpacked into the cache when it is not there, which takes some 20 seconds. Programs that ask at the same
/// time wait for the first.
///
/// # Errors
/// When the image cannot be built, or the root cannot be written.
pub fn server_root(recipe: &Recipe, progress: &dyn Fn(&str)) -> Result<ServerRoot, Error> {
    let folder = cache_dir().join("servers");
    fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    let lock = folder.join(format!("{}.lock", recipe.name));
    let file = File::create(&lock).map_err(Error::file(&lock))?;
    file.lock().map_err(Error::file(&lock))?;
    let image = build_backend(recipe, progress, &BuildOptions::default())?;
    let key: String = image.digest.chars().filter(char::is_ascii_alphanumeric).take(24).collect();
    let root = folder.join(format!("{}-{key}", recipe.name));
    if !root.exists() {
        // Whole or not at all: an interrupted copy must not look like a root.
        let draft = folder.join(format!("{}.unfinished", recipe.name));
        if draft.exists() {
            fs::remove_dir_all(&draft).map_err(Error::file(&draft))?;
        }
        unpack(&image, &draft)?;
        for point in MOUNT_POINTS {
            fs::create_dir_all(draft.join(point)).map_err(Error::file(draft.join(point)))?;
        }
        let hosts = draft.join("etc/hosts");
        fs::write(&hosts, "127.0.0.1 localhost\n").map_err(Error::file(&hosts))?;
        fs::rename(&draft, &root).map_err(Error::file(&root))?;
    }
    Ok(ServerRoot { root, environment: recipe.environment })
}

impl ServerRoot {
    /// A command that runs a program of the root, as its process and by its absolute path or a name on the image's `PATH`. It has the
    /// image's environment and the machine's folder of temporary files. Only root can start it.
    pub fn command(&self, account: Account, program: impl AsRef<OsStr>) -> Command {
        let owner = account.owner();
        let mut command = Command::new("unshare");
        command.args(["--mount", "/bin/sh", "-euc", ENTER, "enter"]);
        command.arg(&self.root).arg(std::env::temp_dir()).arg(format!("{}:{}", owner.uid, owner.gid)).arg(program);
        command.current_dir("/").envs(self.environment.iter().filter_map(|pair| pair.split_once('=')));
        command
    }

    /// Where it lies on this machine.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }
}
