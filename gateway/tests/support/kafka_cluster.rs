//! Three servers of Apache Kafka 4 that keep every partition three times, each broker and controller.

use std::{path::PathBuf, process::Command, time::Duration};

use chat_gateway_config::{Kafka as Config, SecurityProtocol};
use tempfile::TempDir;

use super::{
    eventually, free_port,
    kafka::{COMMON, format, java},
    process::Process,
};

const NODES: usize = 3;

pub struct KafkaCluster {
    dir: TempDir,
    ports: [u16; NODES],
    servers: [Option<Process>; NODES],
}

impl KafkaCluster {
    /// Formats storage, starts all servers and waits until they serve.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (ports, controllers) = ([0; NODES].map(|_| free_port()), [0; NODES].map(|_| free_port()));
        let voters: Vec<String> =
            (0..NODES).map(|node| format!("{}@127.0.0.1:{}", node + 1, controllers[node])).collect();
        for node in 0..NODES {
            let config = format!(
                "{COMMON}\
                 node.id={id}\n\
                 controller.quorum.voters={voters}\n\
                 listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
                 log.dirs={dir}/data-{node}\n\
                 min.insync.replicas=2\n",
                id = node + 1,
                voters = voters.join(","),
                port = ports[node],
                controller = controllers[node],
                dir = dir.path().display(),
            );
            let name = format!("server-{node}.properties");
            std::fs::write(dir.path().join(&name), config).unwrap();
            format(dir.path(), &name, &[]);
        }
        let mut cluster = Self { dir, ports, servers: [const { None }; NODES] };
        for node in 0..NODES {
            cluster.launch(node);
        }
        for node in 0..NODES {
            cluster.serves(node).await;
        }
        cluster
    }

    fn log(&self, node: usize) -> PathBuf {
        self.dir.path().join(format!("log-{node}"))
    }

    fn launch(&mut self, node: usize) {
        let mut command: Command = java(self.dir.path());
        command.args(["kafka.Kafka", &format!("server-{node}.properties")]);
        self.servers[node] = Some(Process::start(&mut command, &self.log(node)));
    }

    async fn serves(&mut self, node: usize) {
        let log = self.log(node);
        eventually("Kafka serves", Duration::from_secs(90), async || {
            let ended = self.servers[node].as_mut().is_some_and(Process::ended);
            assert!(!ended, "Kafka ended: {}", std::fs::read_to_string(&log).unwrap_or_default());
            tokio::net::TcpStream::connect(("127.0.0.1", self.ports[node])).await.is_ok()
        })
        .await;
    }

    /// Starts a server again and waits until it serves.
    pub async fn up(&mut self, node: usize) {
        self.launch(node);
        self.serves(node).await;
    }

    /// Ends a server with `TERM`, on which it hands its partitions over first, or with `KILL`.
    pub async fn end(&mut self, node: usize, signal: &str) {
        if let Some(mut server) = self.servers[node].take() {
            server.signal(signal);
            eventually("Kafka ends", Duration::from_secs(60), async || server.ended()).await;
        }
    }

    /// How to reach it: by its first two servers.
    pub fn config(&self) -> Config {
        Config {
            bootstrap_servers: self.ports.iter().take(2).map(|port| format!("127.0.0.1:{port}")).collect(),
            topic: None,
            partitions: 6,
            replication_factor: Some(3),
            security_protocol: SecurityProtocol::Plaintext,
            ca_file: None,
            sasl: None,
        }
    }
}
