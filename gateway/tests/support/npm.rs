//! Packages from npm that tests run in Node.js.

use std::{
    fs::{File, Metadata},
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

/// A folder of `gateway` with the packages that its lock file names: installed when they are absent or older than the file.
pub fn packages(path: &str) -> PathBuf {
    // Tests of one program run side by side, those of others may, and one installation at a time is enough.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _alone = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let lock = File::open(folder.join("package-lock.json")).unwrap();
    lock.lock().unwrap();
    if !current(&folder) {
        let install =
            Command::new("npm").args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(&folder).status();
        let installed = install.is_ok_and(|status| status.success());
        assert!(installed, "Node.js 20 or newer with npm is needed for {path}; on Debian: apt-get install nodejs npm");
    }
    folder
}

fn current(folder: &Path) -> bool {
    let written =
        |path: &str| -> Option<SystemTime> { folder.join(path).metadata().as_ref().map(Metadata::modified).ok()?.ok() };
    written("node_modules/.package-lock.json").is_some_and(|installed| Some(installed) >= written("package-lock.json"))
}
