//! A gateway takes shards while it runs, from a folder that changes as a mounted Secret does: one comes, slots move to it, the first one goes, and
//! nobody who chats notices.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use chat_gateway::embedded;
use chat_gateway_config::{
    GatewayConfig, Shard,
    slots::{OwnedSlots, SlotsAnswer},
    stats::{GatewayStats, ShardStats},
};
use chat_test_client::{
    Addresses, Client, ClientConfig, Ledger, accounts,
    load::{self, Load, Progress},
};
use support::{
    eventually, free_port,
    lone::{local, wait_ready},
    postgres::Postgres,
    process::Process,
    stage::PROGRAM,
};
use uuid::Uuid;

const MINUTE: Duration = Duration::from_secs(60);
/// Two looks at the folder and as many at the shards.
const SEEN_WITHIN: Duration = Duration::from_secs(15);
const SLOTS: u32 = 16;
const ROOMS: usize = 12;

/// A gateway process, its folder of shards, and who chats there.
struct Place {
    config: GatewayConfig,
    folder: tempfile::TempDir,
    log: PathBuf,
    _process: Process,
    token: String,
}

fn shard(folder: &Path, name: &str, server: &Postgres) -> Shard {
    let write = |file: String, user: &str| {
        let path = folder.join(file);
        fs::write(&path, server.uri(user, "gateway-password", "postgres")).unwrap();
        path
    };
    Shard {
        name: name.to_owned(),
        uri_file: write(format!("{name}-uri"), "chat_gateway"),
        migration_uri_file: Some(write(format!("{name}-migration-uri"), "postgres")),
    }
}

/// Runs the program on shards that stand in a configuration, as migrations and moves do.
fn run(config: &GatewayConfig, folder: &Path, shards: &[Shard], arguments: &[&str]) -> Output {
    let mut config = config.clone();
    config.database.shards = shards.to_vec();
    let file = folder.join("jobs.json");
    fs::write(&file, serde_json::to_string(&config).unwrap()).unwrap();
    let (command, rest) = arguments.split_first().unwrap();
    let output = Command::new(PROGRAM).arg(command).arg("--config").arg(&file).args(rest).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    output
}

fn prepare(folder: &Path) -> GatewayConfig {
    let mut config = embedded::prepare(&folder.join("data"), local(), local()).unwrap();
    config.database.embedded = None;
    config.database.slots = SLOTS;
    config.limits.messages_per_second = 5_000;
    config.limits.message_burst = 5_000;
    config
}

/// Appears as a whole, as the kubelet's files do.
fn put(secret: &Path, name: &str, uri: &str) {
    fs::write(secret.join(format!(".{name}")), uri).unwrap();
    fs::rename(secret.join(format!(".{name}")), secret.join(name)).unwrap();
}

impl Place {
    /// A gateway on the shards that the folder names.
    async fn open(config: GatewayConfig, folder: tempfile::TempDir) -> Self {
        let (file, log) = (folder.path().join("config.json"), folder.path().join("log"));
        // What a gateway of the version before would read is of no account.
        let mut written = config.clone();
        written.database.shards =
            vec![Shard { name: "stale".into(), uri_file: "/nowhere".into(), migration_uri_file: None }];
        fs::write(&file, serde_json::to_string(&written).unwrap()).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["serve", "--config"]).arg(&file).env("CHAT_GATEWAY_SHARDS_DIR", folder.path().join("secret"));
        let process = Process::start(&mut command, &log);
        wait_ready(config.admin_listen, &log).await;
        let token = fs::read_to_string(&config.admin_token_file).unwrap().trim().to_owned();
        Self { config, folder, log, _process: process, token }
    }

    async fn admin(&self, path: &str) -> (u16, Vec<u8>) {
        let (status, body) =
            accounts::get(&self.config.admin_listen.to_string(), path, Some(&self.token)).await.unwrap();
        (status.as_u16(), body.to_vec())
    }

    async fn shards(&self) -> Vec<ShardStats> {
        serde_json::from_slice::<GatewayStats>(&self.admin("/stats").await.1).unwrap().shards
    }

    async fn slots(&self) -> SlotsAnswer {
        serde_json::from_slice(&self.admin("/slots?since=0&sizes=true").await.1).unwrap()
    }

    async fn see(&self, what: &str, is: impl Fn(&[ShardStats]) -> bool) {
        eventually(&format!("{what}, see {}", self.log.display()), SEEN_WITHIN, async || is(&self.shards().await))
            .await;
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    async fn client(&self, name: &str, ledger: &Ledger) -> Client {
        let at = Addresses::new(vec![self.config.listen.to_string()]);
        let account = accounts::enter(&at, name, "a good password", MINUTE).await.unwrap();
        Client::start(ClientConfig::new(account, at, ledger.clone())).await.unwrap()
    }
}

/// Two people send while something happens; then both must have everything.
async fn chat<T>(people: [&Client; 2], rooms: &[Uuid], messages: u64, meanwhile: impl Future<Output = T>) -> T {
    let load = Load { messages, in_flight: 8, body_bytes: 60, per_second: 100 };
    let progress = Progress::default();
    let (report, done) = tokio::join!(load::run(&people, rooms, load, &progress), meanwhile);
    let report = report.unwrap();
    assert_eq!(report.acked, messages);
    let behind = load::settle(&people, &report, MINUTE).await;
    assert!(behind.is_empty(), "{behind:?}");
    done
}

