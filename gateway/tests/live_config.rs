//! A gateway takes limits, log level, keys and tokens of the admin port while it runs, from files that change as Kubernetes changes them; what it cannot use it leaves alone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use std::{
    cell::Cell,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use chat_gateway::embedded;
use chat_gateway_config::{
    GatewayConfig, LiveConfig, SecretLines, SigningKeys,
    stats::{GatewayStats, Taken},
};
use chat_test_client::{Account, Addresses, Client, ClientConfig, Ledger, RequestError, accounts, socket::Socket};
use serde_json::{Value, json};
use support::{
    eventually,
    lone::{local, wait_ready},
    process::Process,
    stage::PROGRAM,
};

/// Two looks at the files.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);
/// What the gateway logs when it has taken a change.
const SAID: &str = "this is in force now";

/// A folder that a ConfigMap or a Secret is mounted to: the file is a link into a folder that a second link names, and that one is renamed.
struct Volume {
    folder: PathBuf,
    file: &'static str,
    version: Cell<u32>,
}

impl Volume {
    fn mount(folder: PathBuf, file: &'static str, content: &str) -> Self {
        fs::create_dir_all(&folder).unwrap();
        symlink(Path::new("..data").join(file), folder.join(file)).unwrap();
        let volume = Self { folder, file, version: Cell::new(0) };
        volume.swap(content);
        volume
    }

    fn path(&self) -> PathBuf {
        self.folder.join(self.file)
    }

    /// The steps of the kubelet's atomic writer.
    fn swap(&self, content: &str) {
        let before = self.version.replace(self.version.get() + 1);
        let name = |version: u32| format!("..version-{version}");
        let next = self.folder.join(name(self.version.get()));
        fs::create_dir(&next).unwrap();
        fs::write(next.join(self.file), content).unwrap();
        symlink(name(self.version.get()), self.folder.join("..data_tmp")).unwrap();
        fs::rename(self.folder.join("..data_tmp"), self.folder.join("..data")).unwrap();
        let _ = fs::remove_dir_all(self.folder.join(name(before)));
    }
}

/// A gateway with both files in volumes.
struct Place {
    config: GatewayConfig,
    live: Volume,
    keys: Volume,
    admin_token: Volume,
    /// The key that it started with.
    first: String,
    log: PathBuf,
    _process: Process,
    folder: tempfile::TempDir,
}

fn limits(message_bytes: u32) -> Value {
    json!({ "messagesPerSecond": 100, "messageBurst": 100, "messageBytes": message_bytes, "roomsPerConnection": 10 })
}

fn id(key: &str) -> String {
    SigningKeys::parse(key.as_bytes()).unwrap().ids().remove(0)
}

