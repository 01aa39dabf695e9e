//! A Redis server on a port of its own.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use images::{backends::REDIS, servers::Account};
use redis::AsyncConnectionConfig;
use tempfile::TempDir;

use super::{
    authority::Authority,
    eventually, free_port,
    redis_tls::demands,
    server::{Server, Service},
    server_root, write_once,
};

pub struct Redis {
    server: Server,
    port: u16,
    dir: TempDir,
}

/// The server program.
pub fn redis_program() -> Command {
    server_root(&REDIS).command(Account::Root, "redis-server")
}

/// Options of a server that keeps nothing on disk but what it must, in this folder.
pub fn redis_options(dir: &Path, port: u16) -> Vec<OsString> {
    let (port, file) = (port.to_string(), format!("dump-{port}.rdb"));
    let options =
        ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--requirepass", "secret"];
    let kept = ["--dbfilename".into(), file.into(), "--dir".into(), dir.into()];
    options.into_iter().map(OsString::from).chain(kept).collect()
}

/// A connection as an administrator has it, by its own way. Tried again for a while: sentinels close everybody's connections when a server gets
/// another role, and a busy machine is slow to answer.
pub async fn admin(port: u16, password: &str) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(format!("redis://:{password}@127.0.0.1:{port}")).unwrap();
    let patience = Some(Duration::from_secs(20));
    let config = AsyncConnectionConfig::new().set_connection_timeout(patience).set_response_timeout(patience);
    let mut connection = None;
    eventually("an administrator is connected", Duration::from_secs(60), async || {
        connection = client.get_multiplexed_async_connection_with_config(&config).await.ok();
        connection.is_some()
    })
    .await;
    connection.unwrap()
}

impl Service for Redis {
    async fn start() -> Self {
        let (port, dir) = (free_port(), tempfile::tempdir().unwrap());
        let redis = Self { server: Server::new("Redis", dir.path().join("log"), vec![port]), port, dir };
        redis.up().await;
        redis
    }

    /// It has forgotten everything.
    async fn up(&self) {
        self.server.launch(redis_program().args(redis_options(self.dir.path(), self.port)));
        self.server.listens().await;
    }

    fn servers(&self) -> Vec<&Server> {
        vec![&self.server]
    }
}

impl Redis {
    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Speaks TLS on this port from now on, by a certificate of this authority, and takes nobody there without a certificate of one of those; they
    /// may be others than before.
    pub async fn demand_certificates(&self, port: u16, authority: &Authority, clients: &[&Authority]) {
        let mut command = redis::cmd("CONFIG");
        command.arg("SET").arg("tls-port").arg(port);
        for (name, value) in demands(self.dir.path(), authority, clients) {
            command.arg(name).arg(value);
        }
        command.query_async::<()>(&mut admin(self.port, "secret").await).await.unwrap();
    }

    /// Cuts everybody off but who asks for it.
    pub async fn cut_off(&self) {
        for kind in ["normal", "pubsub"] {
            let mut command = redis::cmd("CLIENT");
            command.arg("KILL").arg("TYPE").arg(kind).arg("SKIPME").arg("yes");
            command.query_async::<u64>(&mut admin(self.port, "secret").await).await.unwrap();
        }
    }

    /// A file with the right URL by way of TLS on this port.
    pub fn tls_url_file(&self, port: u16) -> PathBuf {
        let path = self.dir.path().join(format!("url-tls-{port}"));
        write_once(&path, &format!("rediss://:secret@127.0.0.1:{port}\n"));
        path
    }

    /// Writes a URL with this password to a file; the right one is `secret`.
    pub fn url_file(&self, password: &str) -> PathBuf {
        self.url_file_at(password, self.port)
    }

    /// The same, by way of another port.
    pub fn url_file_at(&self, password: &str, port: u16) -> PathBuf {
        let path = self.dir.path().join(format!("url-{password}-{port}"));
        write_once(&path, &format!("redis://:{password}@127.0.0.1:{port}\n"));
        path
    }
}
