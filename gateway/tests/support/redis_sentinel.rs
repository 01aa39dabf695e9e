//! A Redis primary and its replica, watched by three sentinels. Servers and sentinels have passwords of their own.

use std::{path::PathBuf, time::Duration};

use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

use super::{
    authority::Authority,
    eventually, free_port,
    redis::{admin, redis_options, redis_program},
    redis_tls::{demands, lines},
    server::{Server, Service},
    write_once,
};

/// Name of the service.
pub const SERVICE: &str = "chat";
/// Password of the sentinels; the servers' is `secret`.
pub const SENTINEL_PASSWORD: &str = "watchword";

const SENTINELS: usize = 3;

pub struct RedisSentinel {
    sentinels: Vec<Server>,
    servers: Vec<Server>,
    sentinel_ports: [u16; SENTINELS],
    ports: [u16; 2],
    /// Where sentinels, replicas and clients are told to go, if that is not the port itself.
    announced: [u16; 2],
    /// Ports of the sentinels, and settings of everybody, where all of them speak TLS.
    encrypted: Option<([u16; SENTINELS], String)>,
    dir: TempDir,
}

impl Service for RedisSentinel {
    async fn start() -> Self {
        let ports = [free_port(), free_port()];
        Self::start_on(ports, ports).await
    }

    async fn up(&self) {
        for (server, port) in self.servers.iter().zip(self.ports) {
            if !server.runs() {
                let file = self.path(&format!("server-{port}.conf"));
                server.launch(redis_program().arg(file).args(redis_options(self.dir.path(), port)));
            }
        }
        for server in &self.servers {
            server.listens().await;
        }
    }

    fn servers(&self) -> Vec<&Server> {
        self.servers.iter().collect()
    }
}

impl RedisSentinel {
    /// Starts two servers on these ports, which send everybody to those others.
    pub async fn start_on(ports: [u16; 2], announced: [u16; 2]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), ports, announced, None).await
    }

    /// Starts servers and sentinels that this authority vouches for, and that take nobody without a certificate of it.
    pub async fn start_encrypted(authority: &Authority) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = format!("tls-replication yes\n{}", lines(&demands(dir.path(), authority, &[authority])));
        let encrypted = ([0; SENTINELS].map(|_| free_port()), settings);
        Self::start_in(dir, [0; 2].map(|_| free_port()), [0; 2].map(|_| free_port()), Some(encrypted)).await
    }

    async fn start_in(
        dir: TempDir,
        ports: [u16; 2],
        announced: [u16; 2],
        encrypted: Option<([u16; SENTINELS], String)>,
    ) -> Self {
        let sentinel_ports = [0; SENTINELS].map(|_| free_port());
        let server = |name, port: u16| Server::new(name, dir.path().join(format!("log-{port}")), vec![port]);
        let this = Self {
            sentinels: sentinel_ports.iter().map(|port| server("a sentinel", *port)).collect(),
            servers: ports.iter().map(|port| server("Redis", *port)).collect(),
            sentinel_ports,
            ports,
            announced,
            encrypted,
            dir,
        };
        // The first is the primary to begin with.
        for (index, port) in this.ports.iter().enumerate() {
            let config = if index == 0 { String::new() } else { format!("replicaof 127.0.0.1 {}\n", announced[0]) };
            // Redis writes down here whose replica it is, so that it knows when it is started again.
            let config = match &this.encrypted {
                Some((_, settings)) => format!("{config}tls-port {}\n{settings}", announced[index]),
                None => config,
            };
            let config = format!(
                "{config}masterauth secret\nrepl-diskless-sync-delay 0\nreplica-announce-ip 127.0.0.1\nreplica-announce-port {}\n",
                announced[index]
            );
            std::fs::write(this.path(&format!("server-{port}.conf")), config).unwrap();
        }
        this.up().await;
        for (index, (server, port)) in this.sentinels.iter().zip(this.sentinel_ports).enumerate() {
            let tls = match &this.encrypted {
                Some((ports, settings)) => format!("tls-port {}\n{settings}", ports[index]),
                None => String::new(),
            };
            let config = format!(
                "{tls}port {port}\nbind 127.0.0.1\ndir {}\nrequirepass {SENTINEL_PASSWORD}\n\
                 sentinel monitor {SERVICE} 127.0.0.1 {} 2\nsentinel auth-pass {SERVICE} secret\n\
                 sentinel down-after-milliseconds {SERVICE} 1000\nsentinel failover-timeout {SERVICE} 4000\n",
                this.dir.path().display(),
                announced[0],
            );
            let file = this.path(&format!("sentinel-{port}.conf"));
            std::fs::write(&file, config).unwrap();
            server.launch(redis_program().arg(file).arg("--sentinel"));
        }
        for server in &this.sentinels {
            server.listens().await;
        }
        eventually("the sentinels know the replica and each other", Duration::from_secs(60), async || {
            for port in this.sentinel_ports {
                let mut question = redis::cmd("SENTINEL");
                let facts: std::collections::HashMap<String, String> = question
                    .arg("MASTER")
                    .arg(SERVICE)
                    .query_async(&mut admin(port, SENTINEL_PASSWORD).await)
                    .await
                    .unwrap();
                if (facts["num-slaves"].as_str(), facts["num-other-sentinels"].as_str()) != ("1", "2") {
                    return false;
                }
            }
            true
        })
        .await;
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The sentinels.
    pub fn sentinels(&self) -> &[Server] {
        &self.sentinels
    }

    /// Connections to both servers, past everything that a test put before them.
    pub async fn admins(&self) -> Vec<MultiplexedConnection> {
        futures::future::join_all(self.ports.map(|port| admin(port, "secret"))).await
    }

    /// Which server says that it is the primary; waits until exactly one does.
    pub async fn primary(&self) -> &Server {
        let mut found = None;
        eventually("there is one primary", Duration::from_secs(60), async || {
            let mut primaries = Vec::new();
            for (server, port) in self.servers.iter().zip(self.ports) {
                if server.runs() {
                    let role: Result<Vec<redis::Value>, _> =
                        redis::cmd("ROLE").query_async(&mut admin(port, "secret").await).await;
                    match role {
                        Ok(role) if role[0] == redis::Value::BulkString(b"master".to_vec()) => primaries.push(server),
                        Ok(_) => {}
                        // It gets another role at this moment.
                        Err(_) => return false,
                    }
                }
            }
            found = (primaries.len() == 1).then(|| primaries[0]);
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    /// A URL with these passwords of servers and sentinels, of this service.
    pub fn url(&self, password: &str, sentinel_password: &str, service: &str) -> String {
        let (scheme, ports) = match &self.encrypted {
            Some((ports, _)) => ("rediss-sentinel", *ports),
            None => ("redis-sentinel", self.sentinel_ports),
        };
        let hosts = ports.map(|port| format!("127.0.0.1:{port}")).join(",");
        format!("{scheme}://:{password}@{hosts}/{service}?sentinelPassword={sentinel_password}\n")
    }

    /// A file with the right URL.
    pub fn url_file(&self) -> PathBuf {
        let path = self.path("url");
        write_once(&path, &self.url("secret", SENTINEL_PASSWORD, SERVICE));
        path
    }
}
