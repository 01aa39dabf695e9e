//! The suite on Redis Pub/Sub: on one server, on the primary that sentinels name, and on a cluster; and what only these can do or suffer.

use std::{collections::HashSet, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use chat_gateway::broker::{self, Key, RedisPubSubSettings};
use chat_gateway_config::Redis as RedisConfig;
use tokio::time::{Instant, timeout};

use super::{
    Addressed, End, LONG, Server, Subject as _, a_frozen_broker_is_noticed_and_blocks_nobody, conforms, reason,
    refused_credentials_show_and_new_ones_are_read, room,
    support::{
        eventually,
        proxy::{Proxy, Way},
        redis::{self as support_redis, Redis},
        redis_cluster::RedisCluster,
        redis_sentinel::{RedisSentinel, SENTINEL_PASSWORD, SERVICE},
        server::Service,
    },
};

const MINUTE: Duration = Duration::from_secs(60);

fn end(file: PathBuf, linger: Duration) -> End {
    let mut settings = RedisPubSubSettings::new(RedisConfig::at(file), "test/demo");
    settings.linger = linger;
    on_redis(settings)
}

fn on_redis(settings: RedisPubSubSettings) -> End {
    let (broker, deliveries) = broker::on_redis_pubsub(settings);
    End { broker: Arc::new(broker), deliveries }
}

impl Server for Redis {
    fn end(&self, _name: &str, linger: Duration) -> End {
        end(self.url_file("secret"), linger)
    }
}

impl Server for RedisSentinel {
    fn end(&self, _name: &str, linger: Duration) -> End {
        end(self.url_file(), linger)
    }
}

impl Server for RedisCluster {
    fn end(&self, _name: &str, linger: Duration) -> End {
        end(self.url_file(), linger)
    }
}

impl Addressed for Redis {
    fn end_by(&self, file: PathBuf) -> End {
        end(file, LONG)
    }

    fn address(&self, password: &str) -> String {
        std::fs::read_to_string(self.url_file(password)).unwrap()
    }

    const PASSWORD: &str = "secret";
    const NOBODY_LISTENS: &str = "redis://:secret@127.0.0.1:1";
    const MALFORMED: &str = "InvalidUrl";
}

impl Addressed for RedisSentinel {
    fn end_by(&self, file: PathBuf) -> End {
        end(file, LONG)
    }

    fn address(&self, password: &str) -> String {
        self.url(password, SENTINEL_PASSWORD, SERVICE)
    }

    const PASSWORD: &str = "secret";
    const NOBODY_LISTENS: &str = "redis-sentinel://:secret@127.0.0.1:1/chat";
    const MALFORMED: &str = "InvalidUrl";
}

impl Addressed for RedisCluster {
    fn end_by(&self, file: PathBuf) -> End {
        end(file, LONG)
    }

    fn address(&self, password: &str) -> String {
        self.url(password)
    }

    const PASSWORD: &str = "secret";
    const NOBODY_LISTENS: &str = "redis-cluster://:secret@127.0.0.1:1";
    const MALFORMED: &str = "InvalidUrl";
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_pubsub_conforms_and_its_troubles_show() {
    let mut server = Redis::start().await;
    conforms(&mut server).await;
    messages_that_the_hub_cannot_take_raise_the_epoch(&server).await;
    two_clusters_on_one_redis_do_not_hear_each_other(&server).await;
    a_reader_that_redis_cuts_off_for_its_slowness_catches_up(&server).await;
    a_frozen_broker_is_noticed_and_blocks_nobody(&server).await;
    refused_credentials_show_and_new_ones_are_read(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_behind_sentinels_conforms_and_its_primary_is_followed() {
    let mut servers = RedisSentinel::start().await;
    a_killed_primary_is_followed(&servers).await;
    servers.up().await;
    conforms(&mut servers).await;
    servers.primary().await;
    refused_credentials_show_and_new_ones_are_read(&servers).await;
    let file = servers.url_file().with_extension("wrong");
    std::fs::write(&file, servers.url("secret", "wrong", SERVICE)).unwrap();
    let end = servers.end_by(file.clone());
    reason(&end, "AuthenticationFailed").await;
    assert!(end.broker.state().borrow().component.message.contains("sentinelPassword"));
    std::fs::write(&file, servers.url("secret", SENTINEL_PASSWORD, "nobody")).unwrap();
    reason(&end, "UnknownService").await;
}

/// Checks that each room is heard at `reader`, who has bound them. What is published before a subscription has followed its slot may be missed,
/// which the epoch tells; so what stays silent is said again.
async fn every_room_is_heard(writer: &End, reader: &mut End, rooms: std::ops::Range<u128>, body: &str) {
    let mut silent: HashSet<Key> = rooms.map(room).collect();
    let start = Instant::now();
    while !silent.is_empty() {
        for key in &silent {
            while let Err(error) = writer.broker.publish(*key, Bytes::from(body.to_owned())).await {
                assert!(start.elapsed() < MINUTE, "nothing is confirmed: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        while let Ok(delivery) = timeout(Duration::from_secs(2), reader.deliveries.recv()).await {
            let delivery = delivery.unwrap();
            if delivery.body == body {
                silent.remove(&delivery.key);
            }
            if silent.is_empty() {
                break;
            }
        }
        assert!(start.elapsed() < MINUTE, "{} rooms never heard {body:?}", silent.len());
    }
}

async fn epoch_rises(end: &End, before: u64) {
    let mut state = end.broker.state();
    let risen = state.wait_for(|state| state.epoch > before && state.component.available);
    let outcome = timeout(MINUTE, risen).await.map(drop);
    assert!(outcome.is_ok(), "the epoch stays: {:?}", end.broker.state().borrow().component);
}

async fn a_killed_primary_is_followed(servers: &RedisSentinel) {
    let (a, mut b) = (servers.join("a", LONG), servers.join("b", LONG));
    for end in [&a, &b] {
        end.available().await;
    }
    for n in 0..50 {
        b.broker.bind(room(n)).await.unwrap();
    }
    every_room_is_heard(&a, &mut b, 0..50, "before").await;
    let (before_a, before_b) = (a.epoch(), b.epoch());
    servers.primary().await.kill();
    let start = Instant::now();
    epoch_rises(&b, before_b).await;
    epoch_rises(&a, before_a).await;
    println!("both are with the new primary {:?} after the old one was killed", start.elapsed());
    every_room_is_heard(&a, &mut b, 0..50, "after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_cluster_conforms_and_its_troubles_show() {
    let mut cluster = RedisCluster::start().await;
    conforms(&mut cluster).await;
    messages_that_the_hub_cannot_take_raise_the_epoch(&cluster).await;
    slots_that_move_are_followed_in_the_same_session(&cluster).await;
    one_node_of_several_that_is_away_takes_only_its_rooms_with_it(&cluster).await;
    a_frozen_broker_is_noticed_and_blocks_nobody(&cluster).await;
    refused_credentials_show_and_new_ones_are_read(&cluster).await;
}

async fn slots_that_move_are_followed_in_the_same_session(cluster: &RedisCluster) {
    let (a, mut b) = (cluster.join("a", LONG), cluster.join("b", LONG));
    for end in [&a, &b] {
        end.available().await;
    }
    for n in 0..1_000 {
        b.broker.bind(room(n)).await.unwrap();
    }
    every_room_is_heard(&a, &mut b, 0..1_000, "before").await;
    let before = b.epoch();
    // The first node gives a tenth of all slots away.
    let start = Instant::now();
    cluster.move_slots(0..1_600, 0, 1).await;
    println!("1600 slots moved in {:?}", start.elapsed());
    epoch_rises(&b, before).await;
    every_room_is_heard(&a, &mut b, 0..1_000, "after").await;
    println!("every room is heard {:?} after the first slot moved", start.elapsed());
    cluster.move_slots(0..1_600, 1, 0).await;
}

async fn one_node_of_several_that_is_away_takes_only_its_rooms_with_it(cluster: &RedisCluster) {
    const ROOMS: u128 = 200;
    let (a, mut b) = (cluster.join("a", LONG), cluster.join("b", LONG));
    for end in [&a, &b] {
        end.available().await;
    }
    for n in 0..ROOMS {
        b.broker.bind(room(n)).await.unwrap();
    }
    every_room_is_heard(&a, &mut b, 0..ROOMS, "before").await;
    let before = b.epoch();
    cluster.servers()[2].kill();
    let start = Instant::now();
    reason(&b, "ConnectionRefused").await;
    let message = b.broker.state().borrow().component.message.clone();
    assert!(message.contains("of the Redis Cluster is away"), "{message}");
    let mut heard = 0;
    for n in 0..ROOMS {
        heard += u32::from(a.broker.publish(room(n), Bytes::from_static(b"during")).await.is_ok());
    }
    println!("{heard} of {ROOMS} publishes were taken while one node of three was away");
    assert!((100..180).contains(&heard), "{heard}");
    for _ in 0..heard {
        assert_eq!(b.next().await.1, "during");
    }
    // A binding is a wish then, at once.
    for n in ROOMS..2 * ROOMS {
        timeout(MINUTE, b.broker.bind(room(n))).await.expect("nobody waits for a node that is away").unwrap();
    }
    cluster.up().await;
    epoch_rises(&b, before).await;
    println!("whole again {:?} after the node was killed", start.elapsed());
    every_room_is_heard(&a, &mut b, 0..2 * ROOMS, "after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_takes_over_is_followed_in_the_same_session() {
    let cluster = RedisCluster::start_with(4).await;
    let (a, mut b) = (cluster.join("a", LONG), cluster.join("b", LONG));
    for end in [&a, &b] {
        end.available().await;
    }
    for n in 0..1_000 {
        b.broker.bind(room(n)).await.unwrap();
    }
    every_room_is_heard(&a, &mut b, 0..1_000, "before").await;
    let before = b.epoch();
    cluster.servers()[0].kill();
    let start = Instant::now();
    cluster.owns_slots(3).await;
    let promoted = start.elapsed();
    epoch_rises(&b, before).await;
    println!("a replica took over after {promoted:?}, and its rooms were bound after {:?}", start.elapsed());
    every_room_is_heard(&a, &mut b, 0..1_000, "after").await;
}

async fn messages_that_the_hub_cannot_take_raise_the_epoch<S: Addressed>(server: &S) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("url");
    std::fs::write(&file, server.address(S::PASSWORD)).unwrap();
    let mut settings = RedisPubSubSettings::new(RedisConfig::at(file), "test/demo");
    settings.held_bytes = 4_096;
    let (mut small, writer) = (on_redis(settings), server.join("writer", LONG));
    small.available().await;
    writer.available().await;
    small.broker.bind(room(6)).await.unwrap();
    let before = small.epoch();
    let body = Bytes::from(vec![b'x'; 1_000]);
    // Nobody reads: the receiver's 1024 and the four that are held fill up, the rest is dropped.
    for _ in 0..1_700 {
        writer.publish(room(6), body.clone()).await;
    }
    let mut taken = 0;
    while timeout(Duration::from_millis(300), small.deliveries.recv()).await.is_ok() {
        taken += 1;
    }
    println!("{taken} of 1700 were taken");
    assert!(taken < 1_100, "{taken}");
    eventually("the epoch rises", Duration::from_secs(3), async || small.epoch() > before).await;
    assert!(small.broker.state().borrow().component.available);
}

async fn a_reader_that_redis_cuts_off_for_its_slowness_catches_up(server: &Redis) {
    let limit = async |limit: &str| {
        let mut admin = support_redis::admin(server.port(), "secret").await;
        let mut command = redis::cmd("CONFIG");
        command.arg("SET").arg("client-output-buffer-limit").arg(format!("pubsub {limit} 0 0"));
        command.query_async::<()>(&mut admin).await.unwrap();
    };
    limit("100kb").await;
    let proxy = Proxy::start(0, server.port()).await;
    let (mut slow, writer) = (end(server.url_file_at("secret", proxy.port()), LONG), server.join("writer", LONG));
    slow.available().await;
    writer.available().await;
    slow.broker.bind(room(6)).await.unwrap();
    let before = slow.epoch();
    proxy.pace(Way::ToGateway, Some(0));
    let body = Bytes::from(vec![b'x'; 32_000]);
    let start = Instant::now();
    // The kernel's buffers fill up first.
    while !server.servers()[0].log().contains("output buffer limits") {
        assert!(start.elapsed() < MINUTE, "Redis cuts nobody off");
        writer.publish(room(6), body.clone()).await;
    }
    proxy.pace(Way::ToGateway, None);
    let heard = async {
        while slow.epoch() == before {
            drop(timeout(Duration::from_millis(50), slow.deliveries.recv()).await);
        }
    };
    timeout(MINUTE, heard).await.expect("the epoch rises");
    limit("32mb").await;
    while timeout(Duration::from_millis(300), slow.deliveries.recv()).await.is_ok() {}
    writer.publish(room(6), "heard again").await;
    assert_eq!(slow.next().await.1, "heard again");
}

async fn two_clusters_on_one_redis_do_not_hear_each_other(server: &Redis) {
    let mut other = on_redis(RedisPubSubSettings::new(RedisConfig::at(server.url_file("secret")), "test/demo-2"));
    let mut ours = server.join("ours", LONG);
    for end in [&ours, &other] {
        end.available().await;
        end.broker.bind(room(9)).await.unwrap();
    }
    ours.publish(room(9), "ours").await;
    assert_eq!(ours.next().await.1, "ours");
    other.silent().await;
}
