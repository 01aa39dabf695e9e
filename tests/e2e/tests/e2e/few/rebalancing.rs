//! Connections stay where they are when gateways are added, until the operator has some of them made anew: within the budget, and each at most once.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use e2e::{
    ChatCluster, Namespace, World, manifest,
    pods::Part,
    wait::{Seen, until},
};
use serde_json::json;

use super::people::People;
use crate::shared::{READY_LIMIT, SETTLE_LIMIT, turn};

/// Devices that are with the only gateway at first.
const DEVICES: usize = 40;
/// Moves a second that the spec allows; half of them are for evenness.
const PER_SECOND: usize = 4;
/// Most devices on one of two gateways: 5 % above the mean.
const EVEN: usize = 21;
/// A minute of patience, 20 moves at two a second, and the time to hear of it.
const EVEN_LIMIT: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn a_new_gateway_gets_its_share_of_those_who_are_there() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, "e2e-rebalancing").await?;
    let mut wanted = manifest::smallest("uneven");
    wanted["spec"]["gateways"] = json!({
        "replicas": 1,
        "limits": { "messagesPerSecond": 10_000, "messageBurst": 10_000 },
        "drain": { "movesPerSecond": PER_SECOND },
        "rebalance": { "minExcess": 5 },
    });
    let cluster = ChatCluster::apply(&world, &namespace.name, &wanted).await?;
    cluster.wait_ready(READY_LIMIT).await?;
    let people = People::gather(&cluster, DEVICES).await?;
    let story = async {
        cluster.kubectl_scale(2).await?;
        cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
        cluster.wait_ready(SETTLE_LIMIT).await?;
        even_out(&cluster, &people).await
    };
    people.talk_during("a gateway was added", story).await?;
    cluster.check_spec_is_the_users().await?;
    namespace.discard().await
}

/// Waits until both have about as many, with the ChatCluster Ready throughout.
async fn even_out(cluster: &ChatCluster, people: &People) -> Result<()> {
    let (before, first) = (people.connections(), Mutex::new(None));
    let started = Instant::now();
    until("both gateways to have about as many", EVEN_LIMIT, || async {
        let spread = spread(people);
        if spread.len() > 1 {
            first.lock().unwrap().get_or_insert_with(Instant::now);
        }
        let status = cluster.get().await?.data["status"].clone();
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition["type"] == "Ready").cloned().unwrap_or_default();
        ensure!(ready["status"] == "True", "it was not Ready: {ready}");
        let is_over = conditions.iter().all(|condition| condition["reason"] != "Rebalancing");
        let is_even = spread.len() == 2 && spread.values().all(|devices| *devices <= EVEN);
        Ok(if is_even && is_over { Seen::Yes(()) } else { Seen::NotYet(format!("{spread:?}")) })
    })
    .await?;
    let moved: Vec<u32> = people.connections().iter().zip(&before).map(|(now, then)| now - then).collect();
    let total = moved.iter().sum::<u32>() as usize;
    println!("{total} devices moved within {:.1} s: {:?}", started.elapsed().as_secs_f64(), spread(people));
    ensure!(moved.iter().all(|moves| *moves <= 1), "somebody moved twice: {moved:?}");
    ensure!(total <= DEVICES - EVEN + 2, "{total} moved, {} were enough", DEVICES - EVEN);
    let took = first.into_inner().unwrap().map(|first: Instant| first.elapsed()).unwrap_or_default();
    // What two rounds allow may come at once.
    let least = total.saturating_sub(2 * PER_SECOND) / (PER_SECOND / 2);
    ensure!(took >= Duration::from_secs(least.try_into()?), "{total} devices moved in {took:?}");
    Ok(())
}

/// Devices by gateway; those between two are on none.
fn spread(people: &People) -> BTreeMap<String, usize> {
    let mut spread = BTreeMap::new();
    for gateway in people.devices.iter().filter_map(|device| device.standing().gateway) {
        *spread.entry(gateway).or_default() += 1;
    }
    spread
}
