//! How much memory a process takes for itself while something happens to it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use super::process::Process;

/// What piles up does so for seconds.
const EVERY: Duration = Duration::from_millis(50);

/// Bytes that a process has for itself, files that it has mapped apart; 0 when it has ended.
pub fn resident(process: &Process) -> u64 {
    anonymous(process.id())
}

/// Looks again and again at a process' memory.
pub struct MemoryWatch {
    peak: Arc<AtomicU64>,
    looking: tokio::task::JoinHandle<()>,
}

impl MemoryWatch {
    /// Begins to watch a process that runs.
    pub fn start(process: &Process) -> Self {
        let (pid, peak) = (process.id(), Arc::<AtomicU64>::default());
        let looking = tokio::spawn({
            let peak = Arc::clone(&peak);
            async move {
                loop {
                    peak.fetch_max(anonymous(pid), SeqCst);
                    tokio::time::sleep(EVERY).await;
                }
            }
        });
        Self { peak, looking }
    }

    /// The most bytes that the process was seen to have for itself.
    pub fn peak(&self) -> u64 {
        self.peak.load(SeqCst)
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

fn anonymous(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB"));
    kilobytes.and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or(0) * 1024
}
