//! The version before and today's on the same backends, over each broker: the schema is expanded under gateways that serve, both versions serve side by
//! side, today's is taken back with all that it has written, and comes again. Whoever is on one gateway talks to whoever is on the other one; nothing
//! acknowledged is lost, doubled or reordered. And what migrations may do, so that this goes on: see `expand`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod catalog;
mod course;
mod device;
mod exchange;
mod expand;
mod statements;
#[path = "../support/mod.rs"]
mod support;

use course::Course;
use support::{kafka::Kafka, rabbitmq::RabbitMq, redis::Redis, stage::BrokerService};

async fn upgraded_taken_back_and_upgraded_again<B: BrokerService>() {
    let mut course: Course<B> = Course::begin().await;
    let early = course.a_new_gateway_comes_too_early().await;
    course.the_schema_is_expanded(&early).await;
    course.second_is_replaced("an old gateway drains to a new one", early).await;
    course.side_by_side("an old gateway and a new one").await;
    course.everything_is_said().await;
    course.first_dies("an old gateway dies beside a new one").await;
    course.it_is_taken_back().await;
    course.migrating_backwards_changes_nothing();
    let again = course.start_new("new-2").await;
    course.second_is_replaced("an old gateway drains to a new one again", again).await;
    course.side_by_side("an old gateway and a new one again").await;
    course.all_is_there().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_mix_over_rabbitmq() {
    Box::pin(upgraded_taken_back_and_upgraded_again::<RabbitMq>()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_mix_over_kafka() {
    Box::pin(upgraded_taken_back_and_upgraded_again::<Kafka>()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_mix_over_redis() {
    Box::pin(upgraded_taken_back_and_upgraded_again::<Redis>()).await;
}
