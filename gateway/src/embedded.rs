//! A gateway without a configuration: everything it needs is made in one folder at the first start, and found there at the next.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chat_gateway_config::{
    Auth, Broker, Database, Embedded, GatewayConfig, Http, InProcess, Limits, Passwords, Presence, SessionLimits,
};
use ring::{
    rand::{SecureRandom as _, SystemRandom},
    signature::Ed25519KeyPair,
};

/// Name of the cluster: the issuer of tokens, and the scope of user ids.
const CLUSTER: &str = "local/chat";
/// Connections, below the usual limit of open files.
const MAX_CONNECTIONS: u32 = 10_000;
/// Bytes of the random token for the admin port.
const TOKEN_BYTES: usize = 32;

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// It cannot be made or written.
    #[error("failed to {what} {path}: {source}; choose another folder with --data")]
    File {
        /// What was tried.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The machine gives no random numbers.
    #[error("the operating system gives no random numbers")]
    Random,
}

/// Makes the folder and what is missing in it: the signing key and the administrator's token, readable by this user only.
///
/// # Errors
/// [`EmbeddedError`]; what stands in the folder is never overwritten.
pub fn prepare(data: &Path, listen: SocketAddr, admin_listen: SocketAddr) -> Result<GatewayConfig, EmbeddedError> {
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |source| EmbeddedError::File { what, path, source }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(failed("make folder", data))?;
    // The key of a folder that is served from elsewhere later must be found, so the names are absolute.
    let data = fs::canonicalize(data).map_err(failed("find folder", data))?;
    let random = SystemRandom::new();
    let signing_key_file = data.join("signing-key.pem");
    ensure(&signing_key_file, || signing_key(&random)).map_err(|error| error.at(&signing_key_file))?;
    let admin_token_file = data.join("admin-token");
    ensure(&admin_token_file, || token(&random)).map_err(|error| error.at(&admin_token_file))?;
    tracing::info!(page = format!("http://{listen}"), data = %data.display(), "embedded: one gateway, one folder, no other service");
    Ok(GatewayConfig {
        cluster: CLUSTER.to_owned(),
        listen,
        admin_listen,
        agent_listen: None,
        live_file: None,
        admin_token_file,
        drain_seconds: 5,
        max_connections: MAX_CONNECTIONS,
        // Those of a ChatCluster without `spec.gateways.limits`.
        limits: Limits { messages_per_second: 10, message_burst: 50, message_bytes: 16_384, rooms_per_connection: 500 },
        auth: Auth {
            passwords: Passwords::Enabled,
            signing_key_file,
            sessions: SessionLimits::default(),
            oidc: Vec::new(),
        },
        http: Http::default(),
        broker: Broker::InProcess(InProcess {}),
        redis: None,
        presence: Presence::default(),
        database: Database {
            slots: 1024,
            shards: Vec::new(),
            embedded: Some(Embedded { file: data.join("chat.sqlite3"), wait_seconds: 0 }),
        },
        tracing: None,
    })
}

enum Failure {
    Io(io::Error),
    Random,
}

impl Failure {
    fn at(self, path: &Path) -> EmbeddedError {
        match self {
            Self::Io(source) => EmbeddedError::File { what: "write", path: path.to_owned(), source },
            Self::Random => EmbeddedError::Random,
        }
    }
}

/// Writes a file that is not there yet, whole or not at all.
fn ensure(path: &Path, make: impl FnOnce() -> Result<String, Failure>) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    let text = make()?;
    let draft = path.with_extension("new");
    write(path, &draft, &text).map_err(Failure::Io)
}

fn write(path: &Path, draft: &Path, text: &str) -> io::Result<()> {
    // A draft that a crash left is no use to anybody.
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(draft, path)?;
    // The name is durable when its folder is.
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn signing_key(random: &SystemRandom) -> Result<String, Failure> {
    let key = Ed25519KeyPair::generate_pkcs8(random).map_err(|_| Failure::Random)?;
    let text = STANDARD.encode(key.as_ref());
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    Ok(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n")))
}

fn token(random: &SystemRandom) -> Result<String, Failure> {
    let mut bytes = [0; TOKEN_BYTES];
    random.fill(&mut bytes).map_err(|_| Failure::Random)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::auth::Ed25519Tokens;

    fn prepared(data: &Path) -> GatewayConfig {
        let address = "127.0.0.1:0".parse().unwrap();
        prepare(data, address, address).unwrap()
    }

    #[test]
    fn the_first_start_makes_secrets_for_this_user_and_the_next_keeps_them() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("a/b");
        let config = prepared(&data);
        config.validate().unwrap();
        let read = || {
            let files = [&config.auth.signing_key_file, &config.admin_token_file];
            files.map(|file| {
                assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
                fs::read_to_string(file).unwrap()
            })
        };
        let first = read();
        Ed25519Tokens::new(first[0].as_bytes(), "local/chat", 60).unwrap();
        assert_eq!(first[1].trim().len(), 2 * TOKEN_BYTES);
        assert_eq!(prepared(&data), config);
        assert_eq!(read(), first);
    }

    #[test]
    fn a_draft_that_a_crash_left_does_not_matter() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("signing-key.new"), "half a k").unwrap();
        let config = prepared(dir.path());
        let key = fs::read(config.auth.signing_key_file).unwrap();
        Ed25519Tokens::new(&key, "local/chat", 60).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_is_named_with_the_way_out() {
        let address = "127.0.0.1:0".parse().unwrap();
        let error = prepare(Path::new("/proc/nothing"), address, address).unwrap_err().to_string();
        assert!(error.contains("/proc/nothing") && error.contains("--data"), "{error}");
    }
}
