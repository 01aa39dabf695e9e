//! A gateway that is one too many is emptied before it goes, while people chat.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use chat_test_client::load::{Load, Progress};
use e2e::{
    ChatCluster, Crowd, Namespace, World,
    chat_cluster::condition,
    manifest,
    pods::{Part, is_ready},
    wait::{Seen, until},
};
use kube::ResourceExt as _;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::shared::{READY_LIMIT, SETTLE_LIMIT, turn};

const LOAD: Load = Load { messages: 6_000, in_flight: 32, body_bytes: 200, per_second: 200 };

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn a_gateway_too_many_is_emptied_first_and_each_client_moves_once() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, "e2e-draining").await?;
    let mut wanted = manifest::smallest("empties");
    wanted["spec"]["gateways"] =
        json!({ "replicas": 2, "limits": { "messagesPerSecond": 10_000, "messageBurst": 10_000 } });
    let cluster = ChatCluster::apply(&world, &namespace.name, &wanted).await?;
    cluster.wait_ready(READY_LIMIT).await?;
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    let before = cluster.wait_ready(SETTLE_LIMIT).await?;
    let crowd = Crowd::gather(&cluster, 4).await?;
    let progress = Progress::default();
    let trouble = async {
        progress.reach(LOAD.messages / 6).await;
        rooms_are_told_of(&cluster, &crowd.rooms).await?;
        shrink(&cluster).await?;
        let ready = cluster.wait_ready(SETTLE_LIMIT).await?;
        replace(&cluster).await?;
        Ok::<_, anyhow::Error>(ready)
    };
    let (report, shrunk) = tokio::join!(crowd.chat(LOAD, &progress), trouble);
    let shrunk = shrunk?;
    crowd.judge("two gateways become one, and that another", &report?).assert_clean(LOAD.messages);
    let mut made: Vec<u32> = crowd.devices().iter().map(|device| device.standing().connections).collect();
    made.sort_unstable();
    ensure!(made == [2, 2, 3, 3], "connections that the devices made: {made:?}");
    let now = cluster.wait_ready(SETTLE_LIMIT).await?;
    let since = |kind, object| condition(object, kind).map(|condition| condition["lastTransitionTime"].clone());
    let kept = |kind, then| since(kind, &now) == since(kind, then);
    ensure!(kept("GatewaysAvailable", &before), "a gateway was missing for a while: {}", now.data["status"]);
    // A number that somebody writes is what Ready waits for; a replacement is in no spec.
    ensure!(!kept("Ready", &before) && kept("Ready", &shrunk), "{}", now.data["status"]);
    ensure!(now.data["status"]["draining"].is_null(), "{}", now.data["status"]);
    drop(crowd);
    namespace.discard().await
}

/// Has the only gateway replaced by hand: another one comes first, and takes the clients over.
async fn replace(cluster: &ChatCluster) -> Result<()> {
    let started = Instant::now();
    let namespace = cluster.namespace.as_str();
    let old = cluster.pods(Part::Gateway).await?.pop().context("no gateway")?.name_any();
    let refused = cluster.world.kubectl_any(&["chat", "drain", "nobody", "-n", namespace], None).await?;
    ensure!(!refused.success && refused.err.contains("there is no pod nobody"), "{refused:?}");
    let told = cluster.world.kubectl(&["chat", "drain", &old, "-n", namespace]).await?;
    let stages = ["waits until another gateway is ready", "its clients move to the others", "is gone"];
    ensure!(stages.iter().all(|stage| told.contains(stage)), "{told}");
    let now = cluster.wait_pods(Part::Gateway, 1, SETTLE_LIMIT).await?;
    ensure!(now.iter().all(|pod| pod.name_any() != old && is_ready(pod)), "the successor is not there");
    println!("{old} was replaced by hand after {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// The plugin tells in which rooms people talk, added up over both gateways. The operator's probe has a room, too.
async fn rooms_are_told_of(cluster: &ChatCluster, rooms: &[Uuid]) -> Result<()> {
    let args = ["chat", "rooms", &cluster.name, "-o", "json", "-n", &cluster.namespace];
    let told: Value = serde_json::from_str(&cluster.world.kubectl(&args).await?)?;
    let mut rates = Vec::new();
    for id in rooms {
        let room = told.as_array().and_then(|all| all.iter().find(|room| room["room"] == id.to_string()));
        let room = room.with_context(|| format!("{id} is not told of: {told}"))?;
        ensure!(room["connections"] == 4 && room["gateways"] == 2, "{room}");
        rates.extend(room["messagesPerSecond"].as_f64());
    }
    println!("messages a second in the rooms: {rates:.1?}");
    ensure!(rates.len() == rooms.len() && rates.iter().any(|rate| *rate > 0.0), "nothing is said: {told}");
    Ok(())
}

/// Scales to one gateway; the Deployment has two until one of them has no clients.
async fn shrink(cluster: &ChatCluster) -> Result<()> {
    let started = Instant::now();
    cluster.kubectl_scale(1).await?;
    let leaving = until("a gateway to be emptied", Duration::from_secs(10), || async {
        let told = cluster.get().await?.data["status"]["draining"].clone();
        Ok(match told[0]["name"].as_str() {
            Some(name) => Seen::Yes(name.to_owned()),
            None => Seen::NotYet(told.to_string()),
        })
    })
    .await?;
    let pods = cluster.pods(Part::Gateway).await?;
    ensure!(pods.len() == 2, "a pod went before it was empty: {} left", pods.len());
    until("the other gateway alone", SETTLE_LIMIT, || async {
        let number = cluster.gateway_deployment().await?.spec.and_then(|spec| spec.replicas);
        let pods = cluster.pods(Part::Gateway).await?;
        let stays = pods.iter().all(|pod| pod.name_any() == leaving || is_ready(pod));
        ensure!(stays, "the gateway that stays is not ready");
        let names: Vec<String> = pods.iter().map(|pod| pod.name_any()).collect();
        let done = number == Some(1) && !names.contains(&leaving) && names.len() == 1;
        Ok(if done { Seen::Yes(()) } else { Seen::NotYet(format!("{number:?} wanted, {names:?}, {leaving} goes")) })
    })
    .await?;
    println!("{leaving} was emptied and gone after {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}
