//! A PostgreSQL server of a test's own: that of the image, in a temporary folder, on a free port of loopback.

use std::{
    fs::OpenOptions,
    io::Write as _,
    net::Ipv4Addr,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use images::{
    backends::POSTGRESQL,
    servers::{self, Account},
};
use tempfile::TempDir;

use crate::port::free_port;

/// Superuser's password, to see that passwords are used at all.
pub(crate) const SUPERUSER_PASSWORD: &str = "super/secret@1";

pub(crate) struct Server {
    folder: TempDir,
    pub(crate) port: u16,
    pub(crate) process: Option<Child>,
    /// From the next start on.
    pub(crate) max_connections: u32,
    /// Where it listens, from the next start on.
    addresses: Vec<Ipv4Addr>,
}

/// PostgreSQL refuses to run as root.
const ACCOUNT: Account = Account::App;

/// A program of the PostgreSQL that a ChatCluster runs.
pub(crate) fn command(program: &str) -> Command {
    let root = servers::server_root(&POSTGRESQL, &|line| println!("{line}"));
    root.expect("PostgreSQL is needed, which `cargo xtask servers` unpacks as root").command(ACCOUNT, program)
}

/// A temporary folder of the server's.
pub(crate) fn temporary() -> TempDir {
    let folder = tempfile::Builder::new().prefix("chat-pg-").tempdir().expect("a temporary folder");
    give(folder.path());
    folder
}

/// Gives a path to the server.
fn give(path: &Path) {
    let owner = ACCOUNT.owner();
    chown(path, Some(owner.uid), Some(owner.gid)).expect("this test runs as root");
}

impl Server {
    pub(crate) fn start() -> Self {
        let folder = temporary();
        let password = folder.path().join("password");
        std::fs::write(&password, SUPERUSER_PASSWORD).expect("write the password");
        give(&password);
        let made = command("initdb")
            .args(["-U", "postgres", "-A", "scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8", "-D"])
            .arg(folder.path().join("data"))
            .arg(format!("--pwfile={}", password.display()))
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut server = Self::in_folder(folder);
        server.resume();
        server
    }

    /// A server that does not run yet, whose data lie in the folder.
    pub(crate) fn in_folder(folder: TempDir) -> Self {
        Self { folder, port: free_port(), process: None, max_connections: 60, addresses: vec![Ipv4Addr::LOCALHOST] }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Listens at one more of this machine's addresses from the next start on, and lets in who comes from a range of addresses.
    #[allow(dead_code, reason = "most test programs keep to loopback")]
    pub(crate) fn listen_at(&mut self, address: Ipv4Addr, range: &str) {
        self.addresses.push(address);
        let rules = OpenOptions::new().append(true).open(self.data().join("pg_hba.conf"));
        writeln!(rules.expect("the server's rules"), "host all all {range} scram-sha-256").expect("one rule more");
    }

    /// Starts the process and waits until it listens.
    pub(crate) fn resume(&mut self) {
        let log = std::fs::File::create(self.folder.path().join("log")).expect("a log file");
        let addresses = self.addresses.iter().map(Ipv4Addr::to_string).collect::<Vec<_>>().join(",");
        let child = command("postgres")
            .arg("-D")
            .arg(self.data())
            .args([
                "-c",
                &format!("listen_addresses={addresses}"),
                "-c",
                &format!("max_connections={}", self.max_connections),
                "-p",
            ])
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
        let mut probe = command("pg_isready");
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
