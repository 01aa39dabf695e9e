//! Limits, the log level and the signing keys change under load: gateways that run take them, and no pod restarts, no revision is made and nobody is
//! disconnected. Meanwhile every token that one gateway makes is good at the other.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use chat_test_client::{Account, Addresses, Client, RequestError, accounts};
use e2e::{
    ChatCluster, Crowd, Namespace, World,
    chat_cluster::{condition, summary},
    crowd::sign_up,
    manifest,
    pods::{Part, restarts},
    wait::{Seen, until},
};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::shared::{READY_LIMIT, SETTLE_LIMIT, all_noted, turn};

/// Two of the kubelet's rounds here, and the operator's and the gateways' own.
const TAKEN_LIMIT: Duration = Duration::from_secs(60);
const TAKING: &str = "GatewaysTakeConfiguration";
/// What a gateway logs at `Info` when it has taken a change.
const SAID: &str = "this is in force now";
/// As often as one user may use tokens for minutes.
const EXCHANGE_EVERY: Duration = Duration::from_millis(1_500);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn running_gateways_take_limits_log_level_and_keys() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, "e2e-live-config").await?;
    let mut wanted = manifest::smallest("live");
    wanted["spec"]["gateways"] = json!({
        "replicas": 2, "limits": { "messagesPerSecond": 10_000, "messageBurst": 10_000, "messageBytes": 1_000 },
    });
    let cluster = ChatCluster::apply(&world, &namespace.name, &wanted).await?;
    cluster.wait_ready(READY_LIMIT).await?;
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    all_noted(&cluster).await?;
    let crowd = Crowd::gather(&cluster, 2).await?;
    let (before, connected) = (pods(&cluster).await?, crowd.connections());
    let gateways = cluster.gateway_addresses().await?;
    let account = sign_up(&Addresses::new(gateways.clone()), "token").await?;
    let stop = Arc::new(AtomicBool::new(false));
    let exchange = tokio::spawn(exchange(gateways.clone(), account.clone(), Arc::clone(&stop)));

    let story = async {
        take_limits(&cluster, &crowd, &gateways).await?;
        rotate(&cluster, &gateways, &account).await
    };
    crowd.chat_during("under changes of limits, log level and keys", Box::pin(story)).await?;
    stop.store(true, Relaxed);
    let exchanged = exchange.await??;
    println!("{exchanged} tokens were made at one gateway and taken at the other");
    ensure!(pods(&cluster).await? == before, "pods or Deployments have changed: {before:?}");
    ensure!(crowd.connections() == connected, "somebody connected anew: {:?}", crowd.connections());
    namespace.discard().await
}

/// Uids and restarts of the gateways, and their Deployments: with their generation, which a change of the smallest thing raises.
async fn pods(cluster: &ChatCluster) -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for pod in cluster.pods(Part::Gateway).await? {
        all.insert(format!("{} {}", pod.uid().context("no uid")?, restarts(&pod)));
    }
    for deployment in cluster.gateway_deployments().await? {
        all.insert(format!("{} {:?}", deployment.name_any(), deployment.metadata.generation));
    }
    Ok(all)
}

/// A token that one gateway makes is taken by the other one, whatever changes meanwhile.
async fn exchange(gateways: Vec<String>, mut account: Account, stop: Arc<AtomicBool>) -> Result<u32> {
    let mut exchanged = 0;
    while !stop.load(Relaxed) {
        for (at, to) in [(&gateways[0], &gateways[1]), (&gateways[1], &gateways[0])] {
            account = accounts::refresh(at, &account).await.context("a refresh token was refused")?;
            ensure!(
                admits(to, &account.token).await?,
                "{to} refuses a token that {at} made: {:?}",
                key_of(&account.token)
            );
            exchanged += 1;
            tokio::time::sleep(EXCHANGE_EVERY).await;
        }
    }
    Ok(exchanged)
}

async fn admits(gateway: &str, token: &str) -> Result<bool> {
    let (status, body) = accounts::get(gateway, "/v1/sessions", Some(token)).await?;
    ensure!(matches!(status.as_u16(), 200 | 401), "{status}: {}", String::from_utf8_lossy(&body));
    Ok(status == 200)
}

fn key_of(token: &str) -> Result<String> {
    jsonwebtoken::decode_header(token)?.kid.context("a token without a key id")
}

/// A smaller limit and less in the logs. Ready comes when both gateways have it, and not before.
async fn take_limits(cluster: &ChatCluster, crowd: &Crowd, gateways: &[String]) -> Result<()> {
    let long = "x".repeat(500);
    crowd.ann.send(crowd.rooms[0], &long).await.context("a long text")?;
    let started = Instant::now();
    let gateway = json!({ "limits": { "messageBytes": 200 }, "logLevel": "Warn" });
    let generation = cluster.merge(json!({ "spec": { "gateways": gateway } })).await?;
    ready(cluster, Some(generation)).await?;
    let (took, now) = (started.elapsed(), limits(gateways).await?);
    ensure!(now == [200, 200], "Ready is True, and gateways let texts through of {now:?} bytes");
    println!("limits and log level were taken within {:.1} s", took.as_secs_f64());
    for device in [&crowd.ann, &crowd.bob] {
        let refused = refused(device, crowd.rooms[0], &long).await?;
        ensure!(refused == "too_large", "{refused}");
    }
    ensure!(lines(cluster).await? == [0, 0], "told although only warnings are wanted");
    Ok(())
}

