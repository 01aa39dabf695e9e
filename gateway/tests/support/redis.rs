//! A Redis server on a port of its own.

use std::{path::PathBuf, process::Command, time::Duration};

use tempfile::TempDir;

use super::{eventually, free_port, process::Process, write_once};

pub struct Redis {
    dir: TempDir,
    port: u16,
    server: Option<Process>,
}

impl Redis {
    /// Starts a server and waits until it listens.
    pub async fn start() -> Self {
        let mut redis = Self { dir: tempfile::tempdir().unwrap(), port: free_port(), server: None };
        redis.up().await;
        redis
    }

    /// Starts the server (again) and waits until it listens.
    pub async fn up(&mut self) {
        let found = Command::new("redis-server").arg("--version").output();
        assert!(found.is_ok(), "Redis is needed: apt-get install --no-install-recommends redis-server");
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        command
            .args([
                "--port",
                &port,
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
                "--requirepass",
                "secret",
                "--dir",
            ])
            .arg(self.dir.path());
        self.server = Some(Process::start(&mut command, &self.dir.path().join("log")));
        eventually("Redis listens", Duration::from_secs(20), async || {
            tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok()
        })
        .await;
    }

    /// Kills the server with SIGKILL; it forgets everything.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
    }

    /// Freezes the server.
    pub fn freeze(&self) {
        self.server.as_ref().unwrap().signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.server.as_ref().unwrap().signal("CONT");
    }

    /// Writes a URL with this password to a file; the right one is `secret`.
    pub fn url_file(&self, password: &str) -> PathBuf {
        let path = self.dir.path().join(format!("url-{password}"));
        write_once(&path, &format!("redis://:{password}@127.0.0.1:{}\n", self.port));
        path
    }
}
