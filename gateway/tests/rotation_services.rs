//! Every credential of two gateways is replaced again and again while people chat: users of PostgreSQL, RabbitMQ and Redis, the keys that sign tokens, and
//! the token of the admin port.
//! The new one is there before the old one goes, the old one is revoked for good, no gateway restarts, and everything that is sent is acknowledged.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use chat_gateway_config::{AdminTokens, Broker, GatewayConfig, SecretLines, SigningKeys};
use chat_test_client::is_long;
use sqlx::{Connection as _, PgConnection};
use support::{
    eventually,
    rabbitmq::RabbitMq,
    redis,
    scene::{MINUTE, Talk},
    stage::{Gateway, PROGRAM, Stage},
};

type Scene = support::scene::Scene<RabbitMq>;

/// Roles that take turns.
const TURNS: [&str; 2] = [chat_shards::GATEWAY_ROLE, chat_shards::SECOND_ROLE];
/// The owner of the tables: migrations sign in as it.
const OWNER: &str = "chat_owner";
/// Texts while ways are changed once: some ten seconds of them.
const TEXTS: u64 = 2_000;
/// Texts of a minute, calm ones: this lasts, beside tests that need the processors.
const CALM: Talk = Talk { per_second: 20, ..Talk::short(1_100) };
/// Rotations, one a minute: of the short form, and of the long one.
const ROUNDS: u32 = 10;
const LONG_ROUNDS: u32 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn credentials_rotate_every_minute_while_people_chat() {
    let rounds = if is_long() { LONG_ROUNDS } else { ROUNDS };
    let mut scene = Scene::open().await;
    let files = Files::of(&scene.stage);
    let processes = started(&scene).await;
    let begun = Instant::now();
    for nth in 1..=rounds {
        let next = begun + MINUTE * nth;
        let what = format!("rotation {nth} of {rounds}");
        scene.talk(&what, CALM, async |stage, a, b| files.rotate(stage, nth, [a, b]).await).await;
        tokio::time::sleep_until(next.into()).await;
    }
    assert_eq!(started(&scene).await, processes, "a gateway was restarted");
    scene.nothing_secret_was_logged();
    for log in [scene.a.log(), scene.b.log()] {
        assert!(!log.contains("rotated-"), "a password was logged: {log}");
    }
    let texts = u64::from(rounds) * CALM.short;
    println!("{rounds} rotations in {:.0?}, {texts} texts, all of them acknowledged", begun.elapsed());
}

/// In the operator's steps for a shard that it runs: two roles take turns, the Job lets in whom the Secret names, and gateways come by the next role before the
/// one of before is let in no more. Connections are to be had at every moment.
#[tokio::test(flavor = "multi_thread")]
async fn the_roles_of_a_managed_shard_take_turns_while_people_chat() {
    let mut scene = Scene::open().await;
    let files = Files::of(&scene.stage);
    let processes = started(&scene).await;
    files.begin_turns(&scene.stage);
    for nth in [1, 2, 3] {
        scene.chat(&format!("turn {nth}"), TEXTS, async |stage, a, b| files.turn(stage, nth, [a, b]).await).await;
    }
    assert_eq!(started(&scene).await, processes, "a gateway was restarted");
    scene.nothing_secret_was_logged();
    for log in [scene.a.log(), scene.b.log()] {
        assert!(!log.contains("rotated-"), "a password was logged: {log}");
        assert!(!log.contains("password authentication failed"), "somebody was refused: {log}");
    }
}

/// In the operator's steps for servers that it runs: gateways try the new way, and say so when the server takes it. Nobody's connection is closed.
#[tokio::test(flavor = "multi_thread")]
async fn the_ways_to_managed_servers_change_and_no_connection_is_closed() {
    let mut scene = Scene::open().await;
    let files = Files::of(&scene.stage);
    let connections =
        |scene: &Scene| [&scene.a, &scene.b].map(|gateway| gateway.log().matches("connected to RabbitMQ").count());
    let before = connections(&scene);
    scene.chat("the ways to managed servers", TEXTS, async |stage, a, b| files.ways(stage, [a, b]).await).await;
    assert_eq!(connections(&scene), before, "a connection was closed");
    // The old ones are good for nothing, so they come back by the new ones.
    scene.stage.broker.ctl(&["close_all_connections", "by a test"]);
    let mut admin = redis::admin(scene.stage.redis.port(), &password(1)).await;
    let _: ::redis::Value =
        ::redis::cmd("CLIENT").arg(&["KILL", "SKIPME", "yes"]).query_async(&mut admin).await.unwrap();
    for gateway in [&scene.a, &scene.b] {
        let again = async || gateway.log().matches("connected to RabbitMQ").count() > before[0].max(before[1]);
        eventually("the connection to RabbitMQ is made anew", MINUTE, again).await;
        let available = async || {
            let stats = gateway.stats().await;
            stats.broker.available && stats.redis.available
        };
        eventually("both servers are there", MINUTE, available).await;
    }
    scene.nothing_secret_was_logged();
}

