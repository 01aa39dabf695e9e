//! A PostgreSQL server of a test's own: from Debian's package, in a temporary folder, on a free port of loopback.

use std::{
    os::unix::fs::chown,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::port::free_port;

/// Superuser's password, to see that passwords are used at all.
pub(crate) const SUPERUSER_PASSWORD: &str = "super/secret@1";

pub(crate) struct Server {
    folder: TempDir,
    pub(crate) port: u16,
    process: Option<Child>,
}

/// Where the newest installed version keeps its programs.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|v| v.path().join("bin")).filter(|bin| bin.join("initdb").exists()).max();
    found.expect("PostgreSQL is not installed; this test needs it: apt-get install postgresql")
}

/// A program of PostgreSQL, as user postgres when the test runs as root, which PostgreSQL refuses.
fn command(program: &str) -> Command {
    let path = programs().join(program);
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(path);
    command
}

fn is_root() -> bool {
    id(&["-u"]) == 0
}

fn id(args: &[&str]) -> u32 {
    let output = Command::new("id").args(args).output().expect("id runs");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("id prints a number; is there a user postgres?")
}

impl Server {
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("chat-pg-").tempdir().expect("a temporary folder");
        if is_root() {
            chown(folder.path(), Some(id(&["-u", "postgres"])), Some(id(&["-g", "postgres"]))).expect("chown");
        }
        let password = folder.path().join("password");
        std::fs::write(&password, SUPERUSER_PASSWORD).expect("write the password");
        if is_root() {
            chown(&password, Some(id(&["-u", "postgres"])), None).expect("chown");
        }
        let made = command("initdb")
            .current_dir("/")
            .args(["-U", "postgres", "-A", "scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8", "-D"])
            .arg(folder.path().join("data"))
            .arg(format!("--pwfile={}", password.display()))
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut server = Self { folder, port: free_port(), process: None };
        server.resume();
        server
    }

    /// Starts the process and waits until it listens.
    pub(crate) fn resume(&mut self) {
        let log = std::fs::File::create(self.folder.path().join("log")).expect("a log file");
        let child = command("postgres")
            .current_dir("/")
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=60", "-p"])
            .arg(self.port.to_string())
            .arg("-k")
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("postgres starts");
        self.process = Some(child);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.ready() {
            assert!(Instant::now() < deadline, "postgres did not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn ready(&self) -> bool {
        let mut probe = Command::new(programs().join("pg_isready"));
        let probe = probe.args(["-q", "-h", "127.0.0.1", "-p"]).arg(self.port.to_string());
        probe.status().is_ok_and(|status| status.success())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Ends the process as a crash does: nothing is flushed.
    pub(crate) fn crash(&mut self) {
        let Some(mut child) = self.process.take() else { return };
        // The immediate mode of pg_ctl: the postmaster ends its children without a checkpoint, and leaves no orphan.
        let _ = Command::new("kill").args(["-QUIT", &child.id().to_string()]).status();
        let _ = child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.crash();
    }
}
