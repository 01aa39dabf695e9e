//! Gateways that are alone. With the database in a file on a volume: the documented example, people who chat through it while
//! its pod is killed, and what is left when it is deleted. Over a shard: it takes up a broker and gives it back.

use anyhow::{Context as _, Result, ensure};
use chat_test_client::{
    Client, ClientConfig, HistoryRange, Ledger,
    load::{self, Load, Progress},
};
use e2e::{
    ChatCluster,
    chat_cluster::condition,
    children::title,
    crowd::{follow_gateways, sign_up},
    manifest,
    pods::Part,
    wait::{Seen, until},
};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, DynamicObject},
};
use serde_json::json;

use crate::{
    life::{DELETE_LIMIT, read_again, wait_remains},
    shared::{SETTLE_LIMIT, own_from},
};

/// Paced, so that most of it is sent after the kill.
const LOAD: Load = Load { messages: 600, in_flight: 16, body_bytes: 100, per_second: 100 };

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn one_gateway_with_a_volume_keeps_its_promises_through_a_kill_and_a_deletion() -> Result<()> {
    let manifest = manifest::embedded_for_load()?;
    let (namespace, cluster) = own_from("e2e-embedded", &manifest).await?;
    check_told(&cluster.get().await?)?;
    check_nothing_else_runs(&cluster).await?;
    check_scaling_is_refused(&cluster).await?;

    let (addresses, follower) = follow_gateways(&cluster, 0).await?;
    let (ann, bob) = (sign_up(&addresses, "ann").await?, sign_up(&addresses, "bob").await?);
    let ledger = Ledger::new();
    let device = |person: &_| Client::start(ClientConfig::new(Clone::clone(person), addresses.clone(), ledger.clone()));
    let devices = [device(&ann).await?, device(&bob).await?];
    let room = devices[0].create_room("group", "to be kept", std::slice::from_ref(&bob.user.name)).await?.id;
    for device in &devices {
        ledger.expect_member(device.id(), room);
        ensure!(
            device.wait_position(room, 0, SETTLE_LIMIT).await,
            "{} does not hear of the room",
            device.account().user.name
        );
    }

    let (clients, rooms, progress) = ([&devices[0], &devices[1]], [room], Progress::default());
    let (report, killed) = tokio::join!(load::run(&clients, &rooms, LOAD, &progress), kill(&cluster, &progress));
    let report = report?;
    killed?;
    let behind = load::settle(&clients, &report, SETTLE_LIMIT).await;
    let verdict = ledger.verify();
    println!("embedded gateway killed: {} messages in {:.1} s\n{verdict}", report.acked, report.took.as_secs_f64());
    ensure!(behind.is_empty(), "{behind:?}");
    verdict.assert_clean(LOAD.messages);
    ensure!(verdict.counts.connections > 2, "nobody had to connect again\n{verdict}");
    cluster.wait_ready(SETTLE_LIMIT).await?;

    let (written, _) = devices[0].history(room, HistoryRange::After(0)).await?;
    ensure!(!written.is_empty(), "no history");
    drop(devices);
    follower.abort();

    cluster.delete(&DeleteParams::background(), DELETE_LIMIT).await?;
    let claim = format!("PersistentVolumeClaim/{}-data", cluster.name);
    wait_remains(&cluster, &[&claim]).await?;
    let again = ChatCluster::apply(&cluster.world, &namespace.name, &manifest).await?;
    again.wait_ready(SETTLE_LIMIT).await?;
    ensure!(read_again(&again, &ann.user.name, &ann.password, room).await? == written, "other messages than before");

    again.merge(json!({ "spec": { "database": { "deletionPolicy": "Delete" } } })).await?;
    again.wait_ready(SETTLE_LIMIT).await?;
    again.delete(&DeleteParams::background(), DELETE_LIMIT).await?;
    wait_remains(&again, &[]).await?;
    namespace.discard().await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn one_gateway_over_a_shard_takes_up_a_broker_and_gives_it_back() -> Result<()> {
    let mut manifest = manifest::smallest("lone");
    manifest["spec"]["broker"] = json!({ "inProcess": {} });
    manifest["spec"].as_object_mut().context("a manifest without a spec")?.remove("redis");
    let (namespace, cluster) = own_from("e2e-in-process", &manifest).await?;
    ensure!(strategy(&cluster).await? == "Recreate", "two gateways would run side by side");
    let (addresses, follower) = follow_gateways(&cluster, 0).await?;
    let ann = sign_up(&addresses, "ann").await?;
    let device = Client::start(ClientConfig::new(ann.clone(), addresses, Ledger::new())).await?;
    let room = device.create_room("group", "stays", &[]).await?.id;
    device.send(room, "said alone").await?;

    let gateways = |count: u32| json!({ "replicas": count });
    let shared = json!({
        "broker": { "inProcess": null, "redisPubSub": {} }, "redis": { "managed": {} }, "gateways": gateways(2),
    });
    cluster.merge(json!({ "spec": shared })).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    ensure!(strategy(&cluster).await? == "RollingUpdate", "a rollout would leave nobody to serve");
    device.send(room, "said over Redis").await?;

    let alone = json!({
        "broker": { "inProcess": {}, "redisPubSub": null }, "redis": null, "gateways": gateways(1),
    });
    cluster.merge(json!({ "spec": alone })).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    cluster.wait_pods(Part::Gateway, 1, SETTLE_LIMIT).await?;
    ensure!(strategy(&cluster).await? == "Recreate", "two gateways would run side by side");
    let left: Vec<String> =
        cluster.children().await?.iter().map(title).filter(|child| child.contains("-redis")).collect();
    ensure!(left.is_empty(), "{left:?} is of no use any more");
    device.send(room, "alone again").await?;
    let (messages, _) = device.history(room, HistoryRange::After(0)).await?;
    let said: Vec<&str> = messages.iter().map(|message| message.body.as_str()).collect();
    ensure!(said == ["said alone", "said over Redis", "alone again"], "{said:?}");
    follower.abort();
    namespace.discard().await
}

/// How the gateways' Deployment replaces pods.
async fn strategy(cluster: &ChatCluster) -> Result<String> {
    let spec = cluster.gateway_deployment().await?.spec;
    spec.and_then(|spec| spec.strategy?.type_).context("a Deployment without a strategy")
}

/// Takes the pod away at once, in the middle of the load, and waits for its successor.
async fn kill(cluster: &ChatCluster, progress: &Progress) -> Result<()> {
    progress.reach(LOAD.messages / 4).await;
    let old = cluster.ready_pods(Part::Gateway).await?.pop().context("no gateway is ready")?;
    let started = tokio::time::Instant::now();
    cluster.kill_pod(&old).await?;
    until("a gateway in place of the killed one", SETTLE_LIMIT, || async {
        let ready = cluster.ready_pods(Part::Gateway).await?;
        let done = ready.iter().any(|pod| pod.uid() != old.uid());
        Ok(if done { Seen::Yes(()) } else { Seen::NotYet(format!("{} ready gateways", ready.len())) })
    })
    .await?;
    println!(
        "embedded gateway replaced after {:.1} s, at {} messages",
        started.elapsed().as_secs_f64(),
        progress.acked()
    );
    Ok(())
}

/// The status says where everything is, and speaks of no program that is not there.
fn check_told(object: &DynamicObject) -> Result<()> {
    for kind in ["BrokerAvailable", "CacheAvailable", "DatabaseAvailable"] {
        let told = condition(object, kind).with_context(|| format!("no condition {kind}"))?;
        ensure!(told["status"] == "True" && told["reason"] == "InProcess", "{told}");
    }
    let shards = &object.data["status"]["shards"];
    ensure!(*shards == json!([{ "name": "embedded", "slots": 1024, "available": true }]), "{shards}");
    Ok(())
}

async fn check_nothing_else_runs(cluster: &ChatCluster) -> Result<()> {
    let pods = cluster.pod_api().list(&kube::api::ListParams::default()).await?.items;
    ensure!(pods.len() == 1, "pods {:?}", pods.iter().map(|pod| pod.name_any()).collect::<Vec<_>>());
    let children: Vec<String> = cluster.children().await?.iter().map(title).collect();
    let surplus = children.iter().find(|child| child.starts_with("StatefulSet/") || child.starts_with("Job/"));
    ensure!(surplus.is_none(), "{surplus:?} is of no use");
    Ok(())
}

/// Autoscalers and people come by the scale subresource; both must be told why not.
async fn check_scaling_is_refused(cluster: &ChatCluster) -> Result<()> {
    let object = format!("chatcluster/{}", cluster.name);
    let printed =
        cluster.world.kubectl_any(&["scale", &object, "--replicas=2", "-n", &cluster.namespace], None).await?;
    ensure!(!printed.success, "two gateways were accepted: {}", printed.out);
    let told = "spec.gateways.replicas: spec.broker.inProcess reaches one gateway only";
    ensure!(printed.err.contains(told), "{}", printed.err);
    Ok(())
}
