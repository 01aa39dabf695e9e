//! A Redis Cluster of three primaries, and of as many replicas as a test wants.

use std::{path::PathBuf, time::Duration};

use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

use super::{
    authority::Authority,
    eventually, free_port,
    redis::{admin, redis_options, redis_program},
    redis_tls::demands,
    server::{Server, Service},
    write_once,
};

/// Nodes that own slots at the start.
pub const PRIMARIES: usize = 3;
const SLOTS: u32 = 16_384;
const MINUTE: Duration = Duration::from_secs(60);

pub struct RedisCluster {
    servers: Vec<Server>,
    ports: Vec<u16>,
    /// Where clients are told to go, if that is not the port itself.
    announced: Vec<u16>,
    /// Settings of nodes whose announced ports speak TLS.
    encrypted: Option<Vec<(&'static str, String)>>,
    dir: TempDir,
}

impl Service for RedisCluster {
    async fn start() -> Self {
        Self::start_with(PRIMARIES).await
    }

    async fn up(&self) {
        for index in 0..self.ports.len() {
            if !self.servers[index].runs() {
                self.launch(index);
            }
        }
        for server in &self.servers {
            server.listens().await;
        }
        self.agrees().await;
    }

    fn servers(&self) -> Vec<&Server> {
        self.servers.iter().collect()
    }
}

impl RedisCluster {
    /// Starts so many nodes; those after the first three replicate one of these each.
    pub async fn start_with(nodes: usize) -> Self {
        let ports: Vec<u16> = (0..nodes).map(|_| free_port()).collect();
        Self::start_on(ports.clone(), ports).await
    }

