//! A gateway on the embedded store, as a process that can be killed and started again over the same data.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use chat_gateway::embedded;
use chat_test_client::accounts;

use super::{eventually, free_port, process::Process, stage::PROGRAM};

const START: Duration = Duration::from_secs(60);

/// A loopback address with a port that was free a moment ago.
pub fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

/// Waits until a gateway says that it is ready; `log` is named when it does not.
pub async fn wait_ready(admin: SocketAddr, log: &Path) {
    eventually(&format!("ready, see {}", log.display()), START, async || {
        accounts::get(&admin.to_string(), "/readyz", None).await.is_ok_and(|(status, _)| status.is_success())
    })
    .await;
}

/// A gateway whose limits no load meets.
pub struct Lone {
    config: PathBuf,
    /// What it printed.
    pub log: PathBuf,
    /// Its admin port.
    pub admin: SocketAddr,
    /// Itself.
    pub process: Process,
}

impl Lone {
    /// Starts one with its data and files in `dir`.
    pub fn start(dir: &Path, listen: SocketAddr) -> Self {
        let admin = local();
        let mut config = embedded::prepare(&dir.join("data"), listen, admin).unwrap();
        config.limits.messages_per_second = 100_000;
        config.limits.message_burst = 100_000;
        let file = dir.join("config.json");
        std::fs::write(&file, serde_json::to_string(&config).unwrap()).unwrap();
        let log = dir.join("log");
        let process = Self::serve(&file, &log);
        Self { config: file, log, admin, process }
    }

    /// Starts one with this configuration.
    pub fn serve(config: &Path, log: &Path) -> Process {
        Process::start(Command::new(PROGRAM).arg("serve").arg("--config").arg(config), log)
    }

    /// Ends it with SIGKILL and starts it over the same data.
    pub fn kill_and_start(&mut self) {
        self.process.kill();
        self.process = Self::serve(&self.config, &self.log);
    }
}
