//! Memory and processor time of a process, from `/proc`.

use std::fs;

use anyhow::{Context as _, Result};

/// Resident bytes of a process.
///
/// # Errors
/// There is no such process here.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("no process {pid} here"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kilobytes: u64 = line.split_whitespace().nth(1).context("no number in VmRSS")?.parse()?;
    Ok(kilobytes * 1024)
}

/// Seconds of processor time that a process has used.
///
/// # Errors
/// There is no such process here.
pub(crate) fn processor_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("no process {pid} here"))?;
    // The command in parentheses may hold spaces; user and system time are the 12th and 13th field after it.
    let (_, fields) = stat.rsplit_once(')').context("an unreadable stat file")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    // Linux reports in units of 1/100 s on every platform we build for.
    Ok(ticks as f64 / 100.0)
}
