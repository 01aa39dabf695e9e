//! Three servers of Apache Kafka 4 that keep every partition three times, each broker and controller.

use chat_gateway_config::{Kafka as Config, SecurityProtocol};
use tempfile::TempDir;

use super::{
    free_port,
    kafka_program::{COMMON, format, server},
    server::Server,
};

const NODES: usize = 3;

pub struct KafkaCluster {
    servers: [Server; NODES],
    ports: [u16; NODES],
    dir: TempDir,
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
                 # One that was killed is missed, and may come back, this soon.\n\
                 broker.session.timeout.ms=2000\n\
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
        let mut node = 0..NODES;
        let servers = ports.map(|port| {
            let log = dir.path().join(format!("log-{}", node.next().unwrap_or_default()));
            Server::new("Kafka", log, vec![port])
        });
        let cluster = Self { servers, ports, dir };
        for node in 0..NODES {
            cluster.launch(node);
        }
        for server in &cluster.servers {
            server.listens().await;
        }
        cluster
    }

    fn launch(&self, node: usize) {
        let mut command = server(self.dir.path(), &format!("server-{node}.properties"));
        self.servers[node].launch(&mut command);
    }

    /// Starts a server again and waits until it serves.
    pub async fn up(&self, node: usize) {
        self.launch(node);
        self.servers[node].listens().await;
    }

    /// Ends a server with `TERM`, on which it hands its partitions over first, or with `KILL`.
    pub async fn end(&self, node: usize, signal: &str) {
        self.servers[node].end(signal).await;
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
            bootstrap_servers_file: None,
            client_certificate: None,
        }
    }
}
