//! The WebSocket conformance suite: the cases of Autobahn, as kosoku from PyPI runs them, against the gateway's own transport.

use std::{
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{paths, shell, summary::Counts};

/// The suite.
const SUITE: &str = "kosoku==0.1.0";
/// Cases of the suite, compression left out: the gateway does not offer it.
const CASES: u64 = 301;
const START: Duration = Duration::from_secs(20);

pub(crate) fn run(counts: &mut Counts) -> Result<()> {
    let kosoku = tool()?;
    let server = Server::start()?;
    let report = paths::artifacts().join("rfc6455");
    let folder = report.display().to_string();
    let mut suite =
        shell::command(&kosoku, &["--exclude", "12.*", "--exclude", "13.*", "--outdir", &folder, &server.address]);
    suite.stdout(Stdio::null());
    shell::run(suite)?;
    judge(&report.join("index.json"), counts)
}

/// Adds the cases up and names those that failed; the whole suite counts as one test.
fn judge(index: &Path, counts: &mut Counts) -> Result<()> {
    let text = std::fs::read_to_string(index).with_context(|| format!("no report at {}", index.display()))?;
    let report: Value = serde_json::from_str(&text)?;
    let agents = report.as_object().context("the report is no object")?;
    let mut failed = Vec::new();
    let mut passed = 0;
    for (case, result) in agents.values().filter_map(Value::as_object).flatten() {
        let fits = |key: &str| matches!(result[key].as_str(), Some("OK" | "INFORMATIONAL" | "NON-STRICT"));
        if fits("behavior") && fits("behaviorClose") {
            passed += 1;
        } else {
            failed.push(format!("{case} ({}, close {})", result["behavior"], result["behaviorClose"]));
        }
    }
    println!("RFC 6455: {passed} of {CASES} cases passed; see {}", index.display());
    if !failed.is_empty() {
        bail!("{} cases failed: {}", failed.len(), failed.join(", "));
    }
    if passed != CASES {
        bail!("{passed} cases were run, {CASES} are in the suite");
    }
    counts.passed += 1;
    Ok(())
}

/// The echo server, ended with its owner.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start() -> Result<Self> {
        // Of the whole workspace, like every other build: another choice of packages means other features, and compiling most of it anew.
        shell::run(shell::cargo(&["build", "--workspace", "--locked", "--example", "echo"]))?;
        let program = std::env::current_exe()?.with_file_name("examples").join("echo");
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let mut command = shell::command(program, &[&address]);
        command.stdin(Stdio::piped());
        let server = Self { process: command.spawn().context("failed to start the echo server")?, address };
        let deadline = Instant::now() + START;
        while TcpStream::connect(&server.address).is_err() {
            if Instant::now() > deadline {
                bail!("the echo server did not listen within {} s", START.as_secs());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.process.stdin.take());
        self.process.wait().ok();
    }
}

/// The suite in a Python environment of its own, made once in the cache.
fn tool() -> Result<PathBuf> {
    let folder = images::cache_dir().join("tools").join(SUITE);
    let program = folder.join("bin/kosoku");
    if !program.exists() {
        println!("installing {SUITE} from PyPI");
        let place = folder.display().to_string();
        shell::run(shell::command("python3", &["-m", "venv", "--clear", &place]))
            .context("Python 3.10 or newer with venv is needed; on Debian: apt-get install python3-venv")?;
        let pip = folder.join("bin/pip");
        shell::run(shell::command(pip, &["install", "--quiet", "--disable-pip-version-check", SUITE]))?;
    }
    Ok(program)
}
