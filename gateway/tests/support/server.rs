//! Servers that a test takes away: killed, frozen, and started again on the same ports and data.

use std::{
    path::PathBuf,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{eventually, process::Process};

/// Time for a server to listen or to end, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(180);

/// A server's process, while there is one.
pub struct Server {
    name: &'static str,
    log: PathBuf,
    ports: Vec<u16>,
    process: Mutex<Option<Process>>,
}

impl Server {
    /// One that does not run yet: where its output goes, and the ports of loopback on which it will listen.
    pub fn new(name: &'static str, log: PathBuf, ports: Vec<u16>) -> Self {
        Self { name, log, ports, process: Mutex::default() }
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts it, without waiting.
    pub fn launch(&self, command: &mut Command) {
        *self.process() = Some(Process::start(command, &self.log));
    }

    /// Waits until it listens on all its ports; fails with its output when it ends instead.
    pub async fn listens(&self) {
        eventually(&format!("{} listens", self.name), PATIENCE, async || {
            let ended = self.process().as_mut().is_none_or(Process::ended);
            assert!(!ended, "{} ended: {}", self.name, self.log());
            for port in &self.ports {
                if tokio::net::TcpStream::connect(("127.0.0.1", *port)).await.is_err() {
                    return false;
                }
            }
            true
        })
        .await;
    }

    /// Sends it a signal and waits for its end.
    pub async fn end(&self, signal: &str) {
        let Some(mut process) = self.process().take() else { return };
        process.signal(signal);
        eventually(&format!("{} ends", self.name), PATIENCE, async || process.ended()).await;
    }

    /// Kills it with SIGKILL; nothing happens when it does not run.
    pub fn kill(&self) {
        if let Some(mut process) = self.process().take() {
            process.kill();
        }
    }

    /// Stops it where it stands.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Whether it runs.
    pub fn runs(&self) -> bool {
        self.process().as_mut().is_some_and(|process| !process.ended())
    }

    /// Id of the process.
    pub fn id(&self) -> u32 {
        self.process().as_ref().expect("the server runs").id()
    }

    /// Everything it printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn signal(&self, signal: &str) {
        self.process().as_ref().expect("the server runs").signal(signal);
    }
}

/// What one server or several provide together.
pub trait Service: Sized {
    /// Starts it and waits until it serves.
    async fn start() -> Self;

    /// Starts again what does not run, and waits until it serves.
    async fn up(&self);

    /// The servers without which it is away.
    fn servers(&self) -> Vec<&Server>;

    /// Kills all of it.
    fn kill(&self) {
        self.servers().into_iter().for_each(Server::kill);
    }

    /// Freezes all of it.
    fn freeze(&self) {
        self.servers().into_iter().for_each(Server::freeze);
    }

    /// Lets all of it go on.
    fn thaw(&self) {
        self.servers().into_iter().for_each(Server::thaw);
    }
}
