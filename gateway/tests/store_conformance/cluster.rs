//! Two shards with the schema, and stores on them.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use chat_gateway::{
    migrate,
    model::{RoomId, UserId},
    store::postgres::PostgresStore,
};
use chat_gateway_config::{GatewayConfig, Shard};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

use crate::server::{SUPERUSER_PASSWORD, Server};

/// Few enough that every slot is used, enough that both shards have many.
pub(crate) const SLOTS: u32 = 64;

pub(crate) struct Cluster {
    pub(crate) servers: [Server; 2],
    pub(crate) config: GatewayConfig,
    files: TempDir,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let first = tokio::task::spawn_blocking(Server::start);
        let second = tokio::task::spawn_blocking(Server::start);
        let servers = [first.await.expect("server a"), second.await.expect("server b")];
        let files = TempDir::new().expect("a temporary folder");
        let shards = vec![shard(files.path(), "a", servers[0].port), shard(files.path(), "b", servers[1].port)];
        let cluster = Self { servers, config: config(shards), files };
        let report = migrate::run(&cluster.config).await.expect("the first migration");
        let given: Vec<usize> = report.shards.iter().map(|s| s.given).collect();
        assert_eq!(given, [32, 32], "half of the slots each");
        cluster
    }

    pub(crate) fn store(&self) -> PostgresStore {
        PostgresStore::start(&self.config)
    }

    /// A connection of the superuser, who does by hand what a mover would do.
    pub(crate) async fn admin(&self, index: usize) -> PgConnection {
        let path = self.config.database.shards[index].migration_uri_file.clone().expect("a migration URI");
        connect(&path).await
    }

    /// A connection with the gateways' role.
    pub(crate) async fn gateway(&self, index: usize) -> PgConnection {
        connect(&self.config.database.shards[index].uri_file).await
    }

    /// Which of the two shards the first distribution gave an id to.
    pub(crate) fn home(id: Uuid) -> usize {
        usize::from(chat_shards::slot_of(id, SLOTS) >= 32)
    }

    pub(crate) fn room_on(index: usize) -> RoomId {
        std::iter::repeat_with(Uuid::now_v7).find(|id| Self::home(*id) == index).map(RoomId).expect("endless")
    }

    pub(crate) fn user_on(index: usize) -> UserId {
        std::iter::repeat_with(Uuid::now_v7).find(|id| Self::home(*id) == index).map(UserId).expect("endless")
    }

    pub(crate) fn uri_file(&self, name: &str, uri: &str) -> PathBuf {
        write_uri(self.files.path(), name, uri)
    }
}

async fn connect(path: &Path) -> PgConnection {
    let uri = std::fs::read_to_string(path).expect("the URI file");
    PgConnection::connect(&uri).await.expect("connect")
}

fn write_uri(folder: &Path, name: &str, uri: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, uri).expect("write the URI");
    path
}

pub(crate) fn admin_uri(port: u16) -> String {
    admin_uri_at(Ipv4Addr::LOCALHOST, port)
}

/// At an address that the server listens at, too.
pub(crate) fn admin_uri_at(host: Ipv4Addr, port: u16) -> String {
    let password = SUPERUSER_PASSWORD.replace('/', "%2F").replace('@', "%40");
    format!("postgresql://postgres:{password}@{host}:{port}/postgres?sslmode=disable")
}

pub(crate) fn gateway_uri(port: u16, password: &str) -> String {
    format!("postgresql://chat_gateway:{password}@127.0.0.1:{port}/postgres?sslmode=disable")
}

fn shard(folder: &Path, name: &str, port: u16) -> Shard {
    Shard {
        name: name.to_owned(),
        uri_file: write_uri(folder, &format!("{name}-uri"), &gateway_uri(port, "gate%2Fway")),
        migration_uri_file: Some(write_uri(folder, &format!("{name}-migration"), &admin_uri(port))),
    }
}

fn config(shards: Vec<Shard>) -> GatewayConfig {
    let shards = serde_json::to_value(shards).expect("shards");
    serde_json::from_value(serde_json::json!({
        "cluster": "test/demo",
        "listen": "127.0.0.1:0", "adminListen": "127.0.0.1:0", "adminTokenFile": "/none",
        "drainSeconds": 1, "maxConnections": 10,
        "limits": {"messagesPerSecond": 10, "messageBurst": 10, "messageBytes": 4096, "roomsPerConnection": 10},
        "auth": {"passwords": "Enabled", "signingKeyFile": "/none"},
        "broker": {"rabbitmq": {"uriFile": "/none"}},
        "redis": {"urlFile": "/none"},
        "database": {"slots": SLOTS, "shards": shards},
    }))
    .expect("a configuration")
}
