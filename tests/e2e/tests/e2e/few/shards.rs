//! Shards come and go while people chat: two, then four, then three, by one `kubectl apply` each. Nobody has to connect anew, the ChatCluster stays Ready,
//! and every message is counted.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::{
    ChatCluster, Namespace, World,
    chat_cluster::condition_of,
    manifest,
    pods::Part,
    wait::{Seen, until},
};
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api, ResourceExt as _,
    api::{DynamicObject, ListParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    crowd::{Crowd, go_first},
    plot::{Felt, quantile},
};
use crate::shared::{READY_LIMIT, SETTLE_LIMIT, turn};

/// Slots of the ChatCluster: enough for every shard to have some, and few enough for a test.
const SLOTS: i64 = 64;
/// A pod of a database starts, the kubelet brings its URI to the gateways (a minute or two), and slots move.
const MOVES_LIMIT: Duration = Duration::from_secs(360);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn two_shards_become_four_and_then_three_while_people_chat() -> Result<()> {
    chat_over("e2e-shards", 20, 40, Duration::from_millis(500)).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test --long"]
async fn long_two_thousand_chat_while_shards_come_and_go() -> Result<()> {
    go_first()?;
    chat_over("e2e-many-shards", 100, 1_900, Duration::from_secs(1)).await
}

async fn chat_over(name: &str, people: usize, devices: usize, pause: Duration) -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, name).await?;
    let mut wanted = manifest::smallest("grows");
    wanted["spec"]["gateways"] =
        json!({ "replicas": 2, "limits": { "messagesPerSecond": 10_000, "messageBurst": 10_000 } });
    wanted["spec"]["database"] = json!({ "slots": SLOTS, "deletionPolicy": "Delete", "shards": shards(&["a", "b"]) });
    let cluster = ChatCluster::apply(&world, &namespace.name, &wanted).await?;
    cluster.wait_ready(READY_LIMIT).await?;
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    let mut crowd = Crowd::found(&cluster, people).await?;
    crowd.come(devices).await?;
    let (over, begin, mut marks) = (AtomicBool::new(false), Instant::now(), Vec::new());
    let story = crowd.talk_during(pause, async |crowd| {
        let told = grow_and_shrink(crowd, &cluster, &wanted, |what| {
            marks.push((u32::try_from(begin.elapsed().as_secs()).unwrap_or(u32::MAX), what));
        })
        .await;
        over.store(true, Relaxed);
        told
    });
    let (told, ready) = tokio::join!(story, stays_ready(&cluster, &over));
    told?;
    ready?;
    let pauses = pauses(&cluster).await?;
    ensure!(!pauses.is_empty(), "no Event tells for how long writes waited");
    let waits = || crowd.waits.iter().map(|(_, wait)| *wait).collect::<Vec<_>>();
    let (p50, p99) = (quantile(waits(), 0.5).unwrap_or_default(), quantile(waits(), 0.99).unwrap_or_default());
    let people = people + devices;
    let title = format!("{people} devices, {} messages: p50 {p50:.0} ms, p99 {p99:.0} ms", crowd.waits.len());
    println!("{title}");
    let plot = Felt { title, waits: &crowd.waits, marks, pauses }.draw(name)?;
    println!("drawn: {}", plot.display());
    drop(crowd);
    namespace.discard().await
}

fn shards(names: &[&str]) -> Value {
    names.iter().map(|name| json!({ "name": name, "managed": { "storage": { "size": "256Mi" } } })).collect()
}

