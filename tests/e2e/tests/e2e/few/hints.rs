//! Clients that may choose ask where to connect, and go to single gateways past the Service.

use std::{collections::BTreeMap, time::Instant};

use anyhow::{Context as _, Result, ensure};
use chat_test_client::hints;
use e2e::{
    ChatCluster, Namespace, World, manifest,
    pods::{CLIENT_PORT, Part, ip},
    wait::{Seen, until},
};
use kube::ResourceExt as _;
use serde_json::json;

use super::people::{People, front};
use crate::shared::{NOTICE_LIMIT, READY_LIMIT, SETTLE_LIMIT, turn};

const GATEWAYS: usize = 3;
const DEVICES: usize = 12;
/// Questions after which a gateway that is named now and then would have been named.
const QUESTIONS: usize = 60;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn clients_are_told_where_there_is_room_and_come_back_by_it() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, "e2e-hints").await?;
    let mut wanted = manifest::smallest("hints");
    wanted["spec"]["gateways"] = json!({
        "replicas": GATEWAYS,
        "expose": { "type": "ClusterIP", "hints": { "address": "ws://{podIP}:{port}" } },
        "autoscaling": { "mode": "External", "scaleDown": { "policy": "WhenEmpty" } },
    });
    let cluster = ChatCluster::apply(&world, &namespace.name, &wanted).await?;
    cluster.wait_ready(READY_LIMIT).await?;
    cluster.wait_pods(Part::Gateway, GATEWAYS, SETTLE_LIMIT).await?;
    let front = front(&cluster).await?;
    until("all gateways to be named", NOTICE_LIMIT, || async {
        let mut named = hints::ask(&front).await.map_err(anyhow::Error::msg)?;
        ensure!(named.pop().as_ref() == Some(&front), "the Service is not the last");
        named.sort();
        let mut there = cluster.gateway_addresses().await?;
        there.sort();
        Ok(if named == there { Seen::Yes(()) } else { Seen::NotYet(format!("{named:?}, not {there:?}")) })
    })
    .await?;

    let people = People::gather_with(&cluster, DEVICES, true).await?;
    let spread = spread(&people)?;
    ensure!(spread.len() == GATEWAYS && spread.values().all(|devices| *devices >= 2), "{spread:?}");
    ensure!(!spread.contains_key(&front), "somebody went through the Service: {spread:?}");

    let closed = cordoned(&cluster, &people, &front).await?;
    deleted(&cluster, &people, (&front, &closed)).await?;
    let sent = people.devices[0].send(people.room, "are all here?").await?;
    for device in &people.devices {
        ensure!(device.wait_position(people.room, sent.seq, SETTLE_LIMIT).await, "a device does not hear the others");
    }
    let verdict = people.ledger.verify();
    print!("hints\n{verdict}");
    verdict.assert_clean(1);
    // Another form of address is accepted.
    let address = "wss://{pod}.chat.example.com:8443/to/{podIP}-{port}";
    cluster.merge(json!({ "spec": { "gateways": { "expose": { "hints": { "address": address } } } } })).await?;
    namespace.discard().await
}

/// Devices by the addresses that they are connected to.
fn spread(people: &People) -> Result<BTreeMap<String, usize>> {
    let mut spread = BTreeMap::new();
    for device in &people.devices {
        *spread.entry(device.standing().address.context("a device is not connected")?).or_default() += 1;
    }
    Ok(spread)
}

/// Scales to one gateway less, which waits for its people: nobody new is sent there, and nobody leaves. Returns its address.
async fn cordoned(cluster: &ChatCluster, people: &People, front: &str) -> Result<String> {
    cluster.kubectl_scale(u32::try_from(GATEWAYS)? - 1).await?;
    let leaving = until("a gateway that is to go", NOTICE_LIMIT, || async {
        let told = cluster.get().await?.data["status"]["draining"].clone();
        Ok(match told[0]["name"].as_str() {
            Some(name) => Seen::Yes(name.to_owned()),
            None => Seen::NotYet(told.to_string()),
        })
    })
    .await?;
    let closed = format!("{}:{CLIENT_PORT}", ip(&cluster.pod_api().get(&leaving).await?)?);
    until("the cordon to be known", NOTICE_LIMIT, || async {
        let named = hints::ask(front).await.map_err(anyhow::Error::msg)?;
        Ok(if named.contains(&closed) { Seen::NotYet(format!("{named:?}")) } else { Seen::Yes(()) })
    })
    .await?;
    for nth in 0..QUESTIONS {
        // The Service leaves it out, but who has its address may ask it, too, and gets it as the last then.
        let asked = if nth % 4 == 0 { &closed } else { front };
        let mut named = hints::ask(asked).await.map_err(anyhow::Error::msg)?;
        ensure!(named.pop().as_deref() == Some(asked), "{asked} is not the last");
        ensure!(named.len() == GATEWAYS - 1 && !named.contains(&closed), "{closed} is to go: {named:?}");
    }
    ensure!(people.connections() == [1; DEVICES], "somebody was sent away: {:?}", people.connections());
    Ok(closed)
}

/// Deletes a gateway that takes people: they connect elsewhere, by what the others say.
async fn deleted(cluster: &ChatCluster, people: &People, (front, closed): (&str, &str)) -> Result<()> {
    let pods = cluster.pods(Part::Gateway).await?;
    let address = |pod| Ok::<_, anyhow::Error>(format!("{}:{CLIENT_PORT}", ip(pod)?));
    let mut takers = Vec::new();
    for pod in &pods {
        if address(pod)? != closed {
            takers.push(pod);
        }
    }
    let (name, gone) = (takers[0].name_any(), address(takers[0])?);
    let on_it: Vec<usize> =
        (0..DEVICES).filter(|nth| people.devices[*nth].standing().address.as_deref() == Some(gone.as_str())).collect();
    ensure!(!on_it.is_empty(), "nobody is on {name}");
    let started = Instant::now();
    cluster.world.kubectl(&["delete", "pod", &name, "--wait=false", "-n", &cluster.namespace]).await?;
    until("its people to be elsewhere", SETTLE_LIMIT, || async {
        let spread = spread(people);
        let elsewhere = spread.as_ref().is_ok_and(|spread| !spread.contains_key(&gone));
        Ok(if elsewhere { Seen::Yes(()) } else { Seen::NotYet(format!("{spread:?}")) })
    })
    .await?;
    println!("{} devices left {name} in {:.1} s", on_it.len(), started.elapsed().as_secs_f64());
    ensure!(!spread(people)?.contains_key(front), "somebody came back through the Service: {:?}", spread(people)?);
    let moved: Vec<usize> = (0..DEVICES).filter(|nth| people.connections()[*nth] > 1).collect();
    ensure!(moved == on_it, "{on_it:?} were on it, these moved: {moved:?}");
    Ok(())
}
