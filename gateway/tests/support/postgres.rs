//! A PostgreSQL server on a port of its own.

use std::time::Duration;

use images::{
    backends::POSTGRESQL,
    servers::{Account, ServerRoot},
};
use tempfile::TempDir;

use super::{authority::Authority, eventually, free_port, process::Process, server_root};

pub struct Postgres {
    dir: TempDir,
    root: ServerRoot,
    port: u16,
    server: Option<Process>,
}

/// PostgreSQL refuses to run as root.
const ACCOUNT: Account = Account::App;

impl Postgres {
    /// Makes a cluster of databases, starts the server and waits until it answers.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = server_root(&POSTGRESQL);
        let owner = ACCOUNT.owner();
        std::os::unix::fs::chown(dir.path(), Some(owner.uid), Some(owner.gid))
            .expect("tests that need PostgreSQL run as root");
        let made = root
            .command(ACCOUNT, "initdb")
            .args(["-U", "postgres", "-A", "trust", "--no-sync", "-D"])
            .arg(dir.path().join("data"))
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut server = Self { dir, root, port: free_port(), server: None };
        server.up().await;
        server
    }

    /// Starts the server (again) and waits until it answers.
    pub async fn up(&mut self) {
        let mut command = self.root.command(ACCOUNT, "postgres");
        command
            .args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-k"])
            .arg(self.dir.path())
            .arg("-D")
            .arg(self.dir.path().join("data"));
        self.server = Some(Process::start(&mut command, &self.dir.path().join("log")));
        eventually("PostgreSQL answers", Duration::from_secs(60), async || {
            let port = self.port.to_string();
            let mut ready = self.root.command(ACCOUNT, "pg_isready");
            ready.args(["-q", "-h", "127.0.0.1", "-p", &port]).status().unwrap().success()
        })
        .await;
    }

    /// Speaks TLS from now on, by a certificate of this authority, and takes these users with certificates of it alone, whose common name is the user's.
    /// The superuser comes as before.
    pub fn demand_certificates(&self, authority: &Authority, users: &[&str]) {
        let data = self.dir.path().join("data");
        let identity = authority.server("127.0.0.1");
        let owner = ACCOUNT.owner();
        for (name, content) in [
            ("server.crt", identity.certificate),
            ("server.key", identity.key),
            ("clients.crt", authority.certificate()),
        ] {
            let path = data.join(name);
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            std::os::unix::fs::chown(&path, Some(owner.uid), Some(owner.gid)).unwrap();
        }
        let users = users.iter().map(|user| format!("hostssl all {user} 127.0.0.1/32 cert clientcert=verify-full\n"));
        let rules: String = users.chain(["host all postgres 127.0.0.1/32 trust\n".to_owned()]).collect();
        std::fs::write(data.join("pg_hba.conf"), rules).unwrap();
        self.query("postgres", "alter system set ssl_ca_file = 'clients.crt'");
        self.query("postgres", "alter system set ssl = on");
        self.query("postgres", "select pg_reload_conf()");
    }

    /// Takes this user by its password alone from now on. Others come as before.
    pub fn demand_password(&self, user: &str) {
        let rules = format!("host all {user} 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n");
        std::fs::write(self.dir.path().join("data/pg_hba.conf"), rules).unwrap();
        self.query("postgres", "select pg_reload_conf()");
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
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
        let asked = self
            .root
            .command(ACCOUNT, "psql")
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