/// When each gateway's process started.
async fn started(scene: &Scene) -> [i64; 2] {
    let (a, b) = tokio::join!(scene.a.stats(), scene.b.stats());
    [a, b].map(|stats| stats.delivery.expect("books").started_ms)
}

/// The files of the Secrets, which both gateways read.
struct Files {
    shards: Vec<(String, PathBuf)>,
    broker: PathBuf,
    redis: PathBuf,
    keys: PathBuf,
    admin_token: PathBuf,
    /// As it was at first: a stage writes all files anew with each.
    config: GatewayConfig,
}

impl Files {
    fn of(stage: &Stage) -> Self {
        let config = stage.config();
        let Broker::Rabbitmq(broker) = config.broker.clone() else { panic!("another broker") };
        Self {
            shards: config.database.shards.iter().map(|shard| (shard.name.clone(), shard.uri_file.clone())).collect(),
            broker: broker.uri_file,
            redis: config.redis.clone().expect("a Redis").url_file,
            keys: config.auth.signing_key_file.clone(),
            admin_token: config.admin_token_file.clone(),
            config,
        }
    }

    async fn rotate(&self, stage: &Stage, nth: u32, gateways: [&Gateway; 2]) {
        self.database(stage, nth).await;
        self.broker(stage, nth, gateways).await;
        self.redis(stage, nth, gateways).await;
        self.signing_keys(gateways).await;
        self.admin_token(nth, gateways).await;
    }

    /// Connections are made anew by the new user before the old one goes.
    async fn database(&self, stage: &Stage, nth: u32) {
        let (old, new) = (user(nth - 1, "chat_gateway"), user(nth, ""));
        let ask = |sql: &str| stage.postgres.query("postgres", sql);
        ask(&format!("create role {new} login password '{}' in role chat_gateway", password(nth)));
        for (shard, file) in &self.shards {
            replace(file, &stage.postgres.uri(&new, &password(nth), shard));
        }
        let of_old = format!("select count(*) from pg_stat_activity where usename = '{old}'");
        eventually("every connection is the new user's", MINUTE, async || ask(&of_old).trim() == "0").await;
        // The first one has the rights that the others inherit.
        ask(&if nth == 1 { format!("alter role {old} nologin") } else { format!("drop role {old}") });
    }

    /// From now on the roles that take turns need their passwords.
    fn begin_turns(&self, stage: &Stage) {
        stage.postgres.query("postgres", &format!("create role {OWNER} superuser login password '{}'", password(0)));
        let lines = |shard: &str| vec![login(stage, 0, shard)];
        self.write_shards(&lines);
        migrate(self.config.clone(), &lines, &|shard| vec![owner(stage, 0, shard)]);
        stage.postgres.demand_password(&format!("{},{OWNER}", TURNS.join(",")));
    }

    fn write_shards(&self, lines: &dyn Fn(&str) -> Vec<String>) {
        for (shard, file) in &self.shards {
            replace(file, &lines(shard).join("\n"));
        }
    }

