//! The program Apache Kafka 4: Java with the cached jars, storage, and what the servers of all tests have in common.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

#[path = "../../../tests/kafka/java.rs"]
mod java;

/// Where the jars are.
fn folder() -> PathBuf {
    let folder = images::cache_dir().join("kafka");
    let there = std::fs::read_to_string(folder.join("pom.xml")).unwrap_or_default();
    assert!(
        there == include_str!("../../../tests/kafka/pom.xml"),
        "Apache Kafka of the version in tests/kafka/pom.xml is needed: cargo xtask kafka"
    );
    folder
}

/// Kafka's server with this configuration file, in this folder.
pub fn server(dir: &Path, config: &str) -> Command {
    let mut command = java(dir, java::SERVER);
    command.args(["kafka.Kafka", config]);
    command
}

/// Java with Kafka's classes, most of them out of an archive, in this folder.
fn java(dir: &Path, archive: &str) -> Command {
    let mut command = java::java(&folder(), "SharedArchiveFile", archive);
    command.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn").current_dir(dir);
    command
}

/// Makes the storage of a server with this configuration file.
pub fn format(dir: &Path, config: &str, more: &[String]) {
    let mut command = java(dir, java::FORMAT);
    command.args(["kafka.tools.StorageTool", "format", "--cluster-id", "AAAAAAAAAAAAAAAAAAAAAQ", "--config", config]);
    command.args(more);
    let formatted =
        command.output().expect("Java is needed: apt-get install --no-install-recommends default-jre-headless");
    assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
}

/// What all servers of tests have in common.
pub const COMMON: &str = "process.roles=broker,controller\n\
    listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,PROXIED:SASL_PLAINTEXT,MUTUAL:SSL,CONTROLLER:PLAINTEXT\n\
    inter.broker.listener.name=PLAINTEXT\n\
    controller.listener.names=CONTROLLER\n\
    auto.create.topics.enable=false\n\
    broker.heartbeat.interval.ms=500\n";
