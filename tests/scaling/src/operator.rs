//! The operator as a process of this machine.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Longest start: the Lease of one that was killed is waited for.
const START: Duration = Duration::from_secs(30);

/// A running operator; it ends with this value, and with this program however that ends.
#[derive(Debug)]
pub(crate) struct Operator {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Operator {
    /// Starts it; what it logs goes to a file.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(program: &Path, kubeconfig: &Path, log: &Path) -> Result<Self> {
        let out = File::options().create(true).append(true).open(log)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        // The kernel ends it with this program, even when that is killed.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .args(["--listen", &address.to_string(), "--pod-namespace", "chat-system"])
            .env("KUBECONFIG", kubeconfig)
            // As the chart has it.
            .envs([("MALLOC_ARENA_MAX", "1"), ("MALLOC_TRIM_THRESHOLD_", "131072")])
            // A proxy of this machine cannot reach addresses that only this machine knows.
            .env("NO_PROXY", "*")
            .stdin(Stdio::null())
            .stderr(out.try_clone()?)
            .stdout(out)
            .spawn()
            .context("failed to start setpriv; on Debian: apt-get install util-linux")?;
        Ok(Self { child, address, log: log.to_owned() })
    }

    /// Waits until it leads.
    ///
    /// # Errors
    /// It ends or does not lead in time; the message has the end of its log.
    pub(crate) async fn wait_until_it_leads(&mut self) -> Result<()> {
        let deadline = Instant::now() + START;
        loop {
            let leads =
                self.metrics().await.is_ok_and(|text| text.lines().any(|line| line == "chat_operator_leader 1"));
            if leads {
                return Ok(());
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(5).collect();
                bail!("the operator does not lead ({ended:?}): {}", last.join("\n"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Its metrics, as Prometheus would read them.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn metrics(&self) -> Result<String> {
        let mut socket = TcpStream::connect(self.address).await?;
        socket.write_all(b"GET /metrics HTTP/1.0\r\nHost: operator\r\n\r\n").await?;
        let mut text = String::new();
        socket.read_to_string(&mut text).await?;
        Ok(text)
    }

    /// The sum of a metric over its labels.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn sum(&self, metric: &str) -> Result<f64> {
        let text = self.metrics().await?;
        let of = |line: &&str| line.starts_with(&format!("{metric}{{")) || line.starts_with(&format!("{metric} "));
        Ok(text.lines().filter(of).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
    }

    /// Its resident memory in bytes, and the most that it has had.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) fn memory(&self) -> Result<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kilobytes = |name: &str| -> Result<u64> {
            let line = status.lines().find(|line| line.starts_with(name)).context("the operator has ended")?;
            Ok(line.split_whitespace().nth(1).unwrap_or_default().parse::<u64>()? * 1024)
        };
        Ok((kilobytes("VmRSS:")?, kilobytes("VmHWM:")?))
    }

    /// Has it end as Kubernetes would, which gives the Lease back.
    ///
    /// # Errors
    /// It does not end.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let deadline = Instant::now() + START;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("the operator does not end");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // It may have ended by itself, which comes to the same.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
