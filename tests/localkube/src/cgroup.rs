//! The cgroup of a cluster: every process of the cluster is born in it, and none can leave it unnoticed.
//!
//! That makes it the one reliable list of what runs: it holds after any crash, and it never names a process of
//! somebody else. Works on cgroup v1 (every hierarchy gets the folder, kubelet asks for that) and on v2.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::files::{self, FileError, failed_to};

/// The folder of the cluster's own programs, beside the folder that kubelet makes for pods.
const SYSTEM: &str = "system";
/// Killed processes and emptied groups are gone within milliseconds; a machine under load may need seconds.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

/// A cgroup operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// No cgroup file system is mounted.
    #[error("no cgroup file system is mounted under /sys/fs/cgroup")]
    NotMounted,
    /// A group's file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Killed processes that stay.
    #[error("processes of {} are still there after they were killed: {pids:?}", group.display())]
    Immortal {
        /// The group's folder.
        group: PathBuf,
        /// The processes that stay.
        pids: Vec<i32>,
    },
}

/// One mounted cgroup hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hierarchy {
    path: PathBuf,
    unified: bool,
    controllers: Vec<String>,
}

/// The cgroup of one cluster in all hierarchies.
#[derive(Clone, Debug)]
pub(crate) struct Cgroup {
    name: String,
    hierarchies: Vec<Hierarchy>,
    /// The hierarchy that tells which processes there are.
    tracker: PathBuf,
}

impl Cgroup {
    /// Looks up where groups are mounted; makes nothing.
    pub(crate) fn new(name: String) -> Result<Self, CgroupError> {
        let mounts = files::read(Path::new("/proc/self/mounts"))?;
        let hierarchies = hierarchies(&mounts);
        let with_pids = hierarchies.iter().find(|h| h.controllers.iter().any(|c| c == "pids"));
        let tracker = with_pids.or_else(|| hierarchies.iter().find(|h| h.unified)).ok_or(CgroupError::NotMounted)?;
        Ok(Self { name, tracker: tracker.path.clone(), hierarchies })
    }

    /// Makes the group.
    pub(crate) fn create(&self) -> Result<(), CgroupError> {
        let legacy = self.hierarchies.iter().any(|h| !h.unified);
        for hierarchy in self.hierarchies.iter().filter(|h| !legacy || !h.unified) {
            let group = hierarchy.path.join(&self.name);
            files::make_folder(&group)?;
            if hierarchy.unified {
                pass_controllers_on(&hierarchy.path)?;
                pass_controllers_on(&group)?;
            } else if hierarchy.controllers.iter().any(|c| c == "cpuset") {
                inherit_cpuset(&hierarchy.path, &group)?;
            }
        }
        files::make_folder(&self.tracker.join(&self.name).join(SYSTEM))?;
        Ok(())
    }

    /// The file that a process writes its number to in order to enter the group.
    pub(crate) fn entrance(&self) -> PathBuf {
        self.tracker.join(&self.name).join(SYSTEM).join("cgroup.procs")
    }

    /// Whether any process of the cluster runs.
    pub(crate) fn is_empty(&self) -> bool {
        members(&self.tracker.join(&self.name)).is_empty()
    }

    /// Kills every process of the cluster and removes the group.
    pub(crate) fn destroy(&self) -> Result<(), CgroupError> {
        let deadline = Instant::now() + PATIENCE;
        self.kill_all_but(None, deadline)?;
        for hierarchy in &self.hierarchies {
            remove(&hierarchy.path.join(&self.name), deadline)?;
        }
        Ok(())
    }

    /// Kills every process of the cluster, pods' too, but the one with the number `spared`.
    pub(crate) fn kill_others(&self, spared: i32) -> Result<(), CgroupError> {
        self.kill_all_but(Some(spared), Instant::now() + PATIENCE)
    }

    fn kill_all_but(&self, spared: Option<i32>, deadline: Instant) -> Result<(), CgroupError> {
        let group = self.tracker.join(&self.name);
        loop {
            let mut pids = members(&group);
            pids.retain(|pid| Some(*pid) != spared);
            if pids.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(CgroupError::Immortal { group, pids });
            }
            // Again and again: a process may have started another one between the look and the signal. One that has
            // ended meanwhile is what is wanted.
            for pid in pids.into_iter().filter_map(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
            thread::sleep(PAUSE);
        }
    }
}

fn hierarchies(mounts: &str) -> Vec<Hierarchy> {
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (path, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
            let unified = kind == "cgroup2";
            (unified || kind == "cgroup").then(|| Hierarchy {
                path: PathBuf::from(path),
                unified,
                controllers: if unified { Vec::new() } else { options.split(',').map(str::to_owned).collect() },
            })
        })
        .collect()
}

/// Processes of a group and of all groups below it. A group that is gone has none.
fn members(group: &Path) -> Vec<i32> {
    let mut found: Vec<i32> = fs::read_to_string(group.join("cgroup.procs"))
        .map(|text| text.lines().filter_map(|line| line.parse().ok()).collect())
        .unwrap_or_default();
    found.extend(subgroups(group).iter().flat_map(|below| members(below)));
    found
}

fn subgroups(group: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

/// Removes a group and those below it, and waits while the kernel still counts an ended process to it.
fn remove(group: &Path, deadline: Instant) -> Result<(), CgroupError> {
    for below in subgroups(group) {
        remove(&below, deadline)?;
    }
    loop {
        match fs::remove_dir(group) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < deadline => {
                thread::sleep(PAUSE);
            }
            Err(error) => return Err(failed_to("remove the cgroup", group)(error).into()),
        }
    }
}

/// A v1 cpuset takes no process before it has been told its processors and memory nodes.
fn inherit_cpuset(parent: &Path, group: &Path) -> Result<(), FileError> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let value = files::read(&parent.join(file))?;
        let path = group.join(file);
        fs::write(&path, value.trim()).map_err(failed_to("write", &path))?;
    }
    Ok(())
}

/// Lets the groups below use every controller that this group has.
fn pass_controllers_on(group: &Path) -> Result<(), FileError> {
    let available = files::read(&group.join("cgroup.controllers"))?;
    let path = group.join("cgroup.subtree_control");
    for controller in available.split_whitespace() {
        fs::write(&path, format!("+{controller}")).map_err(failed_to("write", &path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_legacy_and_unified_mounts() {
        let found = hierarchies(
            "tmpfs /run tmpfs rw 0 0\ncgroup /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0\n\
             cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
        );
        assert_eq!(found.len(), 2);
        assert!(!found[0].unified && found[0].controllers.contains(&"pids".to_owned()));
        assert!(found[1].unified && found[1].path == Path::new("/sys/fs/cgroup/unified"));
    }
}