    /// Starts nodes on these ports, which send clients to those others.
    pub async fn start_on(ports: Vec<u16>, announced: Vec<u16>) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), ports, announced, None).await
    }

    /// Starts nodes that this authority vouches for, and that take no client without a certificate of it.
    pub async fn start_encrypted(authority: &Authority) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = demands(dir.path(), authority, &[authority]);
        let ports = || (0..PRIMARIES).map(|_| free_port()).collect();
        Self::start_in(dir, ports(), ports(), Some(settings)).await
    }

    async fn start_in(
        dir: TempDir,
        ports: Vec<u16>,
        announced: Vec<u16>,
        encrypted: Option<Vec<(&'static str, String)>>,
    ) -> Self {
        let server = |port: &u16| Server::new("a node of Redis", dir.path().join(format!("log-{port}")), vec![*port]);
        let cluster = Self { servers: ports.iter().map(server).collect(), ports, announced, encrypted, dir };
        for index in 0..cluster.ports.len() {
            cluster.launch(index);
        }
        for server in &cluster.servers {
            server.listens().await;
        }
        cluster.join().await;
        cluster
    }

    fn launch(&self, index: usize) {
        let (port, announced) = (self.ports[index], self.announced[index]);
        let mut command = redis_program();
        command.args(redis_options(self.dir.path(), port));
        command.args(["--masterauth", "secret", "--repl-diskless-sync-delay", "0", "--cluster-enabled", "yes"]);
        command.args(["--cluster-config-file", &format!("nodes-{port}.conf"), "--cluster-node-timeout", "1500"]);
        // The usual bus port, 10,000 above, may be another's.
        command.args(["--cluster-port", &self.bus(index).to_string()]);
        let (announced, announce) = (announced.to_string(), ["--cluster-announce-ip", "127.0.0.1"]);
        command.args(announce);
        match &self.encrypted {
            None => command.args(["--cluster-announce-port", &announced]),
            Some(settings) => {
                command.args(["--tls-port", &announced, "--cluster-announce-tls-port", &announced]);
                command.args(settings.iter().flat_map(|(name, value)| [format!("--{name}"), value.clone()]))
            }
        };
        self.servers[index].launch(&mut command);
    }

    /// The bus port of a node: kept in a file, since it must stay.
    fn bus(&self, index: usize) -> u16 {
        let file = self.dir.path().join(format!("bus-{}", self.ports[index]));
        if let Ok(bus) = std::fs::read_to_string(&file) {
            return bus.parse().unwrap();
        }
        let bus = free_port();
        std::fs::write(file, bus.to_string()).unwrap();
        bus
    }

    /// A connection to a node, past everything that a test put before it.
    pub async fn node(&self, index: usize) -> MultiplexedConnection {
        admin(self.ports[index], "secret").await
    }

    async fn cluster<T: redis::FromRedisValue>(&self, index: usize, words: &[&str]) -> T {
        redis::cmd("CLUSTER").arg(words).query_async(&mut self.node(index).await).await.unwrap()
    }

    /// The id of a node.
    pub async fn id(&self, index: usize) -> String {
        self.cluster(index, &["MYID"]).await
    }

    async fn join(&self) {
        let all = format!("cluster_known_nodes:{}", self.ports.len());
        eventually("the nodes know each other", MINUTE, async || {
            let info: String = self.cluster(0, &["INFO"]).await;
            if info.contains(&all) {
                return true;
            }
            // Again and again: a node forgets whom it met when the other does not answer within its timeout, as on a busy machine.
            for index in 1..self.ports.len() {
                let (port, bus) = (self.ports[index].to_string(), self.bus(index).to_string());
                self.cluster::<()>(0, &["MEET", "127.0.0.1", &port, &bus]).await;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
            false
        })
        .await;
        let primaries = PRIMARIES.min(self.ports.len());
        for index in 0..primaries {
            let first = SLOTS * u32::try_from(index).unwrap() / u32::try_from(primaries).unwrap();
            let end = SLOTS * (u32::try_from(index).unwrap() + 1) / u32::try_from(primaries).unwrap();
            self.cluster::<()>(index, &["ADDSLOTSRANGE", &first.to_string(), &(end - 1).to_string()]).await;
        }
        self.agrees().await;
        for index in primaries..self.ports.len() {
            let primary = self.id(index - primaries).await;
            eventually("a node knows its primary", MINUTE, async || {
                let mut command = redis::cmd("CLUSTER");
                command.arg("REPLICATE").arg(&primary).query_async::<()>(&mut self.node(index).await).await.is_ok()
            })
            .await;
        }
        for index in primaries..self.ports.len() {
            eventually("a replica is in step", MINUTE, async || {
                let role: Vec<redis::Value> =
                    redis::cmd("ROLE").query_async(&mut self.node(index).await).await.unwrap();
                role[0] == redis::Value::BulkString(b"slave".to_vec())
                    && role[3] == redis::Value::BulkString(b"connected".to_vec())
            })
            .await;
        }
        self.agrees().await;
    }

    /// Waits until every running node sees all slots covered, and as many nodes as there are.
    pub async fn agrees(&self) {
        let all = format!("cluster_known_nodes:{}", self.ports.len());
        eventually("the nodes agree", MINUTE, async || {
            for index in 0..self.ports.len() {
                if self.servers[index].runs() {
                    let info: String = self.cluster(index, &["INFO"]).await;
                    if !info.contains("cluster_state:ok") || !info.contains(&all) {
                        return false;
                    }
                }
            }
            true
        })
        .await;
    }

    /// Waits until a node owns slots.
    pub async fn owns_slots(&self, index: usize) {
        eventually("a replica takes over", MINUTE, async || {
            let role: Vec<redis::Value> = redis::cmd("ROLE").query_async(&mut self.node(index).await).await.unwrap();
            role[0] == redis::Value::BulkString(b"master".to_vec())
        })
        .await;
    }

    /// Gives slots of one node to another, as resharding does when the keys are over.
    pub async fn move_slots(&self, slots: std::ops::Range<u16>, from: usize, to: usize) {
        let (source, target) = (self.id(from).await, self.id(to).await);
        let mut nodes = Vec::new();
        // The new owner first, so that no moment is without one.
        for index in std::iter::once(to).chain((0..PRIMARIES).filter(|index| *index != to)) {
            nodes.push(self.node(index).await);
        }
        // A hundred at a time: each command alone makes a node write its configuration and wait for the disk.
        for slots in slots.collect::<Vec<_>>().chunks(100) {
            let set = |ways: &[(&str, &str)]| {
                let mut pipe = redis::pipe();
                for slot in slots {
                    for (way, whom) in ways {
                        pipe.cmd("CLUSTER").arg("SETSLOT").arg(slot).arg(way).arg(whom).ignore();
                    }
                }
                pipe
            };
            // Who imports a slot claims it with a newer epoch. Otherwise a node that has yet to hear of it may take it back with its next
            // ping, and give it away a moment later: then nobody owns it.
            set(&[("IMPORTING", &source), ("NODE", &target)]).query_async::<()>(&mut nodes[0]).await.unwrap();
            for node in &mut nodes[1..] {
                set(&[("NODE", &target)]).query_async::<()>(node).await.unwrap();
            }
        }
    }

    /// A URL with this password; the right one is `secret`.
    pub fn url(&self, password: &str) -> String {
        let hosts: Vec<String> = self.announced.iter().take(2).map(|port| format!("127.0.0.1:{port}")).collect();
        let scheme = if self.encrypted.is_some() { "rediss-cluster" } else { "redis-cluster" };
        format!("{scheme}://:{password}@{}\n", hosts.join(","))
    }

    /// A file with the right URL.
    pub fn url_file(&self) -> PathBuf {
        let path = self.dir.path().join("url");
        write_once(&path, &self.url("secret"));
        path
    }
}
