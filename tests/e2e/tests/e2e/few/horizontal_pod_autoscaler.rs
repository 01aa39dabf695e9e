//! `autoscaling.mode: External` with Kubernetes' own autoscaler, which asks the operator for connections through the API server.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use chat_test_client::{Client, ClientConfig, Ledger};
use e2e::{
    ChatCluster, Namespace, World,
    crowd::{follow_gateways, sign_up},
    manifest, metrics_apis,
    pods::Part,
    wait::{Seen, until},
};
use serde_json::{Value, json};

use super::autoscaling::watch_replicas;
use crate::shared::{READY_LIMIT, SETTLE_LIMIT, turn};

/// Connections that one gateway is to have; nine people make three gateways.
const EACH: usize = 3;
/// Kubernetes' controller asks every 15 s, and may take two steps.
const DECISION_LIMIT: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn kubernetes_own_autoscaler_follows_the_connections() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    world.with_metrics_api(metrics_apis::CUSTOM, follows(&world)).await
}

async fn follows(world: &World) -> Result<()> {
    let namespace = Namespace::fresh(world, "e2e-hpa").await?;
    let mut wanted = manifest::smallest("scaled");
    wanted["spec"]["gateways"] = json!({ "replicas": 1, "drainSeconds": 5, "autoscaling": { "mode": "External" } });
    let cluster = ChatCluster::apply(world, &namespace.name, &wanted).await?;
    cluster.wait_ready(READY_LIMIT).await?;
    let (numbers, watcher) = watch_replicas(&cluster);
    apply(&cluster, &autoscaler(&cluster)).await?;

    let mut crowd = Devices::gather(&cluster).await?;
    let started = Instant::now();
    cluster.wait_pods(Part::Gateway, 3, DECISION_LIMIT + SETTLE_LIMIT).await?;
    println!("three gateways {:.1} s after {} connections", started.elapsed().as_secs_f64(), 3 * EACH);
    cluster.wait_ready(SETTLE_LIMIT).await?;
    ensure!(metric(&cluster, "connections").await? == json!("9"), "it is told something else than there is");

    crowd.shrink(&cluster).await?;
    let started = Instant::now();
    cluster.wait_pods(Part::Gateway, 1, DECISION_LIMIT + SETTLE_LIMIT).await?;
    println!("one gateway {:.1} s after all but two people left", started.elapsed().as_secs_f64());
    until("both to be connected", SETTLE_LIMIT, || async {
        let connections = metric(&cluster, "connections").await?;
        Ok(if connections == "2" { Seen::Yes(()) } else { Seen::NotYet(connections.to_string()) })
    })
    .await?;
    // They were on different gateways, so one of them was asked to move, once, and nobody was thrown out.
    ensure!(crowd.made() == [1, 2], "connections that the two made: {:?}", crowd.made());
    let seen = numbers.lock().unwrap().clone();
    let highest = seen.iter().position(|number| *number == 3).context("never three")?;
    let (up, down) = seen.split_at(highest);
    ensure!(up.is_sorted() && down.is_sorted_by(|a, b| a >= b), "it went up and down: {seen:?}");

    watcher.abort();
    drop(crowd);
    cluster.check_spec_is_the_users().await?;
    let writer = writer_of_replicas(&cluster).await?;
    ensure!(writer == ["kube-controller-manager"], "spec.gateways.replicas belongs to {writer:?}");
    namespace.discard().await
}

/// As in docs/how-to/autoscale-gateways.md, but quicker.
fn autoscaler(cluster: &ChatCluster) -> Value {
    let target = json!({ "apiVersion": "chatcluster.dev/v1alpha1", "kind": "ChatCluster", "name": cluster.name });
    json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": { "name": cluster.name },
        "spec": {
            "scaleTargetRef": target,
            "minReplicas": 1,
            "maxReplicas": 4,
            "metrics": [{
                "type": "Object",
                "object": {
                    "describedObject": target,
                    "metric": { "name": "connections" },
                    "target": { "type": "AverageValue", "averageValue": EACH.to_string() },
                },
            }],
            "behavior": { "scaleDown": { "stabilizationWindowSeconds": 0 } },
        },
    })
}

async fn apply(cluster: &ChatCluster, object: &Value) -> Result<()> {
    let args = ["apply", "-n", &cluster.namespace, "-f", "-"];
    let printed = cluster.world.kubectl_any(&args, Some(&object.to_string())).await?;
    ensure!(printed.success, "{}", printed.err);
    Ok(())
}

/// A metric of the ChatCluster, asked as a person would.
async fn metric(cluster: &ChatCluster, name: &str) -> Result<Value> {
    let (namespace, cluster_name) = (&cluster.namespace, &cluster.name);
    let resource = format!("namespaces/{namespace}/chatclusters.chatcluster.dev/{cluster_name}/{name}");
    let path = format!("/apis/custom.metrics.k8s.io/v1beta2/{resource}");
    let list: Value = serde_json::from_str(&cluster.world.kubectl(&["get", "--raw", &path]).await?)?;
    Ok(list["items"][0]["value"].clone())
}

/// Who owns `spec.gateways.replicas`.
async fn writer_of_replicas(cluster: &ChatCluster) -> Result<Vec<String>> {
    let object = cluster.get().await?;
    let entries = object.metadata.managed_fields.into_iter().flatten();
    let owns = |fields: &Value| fields["f:spec"]["f:gateways"].get("f:replicas").is_some();
    let owners = entries.filter(|entry| entry.fields_v1.as_ref().is_some_and(|fields| owns(&fields.0)));
    Ok(owners.filter_map(|entry| entry.manager).collect())
}

/// A person's devices: all on the first gateway, and at the end one on another.
struct Devices {
    account: chat_test_client::Account,
    ledger: Ledger,
    clients: Vec<Client>,
    followers: Vec<tokio::task::JoinHandle<()>>,
}

impl Devices {
    async fn gather(cluster: &ChatCluster) -> Result<Self> {
        let (addresses, follower) = follow_gateways(cluster, 0).await?;
        let (account, ledger) = (sign_up(&addresses, "ann").await?, Ledger::new());
        let mut clients = Vec::new();
        for _ in 0..3 * EACH {
            clients.push(Client::start(ClientConfig::new(account.clone(), addresses.clone(), ledger.clone())).await?);
        }
        Ok(Self { account, ledger, clients, followers: vec![follower] })
    }

    /// Leaves one where it is, and another one on another gateway.
    async fn shrink(&mut self, cluster: &ChatCluster) -> Result<()> {
        let (addresses, follower) = follow_gateways(cluster, 1).await?;
        self.followers.push(follower);
        let away = Client::start(ClientConfig::new(self.account.clone(), addresses, self.ledger.clone())).await?;
        self.clients.truncate(1);
        let (home, there) = (self.clients[0].standing().gateway, away.standing().gateway);
        ensure!(home.is_some() && home != there, "both are on {home:?}");
        self.clients.push(away);
        Ok(())
    }

    fn made(&self) -> Vec<u32> {
        let mut made: Vec<u32> = self.clients.iter().map(|client| client.standing().connections).collect();
        made.sort_unstable();
        made
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        for follower in &self.followers {
            follower.abort();
        }
    }
}
