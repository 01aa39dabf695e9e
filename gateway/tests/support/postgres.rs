//! A PostgreSQL server on a port of its own.

use std::{path::PathBuf, process::Command, time::Duration};

use tempfile::TempDir;

use super::{eventually, free_port, process::Process};

pub struct Postgres {
    dir: TempDir,
    bin: PathBuf,
    port: u16,
    server: Option<Process>,
}

fn binaries() -> PathBuf {
    let base = "/usr/lib/postgresql";
    let mut found: Vec<PathBuf> = std::fs::read_dir(base)
        .map(|entries| {
            entries
                .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
                .filter(|bin| bin.join("postgres").exists())
                .collect()
        })
        .unwrap_or_default();
    found.sort();
    found.pop().expect("PostgreSQL is needed: apt-get install --no-install-recommends postgresql")
}

/// PostgreSQL refuses to run as root, so everything runs as the user of its package.
fn as_postgres(program: PathBuf) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

impl Postgres {
    /// Makes a cluster of databases, starts the server and waits until it answers.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bin = binaries();
        let owned = Command::new("chown").arg("postgres:postgres").arg(dir.path()).status().unwrap();
        assert!(owned.success(), "tests that need PostgreSQL run as root");
        let made = as_postgres(bin.join("initdb"))
            .current_dir("/")
            .args(["-U", "postgres", "-A", "trust", "--no-sync", "-D"])
            .arg(dir.path().join("data"))
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut server = Self { dir, bin, port: free_port(), server: None };
        server.up().await;
        server
    }

    /// Starts the server (again) and waits until it answers.
    pub async fn up(&mut self) {
        let mut command = as_postgres(self.bin.join("postgres"));
        command
            .current_dir("/")
            .args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-k"])
            .arg(self.dir.path())
            .arg("-D")
            .arg(self.dir.path().join("data"));
        self.server = Some(Process::start(&mut command, &self.dir.path().join("log")));
        let ready = self.bin.join("pg_isready");
        eventually("PostgreSQL answers", Duration::from_secs(60), async || {
            let port = self.port.to_string();
            Command::new(&ready).args(["-q", "-h", "127.0.0.1", "-p", &port]).status().unwrap().success()
        })
        .await;
    }

    /// Kills the server and its workers with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
    }

    /// Makes a database.
    pub fn create_database(&self, name: &str) {
        self.query("postgres", &format!("create database {name}"));
    }

    /// What a statement answers, a row a line.
    pub fn query(&self, database: &str, sql: &str) -> String {
        let asked = as_postgres(self.bin.join("psql"))
            .current_dir("/")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres", "--no-psqlrc", "-Atq"])
            .args(["-d", database, "-c", sql])
            .output()
            .unwrap();
        assert!(asked.status.success(), "{sql}: {}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8_lossy(&asked.stdout).into_owned()
    }

    /// A URI of a database.
    pub fn uri(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgresql://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }
}
