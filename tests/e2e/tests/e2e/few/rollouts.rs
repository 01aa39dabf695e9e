//! New gateways take the place of old ones in waves of the connections, while people chat; those that are worse are taken back.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    ChatCluster, Namespace, World,
    chat_cluster::condition_of,
    manifest,
    pods::Part,
    wait::{Seen, until},
};
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, json};

use super::people::People;
use crate::shared::{READY_LIMIT, SETTLE_LIMIT, turn};

/// Devices that are connected, each of the same person.
const DEVICES: usize = 40;
/// Percent of them that a canary gets.
const CANARY: usize = 10;
/// A rollout of three waves that are watched for five seconds each.
const ROLLOUT_LIMIT: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn good_gateways_take_over_and_bad_ones_are_taken_back() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, "e2e-rollouts").await?;
    let mut wanted = manifest::smallest("rolls");
    wanted["spec"]["gateways"] = json!({
        "replicas": 2,
        "limits": { "messagesPerSecond": 10_000, "messageBurst": 10_000 },
        "rollout": { "waves": [CANARY, 50, 100], "analysisSeconds": 5 },
    });
    let cluster = ChatCluster::apply(&world, &namespace.name, &wanted).await?;
    cluster.wait_ready(READY_LIMIT).await?;
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    let people = People::gather(&cluster, DEVICES).await?;
    let story = async {
        let first = succeed(&cluster, &people).await?;
        crash(&cluster, &first).await?;
        // The operator keeps no key that nobody wants any more.
        let key = secrets(&cluster).get(&format!("{}-signing-key", cluster.name)).await?;
        refuse(&cluster, &people, &first).await?;
        vanish(&cluster, &people, key).await
    };
    people.talk_during("two good rollouts and two bad ones", Box::pin(story)).await?;
    cluster.check_spec_is_the_users().await?;
    namespace.discard().await
}

/// Another annotation is another revision: everybody moves to it, once.
async fn succeed(cluster: &ChatCluster, people: &People) -> Result<String> {
    let (started, before) = (Instant::now(), people.connections());
    let old = revision(cluster).await?;
    change(cluster, Value::Null).await?;
    let waves = Mutex::new(Vec::new());
    until("the rollout to end", ROLLOUT_LIMIT, || async {
        let status = cluster.get().await?.data["status"].clone();
        if let Some(wave) = status["rollout"]["wave"].as_i64() {
            let mut waves = waves.lock().unwrap();
            if waves.last() != Some(&wave) {
                waves.push(wave);
            }
        }
        let available = condition_of(&status, "GatewaysAvailable");
        ensure!(available["status"] == "True", "gateways were missing: {available}");
        ensure!(status["rollout"]["reason"].is_null(), "it failed: {}", status["rollout"]);
        let done = status["rollout"].is_null() && status["revision"] != old.as_str();
        Ok(if done { Seen::Yes(()) } else { Seen::NotYet(status["rollout"].to_string()) })
    })
    .await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    let waves = waves.into_inner().unwrap();
    let moved: Vec<u32> = people.connections().iter().zip(&before).map(|(now, then)| now - then).collect();
    println!("rolled out in {:.1} s, waves {waves:?}", started.elapsed().as_secs_f64());
    let total: u32 = moved.iter().sum();
    ensure!(waves == [1, 2, 3], "waves {waves:?}");
    ensure!(moved.iter().all(|moves| *moves >= 1), "somebody is still with an old gateway: {moved:?}");
    ensure!(f64::from(total) <= 1.02 * DEVICES as f64, "{total} moves of {DEVICES} devices: {moved:?}");
    revision(cluster).await
}

/// Gateways with no memory to live in: nobody ever comes to them.
async fn crash(cluster: &ChatCluster, good: &str) -> Result<()> {
    let started = Instant::now();
    change(cluster, json!({ "requests": { "memory": "6Mi" }, "limits": { "memory": "6Mi" } })).await?;
    let told = failed(cluster, good, None).await?;
    println!("taken back after {:.1} s: {told}", started.elapsed().as_secs_f64());
    Ok(())
}

/// Gateways with another key refuse every token: a canary's share of the people finds out, and comes back.
async fn refuse(cluster: &ChatCluster, people: &People, good: &str) -> Result<()> {
    let started = Instant::now();
    change(cluster, Value::Null).await?;
    until("the good revision to be wanted again", SETTLE_LIMIT, || async {
        let rollout = cluster.get().await?.data["status"]["rollout"].clone();
        Ok(if rollout.is_null() { Seen::Yes(()) } else { Seen::NotYet(rollout.to_string()) })
    })
    .await?;
    let before = people.connections();
    let secrets = secrets(cluster);
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)?.serialize_pem();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "another-key" }, "stringData": { "key.pem": key },
    });
    secrets.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    cluster.merge(json!({ "spec": { "auth": { "signingKeySecretRef": { "name": "another-key" } } } })).await?;
    let told = failed(cluster, good, None).await?;
    // With four people it is chance which of the two is known first.
    let reasons = ["SignInsRefused", "ReconnectsFailed"];
    ensure!(reasons.iter().any(|reason| told["reason"] == *reason), "{told}");
    println!("taken back after {:.1} s: {told}", started.elapsed().as_secs_f64());
    let touched = people.connections().iter().zip(&before).filter(|(now, then)| now > then).count();
    println!("{touched} of {DEVICES} devices were touched");
    ensure!(touched <= DEVICES * CANARY / 100, "{touched} of {DEVICES} devices were touched");
    for device in &people.devices {
        let connected = device.wait_standing(SETTLE_LIMIT, |standing| standing.gateway.is_some()).await;
        ensure!(connected, "{} did not come back", device.account().user.name);
    }
    Ok(())
}

