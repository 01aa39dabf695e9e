//! Two gateways, as the processes they will be, over each broker that goes bad in every way there is: a table of [`Fault`]s and brokers without
//! an empty cell, and what only some brokers can suffer. What was acknowledged arrives everywhere exactly once and in order, nobody hears of
//! rooms of others, gateways stay up, say that they miss something, and do not hold what they cannot pass on.
//!
//! `CHATCLUSTER_LONG=1` keeps servers frozen, and slow, for 30 seconds and not for a few, with over 100 MB of texts meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod fault;
mod suffers;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod troubles;

use support::{
    kafka::Kafka, rabbitmq::RabbitMq, redis::Redis, redis_cluster::RedisCluster, redis_sentinel::RedisSentinel,
    scene::Talk, server::Service as _,
};
use table::Table;
use troubles::{available, both_miss};

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_goes_bad() {
    let mut table: Table<RabbitMq> = Table::open().await;
    table.every_fault().await;
    table.all_is_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_goes_bad() {
    let mut table: Table<Kafka> = Table::open().await;
    table.every_fault().await;
    table.all_is_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_goes_bad() {
    let mut table: Table<Redis> = Table::open().await;
    table.every_fault().await;
    table.all_is_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_behind_sentinels_goes_bad_and_fails_over() {
    let mut table: Table<RedisSentinel> = Table::open().await;
    table
        .befall("the primary killed", Talk::short(300), async |broker, gateways| {
            let primary = broker.broker.primary().await;
            both_miss(gateways, || primary.kill()).await;
            available(gateways).await;
        })
        .await;
    table.scene.stage.broker.up().await;
    table
        .befall("the primary frozen", Talk::short(300), async |broker, gateways| {
            let primary = broker.broker.primary().await;
            both_miss(gateways, || primary.freeze()).await;
            available(gateways).await;
            primary.thaw();
        })
        .await;
    table.every_fault().await;
    table.all_is_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_cluster_goes_bad() {
    let mut table: Table<RedisCluster> = Table::open().await;
    table.every_fault().await;
    table
        .befall("one node killed", Talk::short(300), async |broker, gateways| {
            both_miss(gateways, || broker.servers()[1].kill()).await;
            broker.up().await;
            available(gateways).await;
        })
        .await;
    table.all_is_well();
}
