//! Limits and presence over several gateways, on a real Redis: shared while it is there, from this process alone while it is away.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chat_gateway::{
    limiter::{Limiter, Rate, RedisLimiter},
    model::UserId,
    presence::{Attendance, Presence, RedisPresence},
    redis_link::RedisLink,
};
use chat_gateway_config::Redis as RedisConfig;
use support::{
    eventually, redis::Redis, redis_cluster::RedisCluster, redis_sentinel::RedisSentinel, server::Service as _,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const SECOND: Duration = Duration::from_secs(1);

fn link(redis: &Redis) -> RedisLink {
    RedisLink::start(RedisConfig::at(redis.url_file("secret")), CancellationToken::new())
}

async fn available(link: &RedisLink, expected: bool) {
    let mut state = link.state();
    tokio::time::timeout(10 * SECOND, state.wait_for(|state| state.available == expected))
        .await
        .expect("within 10 s")
        .unwrap();
}

#[tokio::test]
async fn gateways_share_a_bucket_and_go_on_without_redis() {
    let redis = Redis::start().await;
    let links = [link(&redis), link(&redis)];
    for link in &links {
        available(link, true).await;
    }
    let limiters = links.clone().map(|link| RedisLimiter::new(link, "ns/demo"));
    let rate = Rate::per_second(1, 10);
    for n in 0..10 {
        limiters[n % 2].take("user:1", rate).await.unwrap();
    }
    let wait = limiters[0].take("user:1", rate).await.unwrap_err();
    assert!(wait <= SECOND && wait > Duration::ZERO, "{wait:?}");
    limiters[1].take("user:1", rate).await.unwrap_err();
    limiters[1].take("user:2", rate).await.unwrap();
    // Of several buckets each gives a token, or none does.
    let both = [("user:1".to_owned(), rate), ("user:3".to_owned(), rate)];
    assert!(limiters[0].take_all(&both).await.unwrap_err() <= wait);
    for _ in 0..rate.burst {
        limiters[1].take_all(&both[1..]).await.unwrap();
    }
    tokio::time::sleep(wait).await;
    limiters[1].take("user:1", rate).await.unwrap();

    redis.kill();
    let start = Instant::now();
    for _ in 0..10 {
        limiters[0].take("user:1", rate).await.unwrap();
    }
    limiters[0].take("user:1", rate).await.unwrap_err();
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    available(&links[0], false).await;
    redis.up().await;
    available(&links[0], true).await;
    limiters[0].take("user:1", rate).await.expect("the shared bucket is new, as Redis is");
}

#[tokio::test]
async fn a_frozen_redis_costs_a_call_a_tenth_of_a_second_and_soon_nothing() {
    let redis = Redis::start().await;
    let link = link(&redis);
    available(&link, true).await;
    let limiter = RedisLimiter::new(link.clone(), "ns/demo");
    let rate = Rate::per_second(1_000, 1_000);
    limiter.take("user:1", rate).await.unwrap();
    redis.freeze();
    let mut slow = 0;
    for _ in 0..50 {
        let start = Instant::now();
        limiter.take("user:1", rate).await.unwrap();
        let took = start.elapsed();
        assert!(took < Duration::from_millis(200), "{took:?}");
        slow += u32::from(took > Duration::from_millis(20));
    }
    assert!(slow <= 3, "{slow} of 50 calls waited");
    available(&link, false).await;
    assert_eq!(link.state().borrow().reason, "Timeout");
    redis.thaw();
    available(&link, true).await;
}

#[tokio::test]
async fn presence_counts_sessions_over_gateways() {
    let redis = Redis::start().await;
    let stop = CancellationToken::new();
    let links = [link(&redis), link(&redis)];
    for link in &links {
        available(link, true).await;
    }
    let a = RedisPresence::start(links[0].clone(), "ns/demo", "a", 15 * SECOND, stop.clone());
    let b = RedisPresence::start(links[1].clone(), "ns/demo", "b", 15 * SECOND, stop.clone());
    let [eve, dan] = [1, 2].map(|n| UserId(Uuid::from_u128(n)));
    assert!(a.arrive(eve).await, "the first anywhere");
    assert!(!a.arrive(eve).await, "a second tab");
    assert!(!b.arrive(eve).await, "a second gateway");
    assert_eq!(b.online(&[dan, eve]).await.users, [false, true]);
    assert!(!a.leave(eve).await);
    assert!(!a.leave(eve).await, "still on b");
    assert_eq!(a.online(&[eve]).await.users, [true]);
    assert!(b.leave(eve).await, "the last anywhere");
    assert_eq!(a.online(&[eve, dan]).await.users, [false, false]);

    a.arrive(dan).await;
    redis.kill();
    available(&links[1], false).await;
    assert_eq!(a.online(&[dan]).await, Attendance { users: vec![true], incomplete: false }, "known here");
    assert_eq!(b.online(&[dan]).await, Attendance { users: vec![false], incomplete: true }, "not known there");
    redis.up().await;
    eventually("a vouches again for those who stayed", 10 * SECOND, async || b.online(&[dan]).await.users[0]).await;
}

#[tokio::test]
async fn arrivals_and_departures_that_overtake_each_other_end_right() {
    let redis = Redis::start().await;
    let link = link(&redis);
    available(&link, true).await;
    let a = RedisPresence::start(link.clone(), "ns/demo", "a", 15 * SECOND, CancellationToken::new());
    let b = RedisPresence::start(link, "ns/demo", "b", 15 * SECOND, CancellationToken::new());
    let user = UserId(Uuid::from_u128(1));
    for _ in 0..50 {
        tokio::join!(a.arrive(user), a.leave(user), a.arrive(user), a.leave(user), a.arrive(user));
        assert!(b.online(&[user]).await.users[0]);
        tokio::join!(a.leave(user), a.arrive(user), a.leave(user));
        while a.leave(user).await {}
        tokio::join!(a.arrive(user), a.leave(user));
        assert!(!b.online(&[user]).await.users[0]);
    }
}

/// How long a gateway of these tests may be silent.
const LIFE: Duration = Duration::from_secs(2);

/// A gateway's presence with its signs of life, until it is stopped; those who were declared gone are collected.
struct Alive {
    presence: Arc<RedisPresence>,
    returned: Arc<Mutex<Vec<UserId>>>,
    gone: Arc<Mutex<Vec<UserId>>>,
    beating: tokio::task::JoinHandle<()>,
}

impl Alive {
    async fn start(redis: &Redis, name: &str) -> Self {
        let link = link(redis);
        available(&link, true).await;
        let presence = Arc::new(RedisPresence::start(link, "ns/demo", name, LIFE, CancellationToken::new()));
        let mut alive =
            Self { presence, returned: Arc::default(), gone: Arc::default(), beating: tokio::spawn(async {}) };
        alive.beat();
        alive
    }

    fn beat(&mut self) {
        let presence = Arc::clone(&self.presence);
        let (returned, gone) = (Arc::clone(&self.returned), Arc::clone(&self.gone));
        self.beating = tokio::spawn(async move {
            loop {
                let news = presence.beat().await;
                returned.lock().unwrap().extend(news.online);
                gone.lock().unwrap().extend(news.offline);
                tokio::time::sleep(presence.pulse().unwrap()).await;
            }
        });
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

#[tokio::test]
async fn one_of_the_others_inherits_the_users_of_a_gateway_that_died() {
    let redis = Redis::start().await;
    let mut a = Alive::start(&redis, "a").await;
    let (b, c) = (Alive::start(&redis, "b").await, Alive::start(&redis, "c").await);
    let lonely: Vec<UserId> = (1..=120).map(|n| UserId(Uuid::from_u128(n))).collect();
    let [shared, left] = [1_001, 1_002].map(|n| UserId(Uuid::from_u128(n)));
    for user in lonely.iter().chain([&shared, &left]) {
        a.presence.arrive(*user).await;
    }
    b.presence.arrive(shared).await;
    a.presence.leave(left).await;
    tokio::time::sleep(LIFE + LIFE / 2).await;
    assert_eq!((b.presence.inherit().await, c.presence.inherit().await), (None, None), "nobody died");

    a.beating.abort();
    let died = Instant::now();
    let mut unsettled = None;
    eventually("b inherits", 30 * SECOND, async || {
        unsettled = b.presence.inherit().await;
        unsettled.is_some()
    })
    .await;
    println!("inherited {:?} after the last sign of life, which counted for {LIFE:?}", died.elapsed());
    assert_eq!(c.presence.inherit().await, None, "b is at it");
    assert!(unsettled.is_some_and(|estate| estate.gateway.starts_with("a/") && estate.offline.len() >= 49));
    // It does not settle, as an heir that dies: c goes on, and inherits from b as well.
    b.beating.abort();
    let mut offline = Vec::new();
    eventually("c inherits everything", 60 * SECOND, async || {
        while let Some(estate) = c.presence.inherit().await {
            offline.extend(estate.offline.clone());
            c.presence.settle(estate).await;
        }
        offline.len() > lonely.len()
    })
    .await;
    // Whom b had taken from a's list and was in b's own as well is told of for either: an heir that dies may not have told.
    offline.sort();
    let again = offline.len() - lonely.len() - 1;
    offline.dedup();
    let mut expected = lonely.clone();
    expected.push(shared);
    assert_eq!(offline, expected, "everyone, and nobody who had left");
    assert!(again <= 1, "who was with one gateway is told of once");
    assert_eq!(c.presence.online(&[lonely[0], lonely[119], shared]).await.users, [false, false, false]);

    // a was not dead at all, and says so.
    assert!(a.returned.lock().unwrap().is_empty());
    a.beat();
    let returned = async || a.returned.lock().unwrap().len() >= lonely.len();
    eventually("a's users are back", 30 * SECOND, returned).await;
    assert_eq!(c.presence.online(&[lonely[0], lonely[119], left]).await.users, [true, true, false]);
}

#[tokio::test]
async fn a_redis_that_was_away_makes_nobody_dead() {
    let redis = Redis::start().await;
    let (a, b) = (Alive::start(&redis, "a").await, Alive::start(&redis, "b").await);
    let eve = UserId(Uuid::from_u128(1));
    a.presence.arrive(eve).await;
    tokio::time::sleep(LIFE + LIFE / 2).await;
    for outage in ["frozen", "killed"] {
        if outage == "frozen" {
            redis.freeze();
        } else {
            redis.kill();
        }
        tokio::time::sleep(LIFE + LIFE / 2).await;
        if outage == "frozen" {
            redis.thaw();
        } else {
            redis.up().await;
        }
        let back = Instant::now();
        while back.elapsed() < 2 * LIFE {
            assert_eq!(b.presence.inherit().await, None, "{outage}: {:?} after it is back", back.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(b.presence.online(&[eve]).await.users[0], "{outage}");
    }
    assert!(a.returned.lock().unwrap().is_empty());
}

/// A pause of Redis that is too short for the connection to be given up: nobody notices but those who came and went in it.
#[tokio::test]
async fn who_came_or_went_while_redis_did_not_answer_in_time_is_told_of() {
    let redis = Redis::start().await;
    let (a, b) = (Alive::start(&redis, "a").await, Alive::start(&redis, "b").await);
    let [ann, bob, eve] = [1, 2, 3].map(|n| UserId(Uuid::from_u128(n)));
    a.presence.arrive(bob).await;
    a.presence.arrive(eve).await;
    b.presence.arrive(eve).await;
    redis.freeze();
    assert!(a.presence.arrive(ann).await, "nobody knows better");
    assert!(a.presence.leave(bob).await, "nobody knows better");
    a.presence.leave(eve).await;
    redis.thaw();
    eventually("others hear of both", 10 * SECOND, async || {
        *a.returned.lock().unwrap() == [ann] && *a.gone.lock().unwrap() == [bob]
    })
    .await;
    assert_eq!(
        b.presence.online(&[ann, bob, eve]).await,
        Attendance { users: vec![true, false, true], incomplete: false }
    );
    tokio::time::sleep(LIFE).await;
    assert_eq!((a.returned.lock().unwrap().len(), a.gone.lock().unwrap().len()), (1, 1), "once");
}

#[tokio::test]
async fn a_refused_password_shows() {
    let redis = Redis::start().await;
    let link = RedisLink::start(RedisConfig::at(redis.url_file("wrong")), CancellationToken::new());
    let mut state = link.state();
    let shown = state.wait_for(|state| state.reason == "AuthenticationFailed");
    let shown = tokio::time::timeout(5 * SECOND, shown).await.expect("within 5 s").unwrap().clone();
    assert!(!shown.message.contains("wrong"), "{}", shown.message);
}

#[tokio::test]
async fn limits_follow_the_primary_that_the_sentinels_name() {
    let servers = RedisSentinel::start().await;
    let link = RedisLink::start(RedisConfig::at(servers.url_file()), CancellationToken::new());
    available(&link, true).await;
    let limiter = RedisLimiter::new(link.clone(), "ns/demo");
    let rate = Rate { per_minute: 1, burst: 1 };
    limiter.take("user:1", rate).await.unwrap();
    limiter.take("user:1", rate).await.unwrap_err();
    servers.primary().await.kill();
    let start = Instant::now();
    available(&link, false).await;
    available(&link, true).await;
    println!("with the new primary {:?} after the old one was killed", start.elapsed());
    let fresh = RedisLimiter::new(link.clone(), "ns/demo");
    fresh.take("user:2", rate).await.unwrap();
    // The process' own buckets, which stand in while Redis is away, are another limiter's.
    limiter.take("user:2", rate).await.expect_err("both take from the bucket in Redis");
}

#[tokio::test]
async fn a_cluster_is_refused_for_limits_whichever_way_it_is_named() {
    let cluster = RedisCluster::start().await;
    let one = cluster.url_file().with_extension("one");
    std::fs::write(&one, cluster.url("secret").replace("redis-cluster", "redis").split(',').next().unwrap()).unwrap();
    for file in [cluster.url_file(), one] {
        let link = RedisLink::start(RedisConfig::at(file), CancellationToken::new());
        let mut state = link.state();
        let refused = state.wait_for(|state| state.reason == "ClusterUnsupported");
        let refused = tokio::time::timeout(10 * SECOND, refused).await.expect("within 10 s").unwrap().clone();
        assert!(refused.message.contains("redis-sentinel://"), "{}", refused.message);
    }
}
