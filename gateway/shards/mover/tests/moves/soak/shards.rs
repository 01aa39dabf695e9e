//! Several databases on one or two servers, each a shard.

use std::path::{Path, PathBuf};

use chat_gateway::{migrate, store::postgres::PostgresStore};
use chat_gateway_config::GatewayConfig;
use chat_shard_mover::{MoveError, Shard};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, postgres::PgConnectOptions};
use tempfile::TempDir;

use crate::server::{SUPERUSER_PASSWORD, Server};

/// Enough for the gateways' sessions, the movers', and those that look.
const CONNECTIONS: u32 = 500;

pub(crate) struct Shards {
    pub(crate) servers: Vec<Server>,
    pub(crate) config: GatewayConfig,
    /// Slots that the first migration gave to each.
    pub(crate) given: Vec<usize>,
    _files: TempDir,
}

impl Shards {
    /// Shards `s00`, `s01` and so on, by turns on two servers.
    pub(crate) async fn start(count: usize, slots: u32) -> Self {
        Self::on(2, count, slots).await
    }

    /// The same on so many servers.
    pub(crate) async fn on(servers: usize, count: usize, slots: u32) -> Self {
        let mut started = Vec::new();
        for _ in 0..servers {
            let starting = tokio::task::spawn_blocking(|| {
                let mut server = Server::start();
                server.crash();
                server.max_connections = CONNECTIONS;
                server.resume();
                server
            });
            started.push(starting.await.expect("a server"));
        }
        // Nothing crashes while databases are made, and most of the time would go to waiting for the disk.
        is_synchronised(&started, false).await;
        let files = TempDir::new().expect("a temporary folder");
        let mut shards = Vec::new();
        for nth in 0..count {
            let name = format!("s{nth:02}");
            let port = started[nth % servers].port;
            let mut admin = PgConnection::connect(&uri("postgres", port, "postgres")).await.expect("connect");
            let create = format!("create database {name}");
            sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut admin).await.expect("create a database");
            let uri_file = write(files.path(), &name, &uri("chat_gateway", port, &name));
            let migration_uri_file = write(files.path(), &format!("{name}-owner"), &uri("postgres", port, &name));
            shards.push(serde_json::json!({
                "name": name, "uriFile": uri_file, "migrationUriFile": migration_uri_file,
            }));
        }
        let config: GatewayConfig = serde_json::from_value(serde_json::json!({
            "cluster": "test/soak",
            "listen": "127.0.0.1:0", "adminListen": "127.0.0.1:0", "adminTokenFile": "/none",
            "drainSeconds": 1, "maxConnections": 10,
            "limits": {"messagesPerSecond": 10, "messageBurst": 10, "messageBytes": 4096, "roomsPerConnection": 10},
            "auth": {"passwords": "Enabled", "signingKeyFile": "/none"},
            "broker": {"rabbitmq": {"uriFile": "/none"}},
            "redis": {"urlFile": "/none"},
            "database": {"slots": slots, "shards": shards},
        }))
        .expect("a configuration");
        let migrated = migrate::run(&config).await.expect("the first migration");
        is_synchronised(&started, true).await;
        let given = migrated.shards.iter().map(|shard| shard.given).collect();
        Self { servers: started, config, given, _files: files }
    }

    pub(crate) fn store(&self) -> PostgresStore {
        PostgresStore::start(&self.config)
    }

    pub(crate) fn count(&self) -> usize {
        self.config.database.shards.len()
    }

    /// A connection of the superuser.
    pub(crate) async fn admin(&self, index: usize) -> PgConnection {
        PgConnection::connect(&owner_uri(&self.config, index)).await.expect("connect")
    }
}

/// Whether servers wait for the disk.
async fn is_synchronised(servers: &[Server], does: bool) {
    for server in servers {
        let mut admin = PgConnection::connect(&uri("postgres", server.port, "postgres")).await.expect("connect");
        let sql = if does { "alter system reset fsync" } else { "alter system set fsync = off" };
        sqlx::raw_sql(sql).execute(&mut admin).await.expect("change a setting");
        sqlx::raw_sql("select pg_reload_conf()").execute(&mut admin).await.expect("take the setting");
    }
}

/// A mover's session.
pub(crate) async fn session(config: &GatewayConfig, index: usize) -> Result<Shard, MoveError> {
    let options: PgConnectOptions = owner_uri(config, index).parse().expect("a URI");
    Shard::connect(&config.database.shards[index].name, &options).await
}

fn owner_uri(config: &GatewayConfig, index: usize) -> String {
    let file = config.database.shards[index].migration_uri_file.as_ref().expect("a migration URI");
    std::fs::read_to_string(file).expect("the URI file")
}

fn uri(user: &str, port: u16, database: &str) -> String {
    let password = if user == "postgres" { SUPERUSER_PASSWORD } else { "gateway" };
    let password = password.replace('/', "%2F").replace('@', "%40");
    format!("postgresql://{user}:{password}@127.0.0.1:{port}/{database}?sslmode=disable")
}

fn write(folder: &Path, name: &str, uri: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, uri).expect("write the URI");
    path
}