/// The Secret with the signing key is gone half way through a rollout: that is told, everything stays as it is, and it goes on when the Secret is back.
async fn vanish(cluster: &ChatCluster, people: &People, made: Secret) -> Result<()> {
    let secrets = secrets(cluster);
    // The key that the operator made, in a Secret of the user's.
    let secret = Secret { metadata: ObjectMeta { name: Some("own-key".into()), ..ObjectMeta::default() }, ..made };
    secrets.create(&PostParams::default(), &secret).await?;
    cluster.merge(json!({ "spec": { "auth": { "signingKeySecretRef": { "name": "own-key" } } } })).await?;
    let template = json!({ "annotations": { "example.com/turn": "2" } });
    cluster.merge(json!({ "spec": { "gateways": { "podTemplate": template } } })).await?;
    let wave = |status: &Value| status["rollout"]["wave"].as_i64();
    until("the first wave", ROLLOUT_LIMIT, || async {
        let status = cluster.get().await?.data["status"].clone();
        let begun = wave(&status) == Some(1) && status["rollout"]["phase"] != "Failed";
        Ok(if begun { Seen::Yes(()) } else { Seen::NotYet(status["rollout"].to_string()) })
    })
    .await?;
    secrets.delete("own-key", &DeleteParams::default()).await?;
    let names = ["spec.auth.signingKeySecretRef", "own-key"];
    cluster.wait_told("Ready", &["SecretNotFound"], &names, SETTLE_LIMIT).await?;
    let before = people.connections();
    // Longer than a wave is watched: whoever has been asked to move by then has moved.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let status = cluster.get().await?.data["status"].clone();
    ensure!(condition_of(&status, "GatewaysAvailable")["status"] == "True", "{status}");
    let moved = people.connections().iter().zip(&before).filter(|(now, then)| now > then).count();
    ensure!(moved <= DEVICES * CANARY / 100, "{moved} of {DEVICES} devices were moved while a Secret was missing");
    secrets.create(&PostParams::default(), &secret).await?;
    until("the rollout to end", ROLLOUT_LIMIT, || async {
        let status = cluster.get().await?.data["status"].clone();
        ensure!(status["rollout"]["phase"] != "Failed", "it failed: {}", status["rollout"]);
        Ok(if status["rollout"].is_null() { Seen::Yes(()) } else { Seen::NotYet(status["rollout"].to_string()) })
    })
    .await?;
    cluster.wait_ready(SETTLE_LIMIT).await.map(drop)
}

/// Waits until the newest revision, which is not the one that failed before, has failed and everybody is with the good one.
pub(super) async fn failed(cluster: &ChatCluster, good: &str, since: Option<&str>) -> Result<Value> {
    let told = until("the rollout to fail", ROLLOUT_LIMIT, || async {
        let status = cluster.get().await?.data["status"].clone();
        let rollout = status["rollout"].clone();
        ensure!(status["revision"] == good, "the revision that all gateways run is {}", status["revision"]);
        let is_new = since.is_none_or(|since| rollout["revision"] != since);
        Ok(if is_new && rollout["phase"] == "Failed" { Seen::Yes(rollout) } else { Seen::NotYet(rollout.to_string()) })
    })
    .await?;
    let status = cluster.get().await?.data["status"].clone();
    let stalled = condition_of(&status, "Stalled");
    ensure!(stalled["status"] == "True" && condition_of(&status, "Ready")["status"] == "False", "{status}");
    ensure!(condition_of(&status, "GatewaysAvailable")["status"] == "True", "{status}");
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    Ok(told)
}

fn secrets(cluster: &ChatCluster) -> Api<Secret> {
    Api::namespaced(cluster.world.client.clone(), &cluster.namespace)
}

async fn change(cluster: &ChatCluster, resources: Value) -> Result<()> {
    let template = json!({ "annotations": { "example.com/turn": "1" }, "resources": resources });
    cluster.merge(json!({ "spec": { "gateways": { "podTemplate": template } } })).await.map(drop)
}

pub(crate) async fn revision(cluster: &ChatCluster) -> Result<String> {
    let status = cluster.get().await?.data["status"].clone();
    status["revision"].as_str().map(str::to_owned).context("no revision")
}
