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

/// Seconds of processor time that a process has used, all of its threads.
///
/// # Errors
/// There is no such process here.
pub(crate) fn processor_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("no process {pid} here"))?;
    // The command in parentheses may hold spaces; user and system time are the 12th and 13th field after it.
    let (_, fields) = stat.rsplit_once(')').context("an unreadable stat file")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| -> Result<u64> { Ok(fields.get(at).context("a short stat file")?.parse()?) };
    // Linux reports in units of 1/100 s on every platform we build for.
    Ok((ticks(11)? + ticks(12)?) as f64 / 100.0)
}

/// What a server and this program used of the processor between two moments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    server: f64,
    generator: f64,
    started: std::time::Instant,
}

/// Seconds of processor time, and seconds that passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// By the server.
    pub(crate) server: f64,
    /// By this program.
    pub(crate) generator: f64,
    /// Passed.
    pub(crate) wall: f64,
}

impl Meter {
    /// Starts measuring.
    ///
    /// # Errors
    /// The server has ended.
    pub(crate) fn start(server: u32) -> Result<Self> {
        let own = std::process::id();
        Ok(Self {
            server: processor_seconds(server)?,
            generator: processor_seconds(own)?,
            started: std::time::Instant::now(),
        })
    }

    /// What was used since.
    ///
    /// # Errors
    /// The server has ended.
    pub(crate) fn read(&self, server: u32) -> Result<Used> {
        Ok(Used {
            server: processor_seconds(server)? - self.server,
            generator: processor_seconds(std::process::id())? - self.generator,
            wall: self.started.elapsed().as_secs_f64(),
        })
    }
}
