//! Brokers that are changed, and Kafka that goes and comes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::{ChatCluster, chat_cluster::summary, children::title, pods::Part};
use serde_json::{Value, json};

use crate::{outside::kafka::Kafka, shared::SETTLE_LIMIT};

/// Makes this, `spec.broker` with one kind, the broker of a running cluster, and waits until every gateway uses it and RabbitMQ runs only
/// where it is the broker.
///
/// # Errors
/// It is refused, or the cluster does not settle.
pub(crate) async fn change(cluster: &ChatCluster, broker: Value) -> Result<()> {
    let mut patch = json!({ "rabbitmq": null, "redisPubSub": null, "kafka": null });
    let has_rabbitmq = broker["rabbitmq"].is_object();
    for (kind, settings) in broker.as_object().context("no broker")? {
        patch[kind] = settings.clone();
    }
    cluster.merge(json!({ "spec": { "broker": patch } })).await?;
    let object = cluster.wait_ready(SETTLE_LIMIT).await?;
    cluster.wait_condition(Part::Broker.condition(), "True", SETTLE_LIMIT).await?;
    let rabbitmq = format!("StatefulSet/{}-rabbitmq", cluster.name);
    let there = cluster.children().await?.iter().any(|child| title(child) == rabbitmq);
    ensure!(there == has_rabbitmq, "RabbitMQ is there: {there}; {}", summary(&object));
    Ok(())
}

/// Kills Kafka, waits until the cluster says so, starts it again, and waits until the cluster says that, by itself.
///
/// # Errors
/// The cluster says nothing within `limit`, or not what a person needs, or does not recover.
pub(crate) async fn kafka_goes_and_comes(cluster: &ChatCluster, kafka: &Kafka, limit: Duration) -> Result<()> {
    kafka.kill()?;
    let killed = Instant::now();
    let names = ["Kafka", kafka.bootstrap.as_str()];
    let told = cluster.wait_told(Part::Broker.condition(), &["ConnectionRefused"], &names, limit).await?;
    println!("Kafka away: {} after {:.1} s: {}", told["reason"], killed.elapsed().as_secs_f64(), told["message"]);
    kafka.up().await?;
    let started = Instant::now();
    cluster.wait_condition(Part::Broker.condition(), "True", SETTLE_LIMIT).await?;
    println!("Kafka back: seen after {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}
