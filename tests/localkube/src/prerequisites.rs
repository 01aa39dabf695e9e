//! What this machine must have before a cluster can be built and started.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    command::{self, CommandError},
    files::{self, FileError},
};

/// Files that must exist, and the Debian package that brings each one. A name without a slash is looked for in `PATH`
/// and in the folders of system programs.
const NEEDED: &[(&str, &str)] = &[
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("/usr/lib/cni/ptp", "containernetworking-plugins"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("iptables", "iptables"),
    ("conntrack", "conntrack"),
    ("busybox", "busybox-static"),
    ("mmdebstrap", "mmdebstrap"),
    ("mount", "mount"),
    ("nsenter", "util-linux"),
    ("/etc/ssl/certs/ca-certificates.crt", "ca-certificates"),
];

const SYSTEM_FOLDERS: &[&str] = &["/usr/local/sbin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// While this file says 101, Debian's packages do not start their services when they are installed.
const SERVICE_POLICY: &str = "/usr/sbin/policy-rc.d";

/// Something the machine lacks that could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum PrerequisiteError {
    /// Not root.
    #[error("a cluster needs root: it makes network namespaces, mounts and cgroups; run the command with sudo")]
    NotRoot,
    /// No Go toolchain.
    #[error("Go 1.24 or newer is needed to build Kubernetes; get it from https://go.dev/dl and put `go` in PATH")]
    NoGo,
    /// No apt-get to install packages with.
    #[error("these Debian packages, or what they are called here, must be installed first: {0}")]
    NoApt(String),
    /// apt-get ended with an error.
    #[error("failed to install Debian packages")]
    Install(#[source] CommandError),
    /// The services of the packages could not be kept from starting.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The machine's tools.
#[derive(Debug)]
pub struct Prerequisites;

impl Prerequisites {
    /// Installs what is missing with `apt-get`, and says so on standard error. Services of the packages are not started.
    ///
    /// # Errors
    /// [`PrerequisiteError`] names what is missing and how to get it.
    pub fn ensure() -> Result<(), PrerequisiteError> {
        if !rustix::process::geteuid().is_root() {
            return Err(PrerequisiteError::NotRoot);
        }
        if find("go").is_none() {
            return Err(PrerequisiteError::NoGo);
        }
        let missing: Vec<&str> =
            NEEDED.iter().filter(|(file, _)| find(file).is_none()).map(|(_, package)| *package).collect();
        if missing.is_empty() { Ok(()) } else { install(&missing) }
    }
}

/// Finds a program, or checks the path of a file.
fn find(name: &str) -> Option<PathBuf> {
    if name.starts_with('/') {
        return Some(PathBuf::from(name)).filter(|path| path.exists());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(SYSTEM_FOLDERS.iter().map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn install(packages: &[&str]) -> Result<(), PrerequisiteError> {
    let list = packages.join(" ");
    if find("apt-get").is_none() {
        return Err(PrerequisiteError::NoApt(list));
    }
    eprintln!("installing the Debian packages {list} ...");
    let _policy = ServicePolicy::forbid_starts()?;
    if command::output(apt_get(&["install"]).args(packages)).is_ok() {
        return Ok(());
    }
    // Most often the package lists are older than the archive, or were never fetched.
    eprintln!("fetching the newest package lists first ...");
    command::output(&mut apt_get(&["update"])).map_err(PrerequisiteError::Install)?;
    command::output(apt_get(&["install"]).args(packages)).map_err(PrerequisiteError::Install)?;
    Ok(())
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(["-y", "-qq", "--no-install-recommends"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Keeps packages from starting their services for as long as it lives. A policy that the machine has already stays.
struct ServicePolicy {
    ours: bool,
}

impl ServicePolicy {
    fn forbid_starts() -> Result<Self, FileError> {
        let path = Path::new(SERVICE_POLICY);
        let ours = !path.exists();
        if ours {
            files::write_program(path, "#!/bin/sh\nexit 101\n")?;
        }
        Ok(Self { ours })
    }
}

impl Drop for ServicePolicy {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = std::fs::remove_file(SERVICE_POLICY)
        {
            eprintln!("warning: {SERVICE_POLICY} keeps services from starting and could not be removed: {error}");
        }
    }
}
