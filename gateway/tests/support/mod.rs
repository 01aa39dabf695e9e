//! The real services that tests need, started as child processes on loopback and ended with the test: PostgreSQL, RabbitMQ and Redis out of the
//! images that a ChatCluster runs. A service that cannot be had fails the test with the command that gets it.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "every test program uses a part of this, and nothing else does"
)]

pub mod authority;
pub mod baseline;
pub mod behind;
pub mod collector;
pub mod kafka;
pub mod kafka_cluster;
mod kafka_program;
pub mod lone;
pub mod memory;
pub mod npm;
mod port;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod rabbitmq;
pub mod redis;
pub mod redis_cluster;
pub mod redis_sentinel;
pub mod redis_tls;
pub mod scene;
pub mod server;
pub mod stage;
pub mod told;
pub mod wallet;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use images::{backends::Recipe, servers::ServerRoot};
pub use port::free_port;

/// Whether the long forms of the tests are wanted (`CHATCLUSTER_LONG=1`).
pub fn is_long() -> bool {
    std::env::var("CHATCLUSTER_LONG").is_ok_and(|value| value == "1")
}

/// Waits until something holds, and fails with its name when it does not in time.
pub async fn eventually(what: &str, limit: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The servers of a backend's image.
pub fn server_root(recipe: &Recipe) -> ServerRoot {
    images::servers::server_root(recipe, &|line| println!("{line}")).unwrap_or_else(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        panic!(
            "the servers of {} are needed, which `cargo xtask servers` unpacks as root: {error} {cause}",
            recipe.name
        )
    })
}

/// Writes a file unless it has this content: a gateway that reads it at this moment must not find it half written.
pub fn write_once(path: &Path, content: &str) {
    if std::fs::read_to_string(path).is_ok_and(|there| there == content) {
        return;
    }
    std::fs::write(path, content).unwrap();
}
