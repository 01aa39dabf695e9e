//! Debian roots by mmdebstrap, from the mirror that this machine's apt uses.

use std::io::Read;
use std::process::{Command, Stdio};

use crate::error::Error;
use crate::layer::Layer;

/// The Debian release of the roots, whatever this machine runs.
pub const SUITE: &str = "trixie";

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Makes a root with the packages and all that they depend on, and reads into memory what `keep` wants of it.
///
/// The packages are only unpacked, their install scripts never run: what the scripts would make (accounts, caches, alternatives,
/// logs) is what differs between two runs, and the entry points need none of it. It also takes seconds instead of minutes.
///
/// # Errors
/// When mmdebstrap is missing, or ends with an error, or there is no mirror.
pub fn unpack(packages: &[&str], keep: impl Fn(&str) -> bool) -> Result<Layer, Error> {
    let sources = sources()?;
    let mut child = Command::new("mmdebstrap")
        .args(["--variant=extract", "--architectures=amd64", "--format=tar", "--quiet"])
        .arg(format!("--include={}", packages.join(",")))
        .args([SUITE, "-"])
        .args(sources)
        .env("SOURCE_DATE_EPOCH", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| Error::Missing { command: "mmdebstrap", remedy: "apt-get install mmdebstrap", source })?;
    let mut stdout = child.stdout.take();
    let mut stderr = child.stderr.take();
    // Both pipes are drained at once: a full error pipe would stop mmdebstrap, and with it the archive.
    let complaints = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.as_mut().map(|pipe| pipe.read_to_string(&mut text));
        text
    });
    let mut archive = Vec::new();
    let read = stdout.as_mut().map_or(Ok(0), |pipe| pipe.read_to_end(&mut archive));
    let status = child.wait();
    let complaints = complaints.join().unwrap_or_default();
    let failed = |source| Error::Archive { image: packages.join(","), source };
    read.map_err(failed)?;
    if !status.map_err(failed)?.success() {
        return Err(Error::Failed { command: "mmdebstrap", output: last_lines(&complaints) });
    }
    Layer::from_tar(archive.as_slice(), keep).map_err(failed)
}

/// One-line apt sources of [`SUITE`]: the machine's own mirrors with the release exchanged.
fn sources() -> Result<Vec<String>, Error> {
    let mut mirrors = mirrors(&index_targets()?);
    if mirrors.is_empty() {
        // Origins are known only once the lists are there.
        run("apt-get", "apt", Command::new("apt-get").args(["-qq", "update"]))?;
        mirrors = self::mirrors(&index_targets()?);
    }
    if mirrors.is_empty() { Err(Error::NoMirror) } else { Ok(mirrors) }
}

fn index_targets() -> Result<String, Error> {
    let format = "$(CREATED_BY)|$(LABEL)|$(COMPONENT)|$(REPO_URI)";
    run("apt-get", "apt", Command::new("apt-get").args(["indextargets", "--format", format]))
}

/// Reads `CREATED_BY|LABEL|COMPONENT|REPO_URI` lines.
fn mirrors(targets: &str) -> Vec<String> {
    let mut sources: Vec<String> = targets
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split('|').collect();
            let suite = match fields.as_slice() {
                ["Packages", "Debian", "main", _] => SUITE.to_owned(),
                ["Packages", "Debian-Security", "main", _] => format!("{SUITE}-security"),
                _ => return None,
            };
            Some(format!("deb [signed-by={KEYRING}] {} {suite} main", fields[3]))
        })
        .collect();
    sources.sort();
    sources.dedup();
    sources
}

fn run(name: &'static str, package: &'static str, command: &mut Command) -> Result<String, Error> {
    let output = command.stdin(Stdio::null()).output().map_err(|source| Error::Missing {
        command: name,
        remedy: package,
        source,
    })?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(Error::Failed { command: name, output: last_lines(&String::from_utf8_lossy(&output.stderr)) })
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_the_machines_own_with_the_release_exchanged() {
        let targets = "Packages|Debian|main|http://mirror.example/debian/\n\
                       Packages|Debian|main|http://mirror.example/debian/\n\
                       Packages|Debian-Security|main|http://mirror.example/security/\n\
                       Packages|Elsewhere|main|http://other.example/\n\
                       DEP-11|Debian|main|http://mirror.example/debian/\n";
        assert_eq!(
            mirrors(targets),
            [
                format!("deb [signed-by={KEYRING}] http://mirror.example/debian/ trixie main"),
                format!("deb [signed-by={KEYRING}] http://mirror.example/security/ trixie-security main"),
            ]
        );
    }
}
