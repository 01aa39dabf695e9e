//! Limits and presence over several gateways, on a real Redis: shared while it is there, from this process alone while it is away.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use std::time::{Duration, Instant};

use chat_gateway::{
    limiter::{Limiter, Rate, RedisLimiter},
    model::UserId,
    presence::{Presence, RedisPresence},
    redis_link::RedisLink,
};
use support::{eventually, redis::Redis};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const SECOND: Duration = Duration::from_secs(1);

fn link(redis: &Redis) -> RedisLink {
    RedisLink::start(redis.url_file("secret"), CancellationToken::new())
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
    let mut redis = Redis::start().await;
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
    let mut redis = Redis::start().await;
    let stop = CancellationToken::new();
    let links = [link(&redis), link(&redis)];
    for link in &links {
        available(link, true).await;
    }
    let a = RedisPresence::start(links[0].clone(), "ns/demo", "a", stop.clone());
    let b = RedisPresence::start(links[1].clone(), "ns/demo", "b", stop.clone());
    let [eve, dan] = [1, 2].map(|n| UserId(Uuid::from_u128(n)));
    assert!(a.arrive(eve).await, "the first anywhere");
    assert!(!a.arrive(eve).await, "a second tab");
    assert!(!b.arrive(eve).await, "a second gateway");
    assert_eq!(b.online(&[dan, eve]).await, [false, true]);
    assert!(!a.leave(eve).await);
    assert!(!a.leave(eve).await, "still on b");
    assert_eq!(a.online(&[eve]).await, [true]);
    assert!(b.leave(eve).await, "the last anywhere");
    assert_eq!(a.online(&[eve, dan]).await, [false, false]);

    a.arrive(dan).await;
    redis.kill();
    available(&links[1], false).await;
    assert!(a.online(&[dan]).await[0], "known here");
    assert!(!b.online(&[dan]).await[0], "not known there");
    redis.up().await;
    eventually("a vouches again for those who stayed", 10 * SECOND, async || b.online(&[dan]).await[0]).await;
}

#[tokio::test]
async fn arrivals_and_departures_that_overtake_each_other_end_right() {
    let redis = Redis::start().await;
    let link = link(&redis);
    available(&link, true).await;
    let a = RedisPresence::start(link.clone(), "ns/demo", "a", CancellationToken::new());
    let b = RedisPresence::start(link, "ns/demo", "b", CancellationToken::new());
    let user = UserId(Uuid::from_u128(1));
    for _ in 0..50 {
        tokio::join!(a.arrive(user), a.leave(user), a.arrive(user), a.leave(user), a.arrive(user));
        assert!(b.online(&[user]).await[0]);
        tokio::join!(a.leave(user), a.arrive(user), a.leave(user));
        while a.leave(user).await {}
        tokio::join!(a.arrive(user), a.leave(user));
        assert!(!b.online(&[user]).await[0]);
    }
}

#[tokio::test]
async fn a_refused_password_shows() {
    let redis = Redis::start().await;
    let link = RedisLink::start(redis.url_file("wrong"), CancellationToken::new());
    let mut state = link.state();
    let shown = state.wait_for(|state| state.reason == "AuthenticationFailed");
    let shown = tokio::time::timeout(5 * SECOND, shown).await.expect("within 5 s").unwrap().clone();
    assert!(!shown.message.contains("wrong"), "{}", shown.message);
}