    /// One role in the place of another.
    async fn turn(&self, stage: &Stage, nth: u32, gateways: [&Gateway; 2]) {
        let old = |shard: &str| vec![login(stage, nth - 1, shard)];
        let both = |shard: &str| vec![login(stage, nth - 1, shard), login(stage, nth, shard)];
        let turned = |shard: &str| vec![login(stage, nth, shard), login(stage, nth - 1, shard)];
        let new = |shard: &str| vec![login(stage, nth, shard)];
        let told = async |lines: &dyn Fn(&str) -> Vec<String>| {
            for gateway in gateways {
                let say = async || {
                    let shards = gateway.stats().await.shards;
                    let ids =
                        |name: &str| -> Vec<String> { lines(name).iter().map(|uri| SecretLines::id(uri)).collect() };
                    shards.len() == self.shards.len() && shards.iter().all(|shard| shard.uris == ids(&shard.name))
                };
                eventually("the ways to the shards are told", MINUTE, say).await;
            }
        };
        told(&old).await;
        self.write_shards(&both);
        // A look and more.
        tokio::time::sleep(Duration::from_secs(7)).await;
        told(&old).await;
        let owners = |shard: &str| vec![owner(stage, nth - 1, shard), owner(stage, nth, shard)];
        migrate(self.config.clone(), &both, &owners);
        // Once more, as a Job that was killed at its end.
        migrate(self.config.clone(), &both, &owners);
        told(&both).await;
        self.write_shards(&turned);
        told(&turned).await;
        let of_old = format!("select count(*) from pg_stat_activity where usename = '{}'", TURNS[turn_of(nth - 1)]);
        let ask = |sql: &str| stage.postgres.query("postgres", sql).trim().to_owned();
        eventually("every connection is the next role's", MINUTE, async || ask(&of_old) == "0").await;
        self.write_shards(&new);
        told(&new).await;
        migrate(self.config.clone(), &new, &|shard| vec![owner(stage, nth, shard)]);
        let (shard, _) = &self.shards[0];
        assert!(PgConnection::connect(&owner(stage, nth - 1, shard)).await.is_err(), "the owner's password of before");
        let may = format!(
            "select rolcanlogin or rolpassword is not null from pg_authid where rolname = '{}'",
            TURNS[turn_of(nth - 1)]
        );
        assert_eq!(ask(&may), "f", "the role of before is let in no more");
    }

    /// The server closes the connections of a user who is deleted: gateways come back as the new one.
    async fn broker(&self, stage: &Stage, nth: u32, gateways: [&Gateway; 2]) {
        let (old, new) = (user(nth - 1, "guest"), user(nth, ""));
        stage.broker.ctl(&["add_user", &new, &password(nth)]);
        stage.broker.ctl(&["set_permissions", "-p", "/", &new, ".*", ".*", ".*"]);
        replace(&self.broker, &format!("amqp://{new}:{}@127.0.0.1:{}/%2f", password(nth), stage.broker.port()));
        stage.broker.ctl(&["delete_user", &old]);
        for gateway in gateways {
            eventually("the broker is there", MINUTE, async || gateway.stats().await.broker.available).await;
        }
    }

    /// So does Redis.
    async fn redis(&self, stage: &Stage, nth: u32, gateways: [&Gateway; 2]) {
        let (old, new) = (user(nth - 1, ""), user(nth, ""));
        let mut admin = redis::admin(stage.redis.port(), "secret").await;
        let mut acl = async |arguments: &[&str]| -> ::redis::Value {
            ::redis::cmd("ACL").arg(arguments).query_async(&mut admin).await.unwrap()
        };
        acl(&["SETUSER", &new, "on", &format!(">{}", password(nth)), "~*", "&*", "+@all"]).await;
        replace(&self.redis, &format!("redis://{new}:{}@127.0.0.1:{}", password(nth), stage.redis.port()));
        if nth > 1 {
            acl(&["DELUSER", &old]).await;
        }
        for gateway in gateways {
            eventually("Redis is there", MINUTE, async || gateway.stats().await.redis.available).await;
        }
    }

    /// One way in the place of another, each step when gateways have said that they are ready for it.
    async fn ways(&self, stage: &Stage, gateways: [&Gateway; 2]) {
        let (user, new) = (user(1, ""), password(1));
        let mut admin = redis::admin(stage.redis.port(), "secret").await;
        let mut acl = async |rule: &str| -> ::redis::Value {
            ::redis::cmd("ACL").arg(&["SETUSER", "default", rule]).query_async(&mut admin).await.unwrap()
        };
        let uri = format!("amqp://{user}:{new}@127.0.0.1:{}/%2f", stage.broker.port());
        let url = format!("redis://:{new}@127.0.0.1:{}", stage.redis.port());
        let [old_uri, old_url] =
            [&self.broker, &self.redis].map(|file| fs::read_to_string(file).unwrap().trim().to_owned());
        let write = |uris: &[&str], urls: &[&str]| {
            replace(&self.broker, &uris.join("\n"));
            replace(&self.redis, &urls.join("\n"));
        };
        let told = async |uris: &[&str], urls: &[&str]| {
            let ids = |lines: &[&str]| -> Vec<String> { lines.iter().map(|line| SecretLines::id(line)).collect() };
            let expected = (ids(uris), ids(urls));
            for gateway in gateways {
                let say = async || {
                    let taken = gateway.stats().await.live.unwrap_or_default();
                    (taken.rabbitmq_uris, taken.redis_urls) == expected
                };
                eventually("the ways are told", MINUTE, say).await;
            }
        };
        told(&[&old_uri], &[&old_url]).await;
        write(&[&old_uri, &uri], &[&old_url, &url]);
        // Three looks and more.
        tokio::time::sleep(Duration::from_secs(7)).await;
        told(&[&old_uri], &[&old_url]).await;
        stage.broker.ctl(&["add_user", &user, &new]);
        stage.broker.ctl(&["set_permissions", "-p", "/", &user, ".*", ".*", ".*"]);
        acl(&format!(">{new}")).await;
        told(&[&old_uri, &uri], &[&old_url, &url]).await;
        write(&[&uri, &old_uri], &[&url, &old_url]);
        told(&[&uri, &old_uri], &[&url, &old_url]).await;
        write(&[&uri], &[&url]);
        told(&[&uri], &[&url]).await;
        stage.broker.ctl(&["clear_password", "guest"]);
        acl("<secret").await;
    }

