//! A small file system under a server's tables, that can be full.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::server::Server;

/// Enough for the tables of many cells.
const SIZE: &str = "384m";

/// Mounted until the value goes.
pub(crate) struct Disk {
    at: PathBuf,
}

impl Disk {
    /// Puts the tables of a server, which is started anew, on a file system of their own; what is written ahead of them stays where it is, since
    /// a server ends when there is no room for that.
    pub(crate) fn under(server: &mut Server) -> Self {
        server.crash();
        let at = server.data().join("base");
        let kept = server.data().join("base-kept");
        fs::rename(&at, &kept).expect("move the tables away");
        fs::create_dir(&at).expect("a place to mount at");
        let owner = fs::metadata(&kept).expect("the tables' folder");
        let options = format!("size={SIZE},mode=0700,uid={},gid={}", owner.uid(), owner.gid());
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "chat-moves"]).arg(&at));
        let disk = Self { at: at.clone() };
        run(Command::new("cp").arg("-a").arg(kept.join(".")).arg(&at));
        fs::remove_dir_all(&kept).expect("forget the tables' old place");
        server.resume();
        disk
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }

    /// Takes every byte that is left.
    pub(crate) fn fill(&self) {
        // Ends with an error when there is no space left, which is what it is for.
        let _ = Command::new("dd")
            .args(["if=/dev/zero", "bs=64k", "status=none"])
            .arg(format!("of={}", self.ballast().display()))
            .status();
        let left = rustix::fs::statvfs(&self.at).expect("ask the file system").f_bavail;
        assert_eq!(left, 0, "the file system is not full");
    }

    /// Gives them back.
    pub(crate) fn relieve(&self) {
        fs::remove_file(self.ballast()).expect("remove the ballast");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the server may end after this.
        let _ = unmount(&self.at).status();
    }
}

fn unmount(at: &Path) -> Command {
    let mut command = Command::new("umount");
    command.arg("-l").arg(at);
    command
}

fn run(command: &mut Command) {
    let output = command.output().expect("the command runs");
    assert!(
        output.status.success(),
        "{command:?} failed; this test mounts a file system in memory and needs root with CAP_SYS_ADMIN: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
