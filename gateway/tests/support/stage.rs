//! A whole cluster without Kubernetes: PostgreSQL with two shards, a broker, Redis, and gateways as processes of their own.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use chat_gateway_config::{
    Auth, Broker, Database, GatewayConfig, Http, Limits, Passwords, Presence, RabbitMq as RabbitConfig,
    Redis as RedisConfig, SessionLimits, Shard, stats::GatewayStats,
};
use chat_test_client::accounts;
use tempfile::TempDir;

use super::{
    free_port, kafka::Kafka, postgres::Postgres, process::Process, rabbitmq::RabbitMq, redis::Redis,
    redis_cluster::RedisCluster, redis_sentinel::RedisSentinel, server::Service, write_once,
};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_chat-gateway");

/// A key for tests only.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

/// First token of the admin port.
pub const ADMIN_TOKEN: &str = "admin-token";

/// A broker, which can be taken away in every way.
pub trait BrokerService: Service {
    /// How gateways reach it.
    fn config(&self) -> Broker;
}

impl BrokerService for RabbitMq {
    fn config(&self) -> Broker {
        Broker::Rabbitmq(RabbitConfig::at(self.uri_file()))
    }
}

impl BrokerService for Kafka {
    fn config(&self) -> Broker {
        Broker::Kafka(Kafka::config(self))
    }
}

fn over_redis(url_file: PathBuf) -> Broker {
    Broker::RedisPubSub(RedisConfig::at(url_file))
}

impl BrokerService for Redis {
    fn config(&self) -> Broker {
        over_redis(self.url_file("secret"))
    }
}

impl BrokerService for RedisSentinel {
    fn config(&self) -> Broker {
        over_redis(self.url_file())
    }
}

impl BrokerService for RedisCluster {
    fn config(&self) -> Broker {
        over_redis(self.url_file())
    }
}

pub struct Stage<B = RabbitMq> {
    pub postgres: Postgres,
    pub broker: B,
    pub redis: Redis,
    dir: TempDir,
}

/// A gateway process.
pub struct Gateway {
    pub name: String,
    pub address: String,
    pub admin: String,
    pub process: Process,
    admin_token: PathBuf,
    log: PathBuf,
}

impl<B: BrokerService> Stage<B> {
    /// Starts all backends and migrates the shards.
    pub async fn start() -> Self {
        let stage = Self::unmigrated().await;
        let migrated = stage.migrate(Path::new(PROGRAM));
        assert!(migrated.status.success(), "{}{}", text(&migrated.stdout), text(&migrated.stderr));
        stage
    }

    /// Starts all backends, with databases that nobody has migrated.
    pub async fn unmigrated() -> Self {
        let (postgres, broker, redis) = tokio::join!(Postgres::start(), B::start(), Redis::start());
        for shard in ["shard_a", "shard_b"] {
            postgres.create_database(shard);
        }
        let dir = tempfile::tempdir().unwrap();
        Self { postgres, broker, redis, dir }
    }

    /// Migrates the shards by this program, to its end.
    pub fn migrate(&self, program: &Path) -> Output {
        let config = self.write_config("migrate", &self.config());
        Command::new(program).args(["migrate", "--config"]).arg(config).output().unwrap()
    }

    fn write(&self, name: &str, value: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        write_once(&path, value);
        path
    }

    /// The configuration of a gateway on ports that are free.
    pub fn config(&self) -> GatewayConfig {
        let shard = |name: &str| Shard {
            name: name.into(),
            uri_file: self.write(&format!("{name}-uri"), &self.postgres.uri("chat_gateway", "gateway-password", name)),
            migration_uri_file: Some(
                self.write(&format!("{name}-migration-uri"), &self.postgres.uri("postgres", "x", name)),
            ),
        };
        let local = || format!("127.0.0.1:{}", free_port()).parse().unwrap();
        GatewayConfig {
            cluster: "test/demo".into(),
            listen: local(),
            admin_listen: local(),
            agent_listen: None,
            live_file: None,
            admin_token_file: self.write("admin-token", &format!("{ADMIN_TOKEN}\n")),
            drain_seconds: 10,
            max_connections: 100,
            limits: Limits {
                messages_per_second: 5_000,
                message_burst: 5_000,
                message_bytes: 49_152,
                rooms_per_connection: 200,
            },
            auth: Auth {
                passwords: Passwords::Enabled,
                signing_key_file: self.write("key.pem", KEY),
                sessions: SessionLimits::default(),
                oidc: Vec::new(),
            },
            http: Http::default(),
            broker: self.broker.config(),
            redis: Some(RedisConfig::at(self.redis.url_file("secret"))),
            presence: Presence::default(),
            database: Database { slots: 64, shards: vec![shard("shard_a"), shard("shard_b")], embedded: None },
            tracing: None,
        }
    }

    /// Writes a configuration file.
    pub fn write_config(&self, name: &str, config: &GatewayConfig) -> PathBuf {
        self.write(&format!("{name}.json"), &serde_json::to_string_pretty(config).unwrap())
    }

    /// Starts a gateway; it may not be ready yet.
    pub fn gateway(&self, name: &str) -> Gateway {
        self.gateway_with(name, &self.config())
    }

    /// Starts a gateway with this configuration.
    pub fn gateway_with(&self, name: &str, config: &GatewayConfig) -> Gateway {
        self.gateway_of(Path::new(PROGRAM), name, config)
    }

    /// Starts a gateway of this program with this configuration.
    pub fn gateway_of(&self, program: &Path, name: &str, config: &GatewayConfig) -> Gateway {
        let file = self.write_config(name, config);
        let log = self.dir.path().join(format!("{name}.log"));
        let mut command = Command::new(program);
        command.args(["serve", "--name", name, "--config"]).arg(file).env("RUST_LOG", "info,krafka=error,lapin=error");
        Gateway {
            name: name.into(),
            address: config.listen.to_string(),
            admin: config.admin_listen.to_string(),
            process: Process::start(&mut command, &log),
            admin_token: config.admin_token_file.clone(),
            log,
        }
    }

    /// Starts a gateway and waits until it is ready.
    pub async fn ready_gateway(&self, name: &str) -> Gateway {
        let gateway = self.gateway(name);
        gateway.wait_ready().await;
        gateway
    }
}

impl Gateway {
    /// Status and text of a path on the admin port; 0 while nothing answers.
    pub async fn admin(&self, path: &str, token: Option<&str>) -> (u16, String) {
        match accounts::get(&self.admin, path, token).await {
            Ok((status, body)) => (status.as_u16(), String::from_utf8_lossy(&body).into_owned()),
            Err(_) => (0, String::new()),
        }
    }

    /// Waits until `/readyz` says so.
    pub async fn wait_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let (status, why) = self.admin("/readyz", None).await;
            if status == 200 {
                return;
            }
            assert!(Instant::now() < deadline, "{} is not ready: {why}\n{}", self.name, self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// `/stats`, by the token that the operator would show: the first of the file.
    pub async fn stats(&self) -> GatewayStats {
        let tokens = std::fs::read_to_string(&self.admin_token).unwrap();
        let (status, body) = self.admin("/stats", tokens.lines().next()).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Everything it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Writes any text as a configuration file outside a stage.
pub fn config_file(dir: &Path, content: &str) -> PathBuf {
    let path = dir.join("config.json");
    std::fs::write(&path, content).unwrap();
    path
}