impl Place {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = embedded::prepare(&folder.path().join("data"), local(), local()).unwrap();
        let first = fs::read_to_string(&config.auth.signing_key_file).unwrap();
        let live = json!({ "limits": limits(100), "logLevel": "Info", "signingKey": id(&first) }).to_string();
        let live = Volume::mount(folder.path().join("live"), "live.json", &live);
        let keys = Volume::mount(folder.path().join("keys"), "key.pem", &first);
        config.auth.signing_key_file = keys.path();
        let admin_token = Volume::mount(folder.path().join("admin"), "token", "first");
        config.admin_token_file = admin_token.path();
        let (file, log) = (folder.path().join("config.json"), folder.path().join("log"));
        fs::write(&file, serde_json::to_string(&config).unwrap()).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["serve", "--config"]).arg(&file).env("CHAT_GATEWAY_LIVE_CONFIG", live.path());
        let process = Process::start(&mut command, &log);
        wait_ready(config.admin_listen, &log).await;
        Self { config, live, keys, admin_token, first, log, _process: process, folder }
    }

    fn at(&self) -> String {
        self.config.listen.to_string()
    }

    async fn taken(&self) -> Taken {
        self.taken_by("first").await.unwrap()
    }

    /// What who shows this token is told; nothing where it opens nothing.
    async fn taken_by(&self, token: &str) -> Option<Taken> {
        let admin = self.config.admin_listen.to_string();
        let (status, body) = accounts::get(&admin, "/stats", Some(token)).await.unwrap();
        (status == 200).then(|| serde_json::from_slice::<GatewayStats>(&body).unwrap().live.unwrap())
    }

    /// Changes the live configuration and waits until the gateway says that it has it.
    async fn take(&self, live: &Value) {
        self.live.swap(&live.to_string());
        let digest = LiveConfig::digest(&live.to_string());
        self.reach("the live configuration", |taken| taken.config.as_ref() == Some(&digest) && taken.error.is_none())
            .await;
    }

    async fn reach(&self, what: &str, is: impl Fn(&Taken) -> bool) {
        eventually(&format!("{what}, see {}", self.log.display()), TAKEN_WITHIN, async || is(&self.taken().await))
            .await;
    }

    async fn account(&self, name: &str) -> Account {
        accounts::enter(&Addresses::new(vec![self.at()]), name, "a good password", MINUTE).await.unwrap()
    }

    async fn public(&self) -> Value {
        let (_, body) = accounts::get(&self.at(), "/v1/config", None).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    async fn admits(&self, token: &str) -> u16 {
        accounts::get(&self.at(), "/v1/sessions", Some(token)).await.unwrap().0.as_u16()
    }

    /// Lines of the audit log about this act.
    fn audited(&self, act: &str) -> Vec<Value> {
        let log = self.log();
        let lines = log.lines().filter(|line| line.contains(r#""target":"audit""#));
        lines.map(|line| serde_json::from_str(line).unwrap()).filter(|line: &Value| line["act"] == act).collect()
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

fn refusal(sent: Result<chat_test_client::Ack, RequestError>) -> String {
    match sent {
        Err(RequestError::Refused(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn key_of(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_log_level_change_under_a_connection_and_what_is_no_use_is_kept_out() {
    let place = Place::open().await;
    let ann = place.account("ann").await;
    let config = ClientConfig::new(ann, Addresses::new(vec![place.at()]), Ledger::new());
    let device = Client::start(config).await.unwrap();
    let room = device.create_room("group", "all", &[]).await.unwrap().id;
    let fifty = "x".repeat(50);
    device.send(room, &fifty).await.unwrap();
    assert!(!place.log().contains(SAID), "nothing has changed");

    place
        .take(&json!({ "limits": limits(10), "maxConnections": 1, "passwords": "Disabled", "logLevel": "Warn" }))
        .await;
    assert_eq!(refusal(device.send(room, &fifty).await), "too_large");
    assert_eq!(place.public().await["limits"]["message_bytes"], 10);
    assert_eq!(place.public().await["passwords"], "Disabled");
    assert!(Socket::connect(&place.at()).await.is_err(), "one connection is all there may be");
    assert!(!place.log().contains(SAID), "a change is told at the level that it brings");
    assert_eq!(place.audited("configuration").len(), 1, "the audit log has no level");

    // Each is refused as a whole, and told once, where people and the operator look.
    let before = place.taken().await;
    let nothing = json!({ "limits": limits(0), "maxConnections": 9 }).to_string();
    let foreign = json!({ "drainSeconds": 9, "maxConnections": 9 }).to_string();
    for (text, told) in [(nothing.as_str(), "limits.messageBytes"), (&foreign, "drainSeconds"), ("{", "EOF")] {
        place.live.swap(text);
        place.reach(told, |taken| taken.error.as_ref().is_some_and(|error| error.contains(told))).await;
        let now = place.taken().await;
        assert_eq!(Taken { error: None, ..now }, before);
        assert_eq!(place.public().await["limits"]["message_bytes"], 10);
        assert!(Socket::connect(&place.at()).await.is_err(), "still one");
        let log = place.log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(told)).collect();
        assert!(lines.len() == 1 && lines[0].contains("live.json") && lines[0].contains("WARN"), "{lines:?}");
    }

    place.take(&json!({ "limits": limits(100), "logLevel": "Info" })).await;
    assert!(place.log().contains(SAID));
    device.send(room, &fifty).await.unwrap();
    let second =
        Socket::connect(&place.at()).await.expect("as many as before: what is absent is as in the configuration");
    second.close().await;
    assert_eq!(device.standing().connections, 1, "nobody was disconnected");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_one_after_the_other_and_no_connection_ends() {
    let place = Place::open().await;
    let ann = place.account("ann").await;
    let device =
        Client::start(ClientConfig::new(ann.clone(), Addresses::new(vec![place.at()]), Ledger::new())).await.unwrap();
    let room = device.create_room("group", "all", &[]).await.unwrap().id;
    let other = embedded::prepare(&place.folder.path().join("other"), local(), local()).unwrap();
    let (old, new) = (place.first.clone(), fs::read_to_string(other.auth.signing_key_file).unwrap());

    // The new key is there, and does not sign until the live configuration says so.
    place.keys.swap(&format!("{new}{old}"));
    place.reach("both keys", |taken| taken.keys == [id(&new), id(&old)]).await;
    let refreshed = accounts::refresh(&place.at(), &ann).await.unwrap();
    assert_eq!((key_of(&ann.token), key_of(&refreshed.token)), (id(&old), id(&old)));
    place.take(&json!({ "signingKey": id(&new) })).await;
    let renewed = accounts::refresh(&place.at(), &refreshed).await.expect("its seal is the old key's");
    assert_eq!((key_of(&renewed.token), place.taken().await.signs), (id(&new), id(&new)));
    assert_eq!((place.admits(&ann.token).await, place.admits(&renewed.token).await), (200, 200));

    place.keys.swap("no key");
    place.reach("a refusal", |taken| taken.error.as_ref().is_some_and(|error| error.contains("key.pem"))).await;
    assert_eq!((place.admits(&ann.token).await, place.admits(&renewed.token).await), (200, 200));

    place.keys.swap(&new);
    place.reach("the new key alone", |taken| taken.keys == [id(&new)] && taken.error.is_none()).await;
    assert_eq!((place.admits(&ann.token).await, place.admits(&renewed.token).await), (401, 200));
    let refused = accounts::refresh(&place.at(), &refreshed).await.unwrap_err().to_string();
    assert!(refused.contains("unauthenticated"), "{refused}");
    accounts::refresh(&place.at(), &renewed).await.expect("its seal is the new key's");
    device.send(room, "still here").await.unwrap();
    assert_eq!(device.standing().connections, 1, "nobody was disconnected");
    assert!(!place.log().contains("PRIVATE"), "no key is logged");
    let told: Vec<(String, String)> =
        place.audited("signing-keys").iter().map(|line| (text(&line["keys"]), text(&line["signs"]))).collect();
    let both = format!("{},{}", id(&new), id(&old));
    assert_eq!(told, [(both.clone(), id(&old)), (both, id(&new)), (id(&new), id(&new))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_the_admin_port_overlap_and_what_is_taken_out_is_refused() {
    let place = Place::open().await;
    let both = ["first", "second"].map(SecretLines::id);
    assert_eq!(place.taken().await.admin_tokens, both[..1]);
    assert!(place.taken_by("second").await.is_none());

    place.admin_token.swap("first\nsecond\n");
    place.reach("both tokens", |taken| taken.admin_tokens == both).await;
    assert!(place.taken_by("second").await.is_some());

    for (useless, told) in [("\n", "is empty"), ("1\n2\n3\n4\n5", "remove the oldest")] {
        place.admin_token.swap(useless);
        place.reach(told, |taken| taken.error.as_ref().is_some_and(|error| error.contains(told))).await;
        assert_eq!(place.taken_by("second").await.map(|taken| taken.admin_tokens), Some(both.to_vec()));
    }

    place.admin_token.swap("second");
    let alone = async || place.taken_by("second").await.is_some_and(|taken| taken.admin_tokens == both[1..]);
    eventually("the second alone", TAKEN_WITHIN, alone).await;
    assert!(place.taken_by("first").await.is_none());
    assert!(!place.log().contains("second"), "no token is logged");
}

#[test]
fn a_gateway_does_not_start_with_a_live_configuration_that_is_no_use() {
    let folder = tempfile::tempdir().unwrap();
    let config = embedded::prepare(&folder.path().join("data"), local(), local()).unwrap();
    let file = folder.path().join("config.json");
    fs::write(&file, serde_json::to_string(&config).unwrap()).unwrap();
    let live = folder.path().join("live.json");
    let start =
        || Command::new(PROGRAM).args(["serve", "--config"]).arg(&file).arg("--live-config").arg(&live).output();
    for (content, told) in
        [(None, "live.json"), (Some(r#"{"maxConnections":0}"#), "maxConnections"), (Some("7"), "live.json")]
    {
        if let Some(content) = content {
            fs::write(&live, content).unwrap();
        }
        let ended = start().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(ended.status.code() == Some(2) && said.contains(told), "{told}: {said}");
    }
}