async fn grow_and_shrink(
    crowd: &Crowd,
    cluster: &ChatCluster,
    wanted: &Value,
    mut mark: impl FnMut(String),
) -> Result<()> {
    let connected = |crowd: &Crowd| crowd.devices.iter().map(|device| device.standing().connections).sum::<u32>();
    let before = connected(crowd);
    for (names, rest) in [(&["a", "b", "c", "d"][..], ""), (&["a", "b", "c"], "d")] {
        let started = Instant::now();
        mark(format!("to {} shards", names.len()));
        let mut changed = wanted.clone();
        changed["spec"]["database"]["shards"] = shards(names);
        cluster.reapply(&changed).await?;
        balanced(cluster, names).await?;
        mark("balanced".to_owned());
        println!("{} shards after {:.0} s", names.len(), started.elapsed().as_secs_f64());
        if !rest.is_empty() {
            gone(cluster, rest).await?;
        }
        cluster.check_spec_is_the_users().await?;
    }
    let anew = connected(crowd) - before;
    ensure!(anew == 0, "{anew} devices had to connect anew");
    mark("by hand".to_owned());
    told(cluster).await
}

/// Waits until the status says that every shard has its share.
async fn balanced(cluster: &ChatCluster, names: &[&str]) -> Result<()> {
    until(&format!("slots to be balanced over {names:?}"), MOVES_LIMIT, || async {
        let status = cluster.get().await?.data["status"].clone();
        let told = condition_of(&status, "ShardsBalanced");
        let slots = |name: &str| {
            let shards = status["shards"].as_array().into_iter().flatten();
            shards.filter(|shard| shard["name"] == name).find_map(|shard| shard["slots"].as_i64())
        };
        let counts: BTreeMap<&str, Option<i64>> = names.iter().map(|name| (*name, slots(name))).collect();
        let listed = status["shards"].as_array().map_or(0, Vec::len);
        let share = SLOTS / names.len() as i64;
        let even = counts.values().all(|count| count.is_some_and(|count| (count - share).abs() <= share / 4));
        let done = told["status"] == "True" && even && listed == names.len();
        Ok(if done { Seen::Yes(()) } else { Seen::NotYet(format!("{counts:?}, {}", told["message"])) })
    })
    .await
}

/// A shard that was left is gone with its children, and its volume by the deletion policy.
async fn gone(cluster: &ChatCluster, shard: &str) -> Result<()> {
    let name = format!("{}-shard-{shard}", cluster.name);
    until(&format!("{name} to be gone"), SETTLE_LIMIT, || async {
        let client = &cluster.world.client;
        let sets: Api<k8s_openapi::api::apps::v1::StatefulSet> = Api::namespaced(client.clone(), &cluster.namespace);
        let claims: Api<k8s_openapi::api::core::v1::PersistentVolumeClaim> =
            Api::namespaced(client.clone(), &cluster.namespace);
        let set = sets.get_opt(&name).await?.is_some();
        let claim = claims.get_opt(&format!("data-{name}-0")).await?.is_some();
        let left = format!("StatefulSet: {set}, volume: {claim}");
        Ok(if set || claim { Seen::NotYet(left) } else { Seen::Yes(()) })
    })
    .await
}

/// Nobody may ever be told that the ChatCluster is not ready.
async fn stays_ready(cluster: &ChatCluster, over: &AtomicBool) -> Result<()> {
    while !over.load(Relaxed) {
        let object = cluster.get().await?;
        let ready = condition_of(&object.data["status"], "Ready");
        ensure!(ready["status"] == "True", "Ready was lost: {ready}");
        sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

/// The ShardRebalances tell of every slot and of the pauses.
async fn told(cluster: &ChatCluster) -> Result<()> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("chatcluster.dev", "v1alpha1", "ShardRebalance"));
    let api: Api<DynamicObject> = Api::namespaced_with(cluster.world.client.clone(), &cluster.namespace, &kind);
    let all = api.list(&ListParams::default()).await?.items;
    ensure!(all.len() == 2, "{:?}", all.iter().map(|object| object.name_any()).collect::<Vec<_>>());
    for object in &all {
        let (name, status) = (object.name_any(), &object.data["status"]);
        ensure!(condition_of(status, "Ready")["reason"] == "Completed", "{name}: {status}");
        let (slots, moved) = (status["plan"]["slots"].as_i64(), status["progress"]["slotsMoved"].as_i64());
        ensure!(slots == moved && slots > Some(0), "{name}: {moved:?} of {slots:?} slots");
        let pauses = &status["pauses"];
        let known = pauses["count"].as_i64().context("no pause is known")?;
        println!("{name}: {moved:?} slots, writes waited: {pauses}");
        ensure!(
            known >= moved.unwrap_or_default() * 9 / 10,
            "{name}: the pauses of {known} of {moved:?} slots are known"
        );
    }
    refused(&api, cluster).await?;
    by_command(cluster).await
}

