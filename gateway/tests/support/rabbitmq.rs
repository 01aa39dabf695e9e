//! A RabbitMQ server on ports of its own, with an epmd of its own.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use super::{eventually, free_port, process::Process, write_once};

pub struct RabbitMq {
    dir: TempDir,
    port: u16,
    epmd_port: u16,
    dist_port: u16,
    server: Option<Process>,
    // Started here, and not by the server, since that one would outlive the server as a daemon. Dropped last.
    epmd: Process,
}

fn server_script() -> PathBuf {
    let base = Path::new("/usr/lib/rabbitmq/lib");
    std::fs::read_dir(base)
        .ok()
        .and_then(|mut entries| entries.find_map(|entry| Some(entry.ok()?.path().join("sbin/rabbitmq-server"))))
        .filter(|script| script.exists())
        .expect("RabbitMQ is needed: apt-get install --no-install-recommends rabbitmq-server")
}

impl RabbitMq {
    /// Starts a server and waits until it listens.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let epmd_port = free_port();
        let mut epmd = Command::new("epmd");
        epmd.args(["-port", &epmd_port.to_string(), "-address", "127.0.0.1"]);
        let epmd = Process::start(&mut epmd, &dir.path().join("epmd.log"));
        let mut server = Self { port: free_port(), dist_port: free_port(), epmd_port, dir, server: None, epmd };
        server.up().await;
        server
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write_config(&self) {
        let config = format!(
            "listeners.tcp.1 = 127.0.0.1:{}\nvm_memory_high_watermark.absolute = 512MB\ndisk_free_limit.absolute = 50MB\nlog.console = true\n",
            self.port
        );
        std::fs::write(self.path("rabbitmq.conf"), config).unwrap();
        std::fs::write(self.path("plugins"), "[].\n").unwrap();
    }

    /// Starts the server (again) and waits until it listens.
    pub async fn up(&mut self) {
        self.write_config();
        let mut command = Command::new(server_script());
        command
            .env("HOME", self.dir.path())
            .env("ERL_CRASH_DUMP", self.path("crash-dump"))
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", format!("test{}@localhost", self.port))
            .env("RABBITMQ_DIST_PORT", self.dist_port.to_string())
            .env("RABBITMQ_CONFIG_FILE", self.path("rabbitmq"))
            .env("RABBITMQ_MNESIA_BASE", self.path("mnesia"))
            .env("RABBITMQ_LOG_BASE", self.path("log"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", self.path("plugins"))
            .env("RABBITMQ_PID_FILE", self.path("pid"))
            .env("RABBITMQ_CONF_ENV_FILE", self.path("none"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 2:2 +sbwt none");
        let log = self.path("server.log");
        self.server = Some(Process::start(&mut command, &log));
        let port = self.port;
        eventually("RabbitMQ listens", Duration::from_secs(90), async || {
            let ended = self.server.as_mut().is_some_and(Process::ended);
            assert!(!ended, "RabbitMQ ended: {}", std::fs::read_to_string(&log).unwrap_or_default());
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        })
        .await;
    }

    /// Kills the server with SIGKILL.
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

    /// A URI with this password; the right one is `guest`.
    pub fn uri(&self, password: &str) -> String {
        format!("amqp://guest:{password}@127.0.0.1:{}/%2f", self.port)
    }

    /// A file with the right URI.
    pub fn uri_file(&self) -> PathBuf {
        let path = self.path("uri");
        write_once(&path, &self.uri("guest"));
        path
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        self.kill();
        self.epmd.kill();
    }
}
