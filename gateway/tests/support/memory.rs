//! By how much a process grows while something happens to it.

use super::process::Process;

/// A look at a process' memory; from it on the kernel notes the peak anew.
pub struct MemoryWatch {
    pid: u32,
    begin: u64,
}

impl MemoryWatch {
    /// Begins to watch a process that runs.
    pub fn start(process: &Process) -> Self {
        let pid = process.id();
        // "5" sets the peak back to what is resident now.
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
        Self { pid, begin: status(pid, "VmRSS:").expect("the kernel tells a process' memory") }
    }

    /// By how many bytes at most the resident memory exceeded that of the beginning; `None` when the process has ended.
    pub fn growth(&self) -> Option<u64> {
        Some(status(self.pid, "VmHWM:")?.saturating_sub(self.begin))
    }
}

fn status(pid: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB"))?;
    Some(kilobytes.parse::<u64>().ok()? * 1024)
}
