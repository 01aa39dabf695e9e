//! Java with Apache Kafka's jars, as tests start it and as `cargo xtask kafka` prepares it: an archive of classes fits only who is started in the
//! same way.

use std::{path::Path, process::Command};

/// Archive of the server's classes, beside the jars.
pub(super) const SERVER: &str = "server.jsa";
/// Archive of the classes of the tool that formats storage.
pub(super) const FORMAT: &str = "format.jsa";

/// Java with the jars of this folder; the option `-XX:<option>` says what is done with the archive.
pub(super) fn java(jars: &Path, option: &str, archive: &str) -> Command {
    let mut command = Command::new("java");
    // Little memory, one thread for garbage, and the quick compiler only: a server that lives for a minute.
    command.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    command.arg(format!("-XX:{option}={}", jars.join(archive).display()));
    command.args(["-cp", &format!("{}/*", jars.display())]);
    command
}
