//! Our two programs: compiled by cargo, alone in a scratch image.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::error::Error;

/// `NAME=value` pairs of both images: there is no shell that would set any.
pub const ENVIRONMENT: [&str; 2] = ["PATH=/usr/bin", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"];

/// A program of this workspace that gets an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// The WebSocket gateway.
    Gateway,
    /// The Kubernetes operator.
    Operator,
    /// Gateways that are worse than the real one, for tests.
    BrokenGateway,
}

impl Program {
    /// Both programs that users get.
    pub const ALL: [Self; 2] = [Self::Gateway, Self::Operator];

    /// All that a workspace can be compiled to.
    const KNOWN: [Self; 3] = [Self::Gateway, Self::Operator, Self::BrokenGateway];

    /// The name of package, binary and image.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "chat-gateway",
            Self::Operator => "chat-operator",
            Self::BrokenGateway => "broken-gateway",
        }
    }

    /// The TCP ports that the program listens on.
    #[must_use]
    pub const fn ports(self) -> &'static [u16] {
        match self {
            Self::Gateway | Self::BrokenGateway => &[8080, 8081],
            Self::Operator => &[8080],
        }
    }
}

/// How programs are compiled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Profile {
    /// As tests are, so that little is compiled that they have not compiled.
    #[default]
    Tests,
    /// Optimised, and with nothing that only tests use.
    Release,
}

/// Compiles programs and tells where they are. Cargo's own progress goes to standard error.
///
/// # Errors
/// When cargo is missing or the code does not compile.
pub fn compile(programs: &[Program], profile: Profile) -> Result<BTreeMap<Program, PathBuf>, Error> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    forget_package(&mut command);
    // --workspace, because cargo chooses the features of dependencies by the packages it is asked for: with another choice it
    // would compile most of them again.
    command.args(["build", "--workspace", "--message-format=json-render-diagnostics"]);
    for program in programs {
        command.args(["--bin", program.name()]);
    }
    match profile {
        Profile::Tests => like_tests(&mut command),
        Profile::Release => {
            command.arg("--release");
        }
    }
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().map_err(|source| Error::Missing {
        command: "cargo",
        remedy: "install the Rust toolchain named in rust-toolchain.toml with rustup",
        source,
    })?;
    if !output.status.success() {
        return Err(Error::Failed { command: "cargo build", output: "see the messages above".to_owned() });
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let built: BTreeMap<Program, PathBuf> =
        messages.lines().filter_map(|line| executable(&serde_json::from_str(line).ok()?)).collect();
    match programs.iter().find(|program| !built.contains_key(program)) {
        Some(absent) => Err(Error::NotBuilt(absent.name())),
        None => Ok(built),
    }
}

/// Has cargo choose the features of dependencies as it does for tests, by naming targets that use development dependencies as tests do: what tests
/// compiled serves, and minutes of compilers are saved. What users get is compiled without them.
pub fn like_tests(cargo: &mut Command) {
    cargo.arg("--examples");
}

/// Takes away what `cargo run` told this program about its own package. Build scripts ask for some of it, that of `ring` for a dozen
/// variables, and a cargo that sees them change compiles all that comes after them again.
pub fn forget_package(cargo: &mut Command) {
    let told = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in told.filter(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
        cargo.env_remove(name);
    }
    // Changes with the way in which the toolchain was chosen.
    cargo.env_remove("RUSTUP_TOOLCHAIN_SOURCE");
}

/// The program that one of cargo's messages is about, and where it is.
fn executable(message: &Value) -> Option<(Program, PathBuf)> {
    let path = message["executable"].as_str()?;
    let name = message["target"]["name"].as_str()?;
    let program = Program::KNOWN.into_iter().find(|program| program.name() == name)?;
    Some((program, PathBuf::from(path)))
}