async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_moves_to_a_new_shard_and_the_first_one_goes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let secret = root.join("secret");
    fs::create_dir(&secret).unwrap();
    let config = prepare(&root);
    let mut first = Postgres::start().await;
    let a = shard(&root, "a", &first);
    run(&config, &root, std::slice::from_ref(&a), &["migrate"]);
    put(&secret, "a", &fs::read_to_string(&a.uri_file).unwrap());
    fs::write(secret.join("NOT-A-SHARD"), "x").unwrap();
    let place = Place::open(config, folder).await;
    assert_eq!(place.shards().await.iter().map(|shard| shard.name.as_str()).collect::<Vec<_>>(), ["a"]);
    assert!(place.log().contains("NOT-A-SHARD"), "what is ignored is told");

    let ledger = Ledger::new();
    let (alice, bob) = (place.client("alice", &ledger).await, place.client("bob", &ledger).await);
    let mut rooms = Vec::new();
    for n in 0..ROOMS {
        let room = alice.create_room("group", &format!("{n}"), &["bob".to_owned()]).await.unwrap().id;
        ledger.expect_member(alice.id(), room);
        ledger.expect_member(bob.id(), room);
        assert!(bob.wait_position(room, 0, MINUTE).await);
        rooms.push(room);
    }
    let people = [&alice, &bob];
    let ready = async || place.admin("/readyz").await.0 == 200;

    // A shard whose server is not there yet.
    put(&secret, "b", &format!("postgresql://chat_gateway:x@127.0.0.1:{}/postgres", free_port()));
    chat(people, &rooms, 100, place.see("shard b is named", |shards| shards.len() == 2)).await;
    place
        .see("it does not answer", |shards| shards[1].name == "b" && shards[1].component.reason == "ConnectionRefused")
        .await;
    assert!(ready().await, "it takes nobody out of service");

    let second = Postgres::start().await;
    let b = shard(&root, "b", &second);
    let both = vec![a, b];
    run(&place.config, &root, &both, &["migrate"]);
    put(&secret, "b", &fs::read_to_string(&both[1].uri_file).unwrap());
    place.see("shard b answers", |shards| shards.iter().all(|shard| shard.component.available)).await;

    let (config, root2, both2) = (place.config.clone(), root.clone(), both.clone());
    let moving = apart(move || run(&config, &root2, &both2, &["move", "--slots", "0-15", "--from", "a", "--to", "b"]));
    chat(people, &rooms, 800, moving).await;
    let answer = place.slots().await;
    assert_eq!((answer.slots, answer.shards.len()), (SLOTS, 2));
    let there = &answer.shards[1];
    assert!(answer.shards[0].owned.is_empty() && answer.shards[0].error.is_none());
    assert_eq!(there.owned, [OwnedSlots { first: 0, last: SLOTS - 1, epoch: 2 }]);
    assert_eq!(there.moved.len(), 16);
    assert!(there.moved.iter().all(|moved| moved.from == "a" && !moved.cleaned && moved.pause_ms.is_some()));
    assert!(there.sizes.iter().map(|size| size.rows).sum::<u64>() >= 900, "{:?}", there.sizes);

    let leaves = async {
        fs::remove_file(secret.join("a")).unwrap();
        place.see("shard a is gone", |shards| shards.len() == 1 && shards[0].name == "b").await;
        first.kill();
    };
    chat(people, &rooms, 800, leaves).await;
    assert!(ready().await);
    let metrics = String::from_utf8(place.admin("/metrics").await.1).unwrap();
    assert!(metrics.contains("shard:b") && !metrics.contains("shard:a"), "{metrics}");

    // Nobody takes the last one away.
    fs::remove_file(secret.join("b")).unwrap();
    chat(people, &rooms, 600, tokio::time::sleep(Duration::from_secs(6))).await;
    assert_eq!(place.shards().await.len(), 1);
    let log = place.log();
    assert_eq!(log.lines().filter(|line| line.contains("names no shard any more")).count(), 1, "{log}");
    let carol = place.client("carol", &ledger).await;
    assert!(carol.create_room("group", "new", &["alice".to_owned()]).await.is_ok());
    for person in people {
        assert_eq!(person.standing().connections, 1, "nobody was disconnected");
    }
    let verdict = ledger.verify();
    verdict.assert_clean(2_300);
    assert!(!log.contains("gateway-password"), "no URI is logged");
    drop(place.folder);
}

#[test]
fn a_gateway_does_not_start_on_a_folder_without_shards() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = prepare(folder.path());
    config.database.shards = vec![Shard { name: "a".into(), uri_file: "/nowhere".into(), migration_uri_file: None }];
    let file = folder.path().join("config.json");
    fs::write(&file, serde_json::to_string(&config).unwrap()).unwrap();
    for shards in ["absent", "empty"] {
        fs::create_dir_all(folder.path().join("empty")).unwrap();
        let started = Command::new(PROGRAM)
            .args(["serve", "--config"])
            .arg(&file)
            .arg("--shards-dir")
            .arg(folder.path().join(shards))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&started.stdout);
        assert_eq!(started.status.code(), Some(2), "{said}");
        assert!(said.contains("CHAT_GATEWAY_SHARDS_DIR") && said.contains(shards), "{said}");
    }
}
