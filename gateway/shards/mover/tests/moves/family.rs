//! Processes that a test has started, and theirs.

use std::{fs, path::PathBuf};

use rustix::process::Signal;

/// To a process that this test has started; it may be gone.
pub(crate) fn signal_to(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// A server's processes, the first of all first.
pub(crate) fn family(parent: u32) -> Vec<u32> {
    let numbers =
        fs::read_dir("/proc").expect("/proc").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| {
        let status =
            fs::read_to_string(PathBuf::from("/proc").join(pid.to_string()).join("status")).unwrap_or_default();
        status.lines().any(|line| line.strip_prefix("PPid:").is_some_and(|of| of.trim() == parent.to_string()))
    };
    std::iter::once(parent).chain(numbers.filter(is_child)).collect()
}

/// SIGKILL to all of a server's processes; the first one is the caller's to wait for.
pub(crate) fn kill_family(first: u32) {
    // It starts no more of them while they are counted: one that is left holds on to the server's memory.
    signal_to(first, Signal::STOP);
    family(first).iter().for_each(|pid| signal_to(*pid, Signal::KILL));
}