    /// The new key signs from when it is there; the old one verifies until it goes.
    async fn signing_keys(&self, gateways: [&Gateway; 2]) {
        let old = fs::read_to_string(&self.keys).unwrap();
        let new = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
        for content in [format!("{new}{old}"), new] {
            let ids = SigningKeys::parse(content.as_bytes()).unwrap().ids();
            replace(&self.keys, &content);
            for gateway in gateways {
                let taken = async || gateway.stats().await.live.is_some_and(|taken| taken.keys == ids);
                eventually("the keys are taken", MINUTE, taken).await;
            }
        }
    }

    /// In the operator's steps: the new one is known before it is shown, and shown before the old one goes. Whoever shows the first one of the file is let in
    /// at every moment.
    async fn admin_token(&self, nth: u32, gateways: [&Gateway; 2]) {
        let old = fs::read_to_string(&self.admin_token).unwrap().trim().to_owned();
        let new = password(nth);
        for content in [format!("{old}\n{new}"), format!("{new}\n{old}"), new.clone()] {
            let ids = AdminTokens::parse(&content).unwrap().ids();
            replace(&self.admin_token, &content);
            for gateway in gateways {
                let taken = async || gateway.stats().await.live.is_some_and(|taken| taken.admin_tokens == ids);
                eventually("the tokens of the admin port are taken", MINUTE, taken).await;
            }
        }
        for gateway in gateways {
            assert_eq!(gateway.admin("/stats", Some(&old)).await.0, 401, "the old token is good for nothing");
        }
    }
}

/// The Job of the operator, with a mount of its own.
fn migrate(mut config: GatewayConfig, gateways: &dyn Fn(&str) -> Vec<String>, owners: &dyn Fn(&str) -> Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    for shard in &mut config.database.shards {
        shard.uri_file = folder.path().join(&shard.name);
        fs::write(&shard.uri_file, gateways(&shard.name).join("\n")).unwrap();
        let path = folder.path().join(format!("{}-owner", shard.name));
        fs::write(&path, owners(&shard.name).join("\n")).unwrap();
        shard.migration_uri_file = Some(path);
    }
    let file = folder.path().join("config.json");
    fs::write(&file, serde_json::to_string(&config).unwrap()).unwrap();
    let ended = Command::new(PROGRAM).args(["migrate", "--config"]).arg(&file).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
}

/// Whose turn it is.
fn turn_of(nth: u32) -> usize {
    if nth.is_multiple_of(2) { 0 } else { 1 }
}

/// How gateways come to a shard then.
fn login(stage: &Stage, nth: u32, shard: &str) -> String {
    stage.postgres.uri(TURNS[turn_of(nth)], &password(nth), shard)
}

/// How its owner does.
fn owner(stage: &Stage, nth: u32, shard: &str) -> String {
    stage.postgres.uri(OWNER, &password(nth), shard)
}

/// The user of a round; the one of before the first.
fn user(nth: u32, first: &str) -> String {
    if nth == 0 { first.to_owned() } else { format!("rotated_{nth}") }
}

fn password(nth: u32) -> String {
    format!("rotated-{nth}")
}

/// At once, as Kubernetes does: nobody reads half of it.
fn replace(file: &Path, content: &str) {
    let next = file.with_extension("next");
    fs::write(&next, content).unwrap();
    fs::rename(next, file).unwrap();
}
