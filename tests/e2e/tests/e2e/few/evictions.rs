//! A gateway that Kubernetes takes away moves its clients at the ChatCluster's pace, and not at its own.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use chat_test_client::load::{self, Load, Progress};
use e2e::{
    ChatCluster, Namespace, World, manifest,
    pods::Part,
    wait::{Seen, until},
};
use kube::{ResourceExt as _, api::EvictParams};
use serde_json::json;

use super::people::People;
use crate::shared::{READY_LIMIT, SETTLE_LIMIT, turn};

/// Devices on both gateways together.
const DEVICES: usize = 30;
/// Moves a second that the spec allows: without orders a gateway that ends asks 20 a second.
const PER_SECOND: usize = 2;
const LOAD: Load = Load { messages: 2_000, in_flight: 8, body_bytes: 100, per_second: 100 };

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn an_evicted_gateway_moves_its_clients_within_the_budget() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, "e2e-evictions").await?;
    let mut wanted = manifest::smallest("evicted");
    wanted["spec"]["gateways"] = json!({
        "replicas": 2,
        "limits": { "messagesPerSecond": 10_000, "messageBurst": 10_000 },
        "drain": { "movesPerSecond": PER_SECOND },
    });
    let cluster = ChatCluster::apply(&world, &namespace.name, &wanted).await?;
    cluster.wait_ready(READY_LIMIT).await?;
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    let people = People::gather(&cluster, DEVICES).await?;
    let (progress, rooms, senders) = (Progress::default(), [people.room], [&people.devices[0], &people.devices[1]]);
    let story = async {
        progress.reach(LOAD.messages / 20).await;
        evict(&cluster, &people).await
    };
    let (report, told) = tokio::join!(load::run(&senders, &rooms, LOAD, &progress), story);
    told?;
    let devices: Vec<_> = people.devices.iter().collect();
    let behind = load::settle(&devices, &report?, SETTLE_LIMIT).await;
    ensure!(behind.is_empty(), "{} positions are behind: {:?}", behind.len(), behind.first());
    let verdict = people.ledger.verify();
    print!("a gateway was evicted\n{verdict}");
    verdict.assert_clean(LOAD.messages);
    namespace.discard().await
}

/// Evicts the gateway that has the first device, as the drain of a node does.
async fn evict(cluster: &ChatCluster, people: &People) -> Result<()> {
    let pod = people.devices[0].standing().gateway.context("the first device is not connected")?;
    let on_it: Vec<usize> =
        (0..DEVICES).filter(|nth| people.devices[*nth].standing().gateway.as_ref() == Some(&pod)).collect();
    let before = people.connections();
    cluster.pod_api().evict(&pod, &EvictParams::default()).await?;
    let started = Instant::now();
    until("the evicted gateway to be gone", SETTLE_LIMIT, || async {
        let left = people.devices.iter().filter(|device| device.standing().gateway.as_ref() == Some(&pod)).count();
        let pods = cluster.pod_api().get_opt(&pod).await?.map(|pod| pod.name_any());
        Ok(if left == 0 && pods.is_none() { Seen::Yes(()) } else { Seen::NotYet(format!("{left} devices, {pods:?}")) })
    })
    .await?;
    let took = started.elapsed();
    println!("{} devices left {pod} in {:.1} s", on_it.len(), took.as_secs_f64());
    // Two seconds of the budget may have been saved up.
    let least = on_it.len().saturating_sub(2 * PER_SECOND) / PER_SECOND;
    ensure!(took >= Duration::from_secs(least.try_into()?), "{} devices moved in {took:?}", on_it.len());
    let moved: Vec<u32> = people.connections().iter().zip(&before).map(|(now, then)| now - then).collect();
    let once = |nth: usize| moved[nth] == u32::from(on_it.contains(&nth));
    ensure!((0..DEVICES).all(once), "{on_it:?} were on it, these moved: {moved:?}");
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await.map(drop)
}
