//! A PostgreSQL server for one measurement: as it is installed, with everything that makes commits durable on.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::peers::free_address;

const START: Duration = Duration::from_secs(60);
const MISSING: &str = "PostgreSQL with pgbench is needed; on Debian: apt-get install --no-install-recommends postgresql postgresql-contrib";

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Postgres {
    bin: PathBuf,
    address: SocketAddr,
    server: Child,
}

impl Postgres {
    /// Makes a cluster of databases in `folder`, which must be empty, and starts the server.
    ///
    /// # Errors
    /// It is not installed or does not come up.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let bin = binaries()?;
        if rustix::process::geteuid().is_root() {
            run(Command::new("chown").arg("postgres:postgres").arg(folder))?;
        }
        let data = folder.join("data");
        run(tool(&bin, "initdb").args(["-U", "postgres", "-A", "trust", "--no-sync", "-D"]).arg(&data))?;
        let address = free_address()?;
        let port = address.port().to_string();
        let log = std::fs::File::create(folder.join("log"))?;
        let server = tool(&bin, "postgres")
            .args(["-p", &port, "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-k"])
            .arg(folder)
            .arg("-D")
            .arg(&data)
            .stdout(log.try_clone()?)
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .context(MISSING)?;
        let server = Self { bin, address, server };
        let deadline = Instant::now() + START;
        while !server.client("pg_isready").arg("-q").status()?.success() {
            if Instant::now() > deadline {
                bail!("PostgreSQL does not answer: {}", std::fs::read_to_string(folder.join("log"))?);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// Runs SQL in a database.
    ///
    /// # Errors
    /// What `psql` said.
    pub(crate) fn run(&self, database: &str, sql: &str) -> Result<()> {
        run(self.client("psql").args(["-q", "-U", "postgres", "-d", database, "-c", sql]))
    }

    /// A URI of a database.
    pub(crate) fn uri(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgresql://{user}:{password}@{}/{database}", self.address)
    }

    /// Transactions a second of a `pgbench` script.
    ///
    /// # Errors
    /// What `pgbench` said.
    pub(crate) fn pgbench(&self, database: &str, script: &Path, clients: u32, seconds: u64) -> Result<f64> {
        let (clients, seconds) = (clients.to_string(), seconds.to_string());
        let output = self
            .client("pgbench")
            .args(["-n", "-U", "postgres", "-M", "prepared", "-j", "2", "-c", &clients, "-T", &seconds, "-f"])
            .arg(script)
            .arg(database)
            .output()
            .context(MISSING)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok());
        rate.with_context(|| format!("pgbench: {text}{}", String::from_utf8_lossy(&output.stderr)))
    }

    fn client(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.args(["-h", "127.0.0.1", "-p", &self.address.port().to_string()]).stdin(Stdio::null());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT: a fast shutdown that takes its workers along.
        if let Some(pid) = rustix::process::Pid::from_raw(self.server.id().cast_signed()) {
            // It may have ended by itself.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
        drop(self.server.wait());
    }
}

fn binaries() -> Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").context(MISSING)?;
    let mut found: Vec<PathBuf> = versions
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("postgres").exists() && bin.join("pgbench").exists())
        .collect();
    found.sort();
    found.pop().context(MISSING)
}

/// A program of the server, as the user it runs under; it refuses to run as root.
fn tool(bin: &Path, name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.current_dir("/").args(["--pdeathsig", "INT"]);
    if rustix::process::geteuid().is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.arg(bin.join(name));
    command
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("failed to start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
