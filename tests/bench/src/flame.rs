//! Flame graphs of a server: `perf` takes its stacks, inferno draws them.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

/// Stacks a second: prime, so that nothing that happens every so many milliseconds is seen too often or never.
const FREQUENCY: &str = "199";
/// How stacks are found: programs are built without frame pointers, so `perf` keeps so many bytes of each and unwinds them afterwards.
const UNWINDING: &str = "dwarf,16384";

/// A recording under way.
pub(crate) struct Recording {
    perf: Child,
    data: PathBuf,
    drawing: PathBuf,
}

impl Recording {
    /// Records a process for some seconds, to be drawn into a file.
    ///
    /// # Errors
    /// `perf` is not there.
    pub(crate) fn start(pid: u32, seconds: u64, drawing: &Path) -> Result<Self> {
        let data = drawing.with_extension("perf");
        let mut perf = Command::new("perf");
        perf.args(["record", "--quiet", "--freq", FREQUENCY, "--call-graph", UNWINDING])
            .args(["--pid", &pid.to_string(), "--output"])
            .arg(&data)
            .args(["--", "sleep", &seconds.to_string()])
            .stdin(Stdio::null());
        let perf = perf.spawn().context("perf is needed for flame graphs; on Debian: apt-get install linux-perf")?;
        Ok(Self { perf, data, drawing: drawing.to_owned() })
    }

    /// Waits for the end of the recording and draws it.
    ///
    /// # Errors
    /// `perf` may not record here (see `/proc/sys/kernel/perf_event_paranoid`), or inferno is not there.
    pub(crate) fn draw(mut self, title: &str) -> Result<()> {
        let status = self.perf.wait()?;
        ensure!(status.success(), "perf record ended with {status}; may this user record other processes?");
        eprintln!("  drawing {}", self.drawing.display());
        // Without the functions that were compiled into others: finding those takes minutes.
        let mut script = Command::new("perf")
            .args(["script", "--no-inline", "--input"])
            .arg(&self.data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut collapse = collapsed(script.stdout.take())?;
        let mut draw = Command::new("inferno-flamegraph");
        draw.args(["--title", title, "--countname", "samples", "--minwidth", "0.2", "--hash"]);
        draw.stdin(collapse.stdout.take().map_or_else(Stdio::null, Stdio::from)).stdout(File::create(&self.drawing)?);
        let drawn = draw.status().context(MISSING)?;
        let ended = [script.wait()?, collapse.wait()?, drawn];
        if !ended.iter().all(std::process::ExitStatus::success) {
            bail!("{} could not be drawn: {ended:?}", self.drawing.display());
        }
        std::fs::remove_file(&self.data)?;
        Ok(())
    }
}

const MISSING: &str = "inferno is needed for flame graphs; get it with: cargo install inferno --locked";

/// One line for each stack that was seen, with how often.
fn collapsed(script: Option<ChildStdout>) -> Result<Child> {
    let mut command = Command::new("inferno-collapse-perf");
    command.stdin(script.map_or_else(Stdio::null, Stdio::from));
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context(MISSING)
}
