//! Apache Kafka for the tests: no Debian package has it, so its jars come from Maven Central into the cache.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{kafka_archives, packages, paths, shell};

/// What is needed, with versions. A copy beside the jars tells what they are.
const POM: &str = "pom.xml";

/// Where the jars are.
fn folder() -> PathBuf {
    images::cache_dir().join("kafka")
}

/// Gets the jars and makes their class-data archives unless they are there, and the Debian packages that get and run them.
pub(crate) fn ensure() -> Result<()> {
    packages::ensure()?;
    let wanted = paths::root().join("tests/kafka").join(POM);
    let pom = fs::read_to_string(&wanted).with_context(|| format!("failed to read {}", wanted.display()))?;
    let folder = folder();
    if fs::read_to_string(folder.join(POM)).is_ok_and(|there| there == pom) {
        return kafka_archives::ensure(&folder);
    }
    // Whole or not at all: an interrupted download must not look like an installation.
    let draft = folder.with_file_name(format!("kafka-unfinished-{}", std::process::id()));
    fetch(&wanted, &draft)?;
    fs::write(draft.join(POM), pom)?;
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::rename(&draft, &folder).with_context(|| format!("failed to make {}", folder.display()))?;
    // An archive names the jars by their path, so they are written where the jars stay.
    kafka_archives::ensure(&folder)
}

fn fetch(pom: &Path, to: &Path) -> Result<()> {
    let (pom, to) = (pom.display().to_string(), format!("-DoutputDirectory={}", to.display()));
    // Strict checksums: what arrives must be what Maven Central says it is.
    let arguments = ["--quiet", "--batch-mode", "--strict-checksums", "--file", &pom];
    let mut command = shell::command("mvn", &arguments);
    command.args(["dependency:copy-dependencies", "-DincludeScope=runtime", &to]);
    shell::run(command)
}
