//! The real services that tests need, started as child processes on loopback and ended with the test. A service that is not installed fails
//! the test with the command that gets it.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "every test program uses a part of this, and nothing else does"
)]

pub mod behind;
pub mod kafka;
pub mod kafka_cluster;
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
pub mod scene;
pub mod server;
pub mod stage;
pub mod told;

use std::{
    path::Path,
    time::{Duration, Instant},
};

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

/// Writes a file unless it has this content: a gateway that reads it at this moment must not find it half written.
pub fn write_once(path: &Path, content: &str) {
    if std::fs::read_to_string(path).is_ok_and(|there| there == content) {
        return;
    }
    std::fs::write(path, content).unwrap();
}