/// Waits until Ready is True again; it has to be False for the change in between, if that is not of the spec.
async fn ready(cluster: &ChatCluster, generation: Option<i64>) -> Result<()> {
    let mut reasons = BTreeSet::new();
    let seen = std::sync::Mutex::new(&mut reasons);
    until("gateways to take a change", TAKEN_LIMIT, || async {
        let object = cluster.get().await?;
        let ready = condition(&object, "Ready").cloned().unwrap_or_default();
        ensure!(object.data["status"]["rollout"].is_null(), "a rollout: {}", object.data["status"]["rollout"]);
        if generation.is_some_and(|generation| ready["observedGeneration"] != generation) {
            return Ok(Seen::NotYet("not looked at".to_owned()));
        }
        let mut seen = seen.lock().unwrap();
        seen.insert(ready["reason"].as_str().unwrap_or_default().to_owned());
        let is_over = ready["status"] == "True" && (generation.is_some() || seen.contains(TAKING));
        Ok(if is_over { Seen::Yes(()) } else { Seen::NotYet(summary(&object)) })
    })
    .await?;
    ensure!(reasons.contains(TAKING), "status never told what it waits for: {reasons:?}");
    Ok(())
}

/// The longest text that each gateway takes, as it says itself.
async fn limits(gateways: &[String]) -> Result<Vec<u64>> {
    let mut all = Vec::new();
    for gateway in gateways {
        let (_, body) = accounts::get(gateway, "/v1/config", None).await?;
        let config: Value = serde_json::from_slice(&body)?;
        all.push(config["limits"]["message_bytes"].as_u64().context("no limit")?);
    }
    Ok(all)
}

/// The code with which a text is refused.
async fn refused(device: &Client, room: uuid::Uuid, text: &str) -> Result<String> {
    let request = json!({ "type": "send", "room": room, "message_id": uuid::Uuid::now_v7(), "body": text });
    match device.request(request).await {
        Err(RequestError::Refused(refusal)) => Ok(refusal.code),
        answer => anyhow::bail!("not refused: {answer:?}"),
    }
}

/// How often each gateway has told of a change.
async fn lines(cluster: &ChatCluster) -> Result<Vec<usize>> {
    let mut all = Vec::new();
    for pod in cluster.pods(Part::Gateway).await? {
        let log = cluster.world.kubectl(&["logs", "-n", &cluster.namespace, &pod.name_any()]).await?;
        all.push(log.matches(SAID).count());
    }
    Ok(all)
}

/// A new key before the old one, then alone. Old tokens are good for as long as their key is there.
async fn rotate(cluster: &ChatCluster, gateways: &[String], account: &Account) -> Result<()> {
    let secrets: Api<Secret> = Api::namespaced(cluster.world.client.clone(), &cluster.namespace);
    let name = format!("{}-signing-key", cluster.name);
    let secret = secrets.get(&name).await?;
    let old = secret.data.and_then(|mut data| data.remove("key.pem")).context("no key")?;
    let old = String::from_utf8(old.0)?;
    let new = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)?.serialize_pem();
    let write = async |keys: String| {
        let patch = Patch::Merge(json!({ "stringData": { "key.pem": keys } }));
        secrets.patch(&name, &PatchParams::default(), &patch).await
    };
    let started = Instant::now();
    write(format!("{new}\n{old}")).await?;
    ready(cluster, None).await?;
    println!("a new key signs after {:.1} s", started.elapsed().as_secs_f64());
    let mut fresh = Vec::new();
    for gateway in gateways {
        let person = sign_up(&Addresses::new(vec![gateway.clone()]), "fresh").await?;
        ensure!(key_of(&person.token)? != key_of(&account.token)?, "{gateway} signs with the old key");
        fresh.push(person.token);
    }
    for gateway in gateways {
        for token in [&fresh[0], &fresh[1], &account.token] {
            ensure!(admits(gateway, token).await?, "{gateway} refuses a token of {}", key_of(token)?);
        }
    }

    // The same pass brings the log level back.
    let started = Instant::now();
    write(new).await?;
    cluster.merge(json!({ "spec": { "gateways": { "logLevel": "Info" } } })).await?;
    ready(cluster, None).await?;
    println!("the old key is gone after {:.1} s", started.elapsed().as_secs_f64());
    for gateway in gateways {
        ensure!(admits(gateway, &fresh[0]).await? && admits(gateway, &fresh[1]).await?, "{gateway} refuses new tokens");
        ensure!(!admits(gateway, &account.token).await?, "{gateway} takes a token of a key that is gone");
    }
    let lines = lines(cluster).await?;
    ensure!(lines.iter().all(|told| *told > 0), "told {lines:?} times although Info is wanted again");
    Ok(())
}