/// How long writes waited at each hand-over that an Event tells of, in milliseconds.
async fn pauses(cluster: &ChatCluster) -> Result<Vec<u64>> {
    let api: Api<Event> = Api::namespaced(cluster.world.client.clone(), &cluster.namespace);
    let events = api.list(&ListParams::default()).await?.items;
    let notes = events.iter().filter(|event| event.reason.as_deref() == Some("SlotsMoved"));
    // "slots were handed over (writes waited): 5 a > c (14 ms), 9 a > d (11 ms)"
    let notes: Vec<&str> = notes.filter_map(|event| event.note.as_deref()).collect();
    let pieces = notes.iter().flat_map(|note| note.split('('));
    Ok(pieces.filter_map(|piece| piece.split_once(" ms)")?.0.parse().ok()).collect())
}

/// What a platform engineer does by hand: a plan, its approval, a look at how it goes.
async fn by_command(cluster: &ChatCluster) -> Result<()> {
    let namespace = cluster.namespace.as_str();
    let chat = async |args: &[&str]| {
        let whole: Vec<&str> = ["chat"].iter().chain(args).copied().chain(["-n", namespace]).collect();
        cluster.world.kubectl(&whole).await
    };
    let shards = chat(&["shards", &cluster.name]).await?;
    ensure!(shards.starts_with("SHARD ") && shards.contains("ShardsBalanced is "), "{shards}");
    let planned = chat(&["rebalance", "plan", &cluster.name, "--slots", "0-15", "--to", "b", "-o", "json"]).await?;
    let planned: Value = serde_json::from_str(&planned).context("the plan is no JSON")?;
    let name = planned["metadata"]["name"].as_str().context("the plan has no name")?.to_owned();
    let slots = planned["status"]["plan"]["slots"].as_i64().context("the plan has no slots")?;
    chat(&["rebalance", "approve", &name]).await?;
    let watched = chat(&["rebalance", "watch", &name]).await?;
    println!("{shards}{watched}");
    ensure!(watched.contains(&format!("Completed, {slots} slots have moved")), "{watched}");
    Ok(())
}

/// A plan that is approved by another hash moves nothing, and one that is aborted ends as it began.
async fn refused(api: &Api<DynamicObject>, cluster: &ChatCluster) -> Result<()> {
    let object = json!({
        "apiVersion": "chatcluster.dev/v1alpha1", "kind": "ShardRebalance", "metadata": { "name": "by-hand" },
        "spec": {
            "clusterRef": { "name": cluster.name }, "moves": [{ "slots": "0-63", "to": "a" }], "approvedPlan": "0123456789ab",
        },
    });
    api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    let state = async |wanted: &str| {
        until(&format!("by-hand to be {wanted}"), SETTLE_LIMIT, || async {
            let object = api.get("by-hand").await?;
            let ready = condition_of(&object.data["status"], "Ready");
            Ok(if ready["reason"] == wanted { Seen::Yes(ready.clone()) } else { Seen::NotYet(ready.to_string()) })
        })
        .await
    };
    let waits = state("WaitingForApproval").await?;
    let message = waits["message"].as_str().unwrap_or_default();
    if !message.contains("spec.approvedPlan names 0123456789ab") {
        bail!("it does not say what is wrong: {message}");
    }
    let abort = kube::api::Patch::Merge(json!({ "spec": { "abort": true } }));
    api.patch("by-hand", &kube::api::PatchParams::default(), &abort).await?;
    state("Aborted").await?;
    Ok(())
}
