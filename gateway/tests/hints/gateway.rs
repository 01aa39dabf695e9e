//! Gateways as processes, each with a store of its own, and an operator that tells them of each other.

use std::{net::SocketAddr, process::Command, sync::Arc, time::Duration};

use chat_gateway::embedded;
use chat_gateway_config::{
    GatewayConfig,
    hints::{Peer, Peers},
    stats::GatewayStats,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::{
    raw::{Answer, call},
    support::{
        lone::{local, wait_ready},
        process::Process,
        stage::PROGRAM,
    },
};

/// How often a real operator asks.
pub(crate) const ROUND: Duration = Duration::from_secs(2);

/// A gateway as a process.
pub(crate) struct Gateway {
    pub(crate) process: Process,
    pub(crate) at: String,
    pub(crate) operated: Operated,
    _folder: TempDir,
}

/// What an operator knows of a gateway.
#[derive(Clone)]
pub(crate) struct Operated {
    /// Where clients reach it.
    pub(crate) address: String,
    admin: SocketAddr,
    bearer: Arc<str>,
}

impl Gateway {
    pub(crate) async fn start(name: &str, change: impl FnOnce(&mut GatewayConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = embedded::prepare(&folder.path().join("data"), local(), local()).unwrap();
        change(&mut config);
        config.validate().unwrap();
        let (file, log) = (folder.path().join("config.json"), folder.path().join("log"));
        std::fs::write(&file, serde_json::to_string(&config).unwrap()).unwrap();
        let mut command = Command::new(PROGRAM);
        let process = Process::start(command.args(["serve", "--name", name, "--config"]).arg(&file), &log);
        wait_ready(config.admin_listen, &log).await;
        let token = std::fs::read_to_string(&config.admin_token_file).unwrap();
        let operated = Operated {
            address: format!("ws://{}", config.listen),
            admin: config.admin_listen,
            bearer: format!("Bearer {}", token.trim()).into(),
        };
        Self { process, at: config.listen.to_string(), operated, _folder: folder }
    }

    /// What it says to a client that asks where to connect.
    pub(crate) async fn connect(&self, headers: &[(&str, &str)]) -> Answer {
        call(&self.at, "GET", "/v1/connect", headers, b"").await
    }
}

impl Operated {
    pub(crate) async fn order(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        call(&self.admin.to_string(), method, path, &[("authorization", &self.bearer)], body).await
    }

    pub(crate) async fn stats(&self) -> GatewayStats {
        serde_json::from_slice(&self.order("GET", "/stats", b"").await.body).unwrap()
    }

    /// Where the operator talks to it.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin
    }

    pub(crate) async fn learn(&self, peers: &Peers) {
        let body = serde_json::to_vec(peers).unwrap();
        let answer = self.order("PUT", "/peers", &body).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    /// One of those that a gateway is told of, which is no new one any more.
    pub(crate) async fn peer(&self) -> Option<Peer> {
        let peer = Peer::of(&self.stats().await, self.address.clone(), 0)?;
        Some(Peer { ready_seconds: 3_600, ..peer })
    }
}

/// Asks and tells round after round, until it is dropped.
pub(crate) struct Operator(JoinHandle<()>);

impl Operator {
    pub(crate) async fn start(gateways: Vec<Operated>) -> Self {
        round(&gateways).await;
        Self(tokio::spawn(async move {
            loop {
                tokio::time::sleep(ROUND).await;
                round(&gateways).await;
            }
        }))
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Asks all and tells all the same, but for those that have ended.
async fn round(gateways: &[Operated]) {
    let mut there = Vec::new();
    for gateway in gateways {
        if tokio::net::TcpStream::connect(gateway.admin).await.is_ok() {
            there.push(gateway);
        }
    }
    let answers = futures::future::join_all(there.iter().map(|gateway| gateway.peer())).await;
    let peers = Peers { gateways: answers.into_iter().flatten().collect() };
    futures::future::join_all(there.iter().map(|gateway| gateway.learn(&peers))).await;
}
