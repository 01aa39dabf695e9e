//! HAProxy out of its image, with the configuration that the operator renders.

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt as _,
    process::{Child, Command, Stdio},
    time::Duration,
};

use chat_operator::names::{path, port};
use images::{backends::HAPROXY, servers::Account};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::certificate::Mounted;

/// A process of HAProxy; it is killed when it is dropped.
pub(crate) struct HaProxy {
    child: Child,
    at: Ipv4Addr,
    dir: TempDir,
    certificate: Mounted,
}

impl HaProxy {
    pub(crate) fn start(at: Ipv4Addr, files: &BTreeMap<String, String>, dns: SocketAddr) -> Self {
        Self::start_with(at, files, dns, None)
    }

    /// With certificate and key.
    pub(crate) fn start_with(
        at: Ipv4Addr,
        files: &BTreeMap<String, String>,
        dns: SocketAddr,
        pair: Option<(&str, &str)>,
    ) -> Self {
        let root = images::servers::server_root(&HAPROXY, &|line| println!("{line}"))
            .unwrap_or_else(|error| panic!("HAProxy is needed, which `cargo xtask servers` unpacks as root: {error}"));
        let dir = tempfile::tempdir().unwrap();
        // It runs as another account than the test.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let here = dir.path().to_string_lossy();
        for (name, text) in files {
            // Folders of the container.
            let text = text.replace(path::TLS_DIR, &format!("{here}/tls")).replace(path::TIER_DIR, &here);
            fs::write(dir.path().join(name), text).unwrap();
        }
        let file = dir.path().join(path::TIER_FILE);
        let certificate = Mounted::at(&dir.path().join("tls"));
        if let Some((shown, key)) = pair {
            certificate.put(shown, key);
        }
        let log = File::create(dir.path().join("log")).unwrap();
        let child = root
            .command(Account::App, "/entrypoint.sh")
            .arg("-f")
            .arg(file)
            .env("LISTEN", at.to_string())
            .env("DNS_SERVER", dns.to_string())
            .env("DNS_DOMAIN", "chat.svc.cluster.local")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, at, dir, certificate }
    }

    /// Everything it printed.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Where clients connect to.
    pub(crate) fn clients(&self) -> SocketAddr {
        (self.at, u16::try_from(port::TIER_HTTP).unwrap()).into()
    }

    /// The same over TLS.
    pub(crate) fn clients_over_tls(&self) -> SocketAddr {
        (self.at, u16::try_from(port::TIER_HTTPS).unwrap()).into()
    }

    /// Where its certificate comes from.
    pub(crate) fn certificate(&self) -> &Mounted {
        &self.certificate
    }

    /// What stops a container of its image.
    pub(crate) fn stop(&self) {
        let pid = self.child.id().to_string();
        let signal = format!("-{}", HAPROXY.stop_signal);
        assert!(Command::new("kill").args([&signal, &pid]).status().unwrap().success());
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Status and text of a path on its own port; 0 while nothing answers.
    pub(crate) async fn ask(&self, path: &str) -> (u16, String) {
        let number = u16::try_from(port::TIER_OWN).unwrap();
        let Ok(mut stream) = TcpStream::connect((self.at, number)).await else { return (0, String::new()) };
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        let mut answer = String::new();
        if stream.write_all(request.as_bytes()).await.is_err() || stream.read_to_string(&mut answer).await.is_err() {
            return (0, String::new());
        }
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        (status, answer)
    }

    /// Lines of its metrics about the gateways that it knows.
    async fn metrics(&self, begin: &str) -> Vec<String> {
        let (_, text) = self.ask("/metrics?scope=server&no-maint").await;
        text.lines()
            .filter(|line| line.starts_with(begin) && line.contains("proxy=\"gateways\""))
            .map(str::to_owned)
            .collect()
    }

    /// Weights of the gateways that it knows, sorted.
    async fn weights(&self) -> Vec<u64> {
        let lines = self.metrics("haproxy_server_weight{").await;
        let mut weights: Vec<u64> = lines.iter().filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
        weights.sort_unstable();
        weights
    }

    /// Gateways that take somebody new, as far as it knows.
    pub(crate) async fn taking(&self) -> usize {
        let lines = self.metrics("haproxy_server_status{").await;
        lines.iter().filter(|line| line.contains("state=\"UP\"") && line.ends_with(" 1")).count()
    }

    /// Waits until the gateways have these weights, sorted.
    pub(crate) async fn wait_weights(&self, wanted: &[u64]) {
        let started = std::time::Instant::now();
        loop {
            let weights = self.weights().await;
            if weights == wanted {
                return;
            }
            let late = started.elapsed() > Duration::from_secs(60);
            assert!(!late, "weights {weights:?}, not {wanted:?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
