//! A PgBouncer between gateways and both shards, which gives each transaction another connection to the server.

use std::{
    fmt::Write as _,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use chat_gateway::{
    migrate::{self, MigrateError},
    store::{Store as _, postgres::PostgresStore},
};
use chat_gateway_config::GatewayConfig;
use images::{
    backends::PGBOUNCER,
    servers::{self, Account},
};
use tempfile::TempDir;

use crate::{cluster::Cluster, port::free_port, server};

/// Fewer connections than gateways make: they are shared.
const SERVER_CONNECTIONS: u32 = 4;

/// What a pooler does with what gateways ask for.
pub(crate) struct Settings {
    /// What it ignores of what a connection asks for.
    pub(crate) ignored: &'static str,
    /// How many prepared statements of a client it tells from those of others.
    pub(crate) prepared: u32,
}

impl Settings {
    /// As `docs/how-to/external-backends.md` has them.
    pub(crate) const fn documented() -> Self {
        Self { ignored: "extra_float_digits,options", prepared: 200 }
    }
}

/// A pooler that runs.
pub(crate) struct Pooler {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Pooler {
    pub(crate) fn start(cluster: &Cluster, settings: &Settings) -> Self {
        let folder = server::temporary();
        let port = free_port();
        let mut config = String::from("[databases]\n");
        for (name, server) in ["a", "b"].into_iter().zip(&cluster.servers) {
            writeln!(config, "{name} = host=127.0.0.1 port={} dbname=postgres", server.port).unwrap();
        }
        let Settings { ignored, prepared } = settings;
        let users = folder.path().join("users");
        let password = server::SUPERUSER_PASSWORD;
        std::fs::write(&users, format!("\"chat_gateway\" \"gate/way\"\n\"postgres\" \"{password}\"\n")).unwrap();
        write!(
            config,
            "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\n\
             auth_file = {}\npool_mode = transaction\ndefault_pool_size = {SERVER_CONNECTIONS}\nmax_client_conn = 200\n\
             max_prepared_statements = {prepared}\nignore_startup_parameters = {ignored}\n",
            users.display()
        )
        .unwrap();
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, config).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let process = program().arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let pooler = Self { process, port, _folder: folder };
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = std::fs::read_to_string(file.with_file_name("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "PgBouncer did not start: {log}");
            std::thread::sleep(Duration::from_millis(50));
        }
        pooler
    }

    /// The cluster's configuration with gateways' URIs through it, and those of the owner where they were.
    pub(crate) fn before(&self, cluster: &Cluster) -> GatewayConfig {
        let mut config = cluster.config.clone();
        for shard in &mut config.database.shards {
            let uri =
                format!("postgresql://chat_gateway:gate%2Fway@127.0.0.1:{}/{}?sslmode=disable", self.port, shard.name);
            shard.uri_file = cluster.uri_file(&format!("{}-pooled-{}", shard.name, self.port), &uri);
        }
        config
    }

    /// The URI of the owner of the first shard, through it.
    fn owner(&self) -> String {
        let password = server::SUPERUSER_PASSWORD.replace('/', "%2F").replace('@', "%40");
        format!("postgresql://postgres:{password}@127.0.0.1:{}/a?sslmode=disable", self.port)
    }
}

fn program() -> Command {
    let root = servers::server_root(&PGBOUNCER, &|line| println!("{line}"));
    root.expect("PgBouncer is needed, which `cargo xtask servers` unpacks as root").command(Account::App, "pgbouncer")
}

/// As the page tells who has a pooler to do.
pub(crate) async fn limit_statements(cluster: &Cluster) {
    for shard in 0..2 {
        sqlx::raw_sql("alter role chat_gateway set statement_timeout = '2500ms'")
            .execute(&mut cluster.admin(shard).await)
            .await
            .unwrap();
    }
}

/// Every pooler that would break something is refused when gateways start, with the way out.
pub(crate) async fn poolers_that_break_something_are_refused(cluster: &Cluster) {
    let refused = async |settings: Settings, words: &[&str]| {
        let pooler = Pooler::start(cluster, &settings);
        let store = PostgresStore::start(&pooler.before(cluster));
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let health = store.health().await;
            if health.iter().all(|shard| shard.component.reason == "InvalidSettings") {
                for word in words {
                    let told = &health[0].component.message;
                    assert!(told.contains(word), "{word}: {told}");
                }
                return;
            }
            assert!(Instant::now() < deadline, "{health:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    refused(Settings::documented(), &["statement_timeout", "alter role"]).await;
    limit_statements(cluster).await;
    refused(Settings { prepared: 0, ..Settings::documented() }, &["prepared", "max_prepared_statements"]).await;
    refused(
        Settings { ignored: "extra_float_digits", ..Settings::documented() },
        &["startup parameter", "ignore_startup_parameters"],
    )
    .await;
}

/// The migration and moves of slots keep locks for as long as a connection stands.
pub(crate) async fn the_owner_must_not_come_through_it(cluster: &Cluster, pooler: &Pooler) {
    let mut config = cluster.config.clone();
    config.database.shards[0].migration_uri_file = Some(cluster.uri_file("owner-pooled", &pooler.owner()));
    let error = migrate::run(&config).await.expect_err("refused");
    assert!(matches!(&error, MigrateError::Pooled { shard, .. } if shard == "a"), "{error}");
    assert!(error.to_string().contains("migrationUri"), "{error}");
}
