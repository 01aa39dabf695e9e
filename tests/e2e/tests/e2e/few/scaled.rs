//! What both kinds of autoscalers of others have to do: up as people come, down as they leave, and nobody is thrown out.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use chat_test_client::{Account, Client, ClientConfig, Ledger};
use e2e::{
    ChatCluster, Namespace, World,
    crowd::{follow_gateways, sign_up},
    manifest,
    pods::Part,
    wait::{Seen, until},
};
use serde_json::{Value, json};

use super::autoscaling::watch_replicas;
use crate::shared::{READY_LIMIT, SETTLE_LIMIT};

/// Connections that one gateway is to have; three times as many people make three gateways.
pub(super) const EACH: usize = 3;
/// Kubernetes' controller asks every 15 s, and may take two steps.
const DECISION_LIMIT: Duration = Duration::from_secs(90);

/// A ChatCluster called `demo` with one gateway, as many as somebody else says.
pub(super) async fn external(world: &World, namespace: &Namespace) -> Result<ChatCluster> {
    let mut wanted = manifest::smallest("demo");
    wanted["spec"]["gateways"] = json!({ "replicas": 1, "drainSeconds": 5, "autoscaling": { "mode": "External" } });
    let cluster = ChatCluster::apply(world, &namespace.name, &wanted).await?;
    cluster.wait_ready(READY_LIMIT).await?;
    Ok(cluster)
}

/// The documented manifests with some words replaced, each of which must be in them.
pub(super) fn changed(text: &str, changes: &[(&str, &str)]) -> Result<String> {
    changes.iter().try_fold(text.to_owned(), |text, (from, to)| {
        ensure!(text.contains(from), "{from:?} is not in {text}");
        Ok(text.replace(from, to))
    })
}

/// People come, and an autoscaler that is there already makes three gateways; they leave, and it makes one. `told` is what it is told.
pub(super) async fn follows<F>(cluster: &ChatCluster, told: impl Fn() -> F) -> Result<()>
where
    F: Future<Output = Result<Value>>,
{
    let (numbers, watcher) = watch_replicas(cluster);
    let mut crowd = Devices::gather(cluster).await?;
    let started = Instant::now();
    cluster.wait_pods(Part::Gateway, 3, DECISION_LIMIT + SETTLE_LIMIT).await?;
    println!("three gateways {:.1} s after {} connections", started.elapsed().as_secs_f64(), 3 * EACH);
    cluster.wait_ready(SETTLE_LIMIT).await?;
    ensure!(told().await? == "9", "it is told something else than there is");
    let labels = format!("name=\"demo\",namespace=\"{}\"", cluster.namespace);
    until("metrics of three gateways", Duration::from_secs(15), || async {
        let metrics = cluster.world.operator_metrics().await?;
        let is = |name: &str, value: f64| metrics.get(&format!("chat_operator_{name}{{{labels}}}")) == Some(&value);
        let told = is("connections", 9.0) && is("gateways_desired", 3.0) && is("gateways_ready", 3.0);
        Ok(if told { Seen::Yes(()) } else { Seen::NotYet(format!("{metrics:?}")) })
    })
    .await?;

    crowd.shrink(cluster).await?;
    let started = Instant::now();
    cluster.wait_pods(Part::Gateway, 1, DECISION_LIMIT + SETTLE_LIMIT).await?;
    println!("one gateway {:.1} s after all but two people left", started.elapsed().as_secs_f64());
    until("both to be connected", SETTLE_LIMIT, || async {
        let connections = told().await?;
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
    cluster.check_spec_is_the_users().await?;
    let writers = writers_of_replicas(cluster).await?;
    ensure!(writers == ["kube-controller-manager"], "spec.gateways.replicas belongs to {writers:?}");
    Ok(())
}

/// Who owns `spec.gateways.replicas`.
async fn writers_of_replicas(cluster: &ChatCluster) -> Result<Vec<String>> {
    let object = cluster.get().await?;
    let entries = object.metadata.managed_fields.into_iter().flatten();
    let owns = |fields: &Value| fields["f:spec"]["f:gateways"].get("f:replicas").is_some();
    let owners = entries.filter(|entry| entry.fields_v1.as_ref().is_some_and(|fields| owns(&fields.0)));
    Ok(owners.filter_map(|entry| entry.manager).collect())
}

/// A person's devices: all on the first gateway, and at the end one on another.
struct Devices {
    account: Account,
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
        let home = self.clients[0].standing().gateway.context("nobody is connected")?;
        // One more person than there were would be a reason for a fourth gateway.
        self.clients.truncate(3 * EACH - 1);
        // Gateways come in the order of their names, so the first one may be a new one by now.
        for number in 0..2 {
            let (addresses, follower) = follow_gateways(cluster, number).await?;
            self.followers.push(follower);
            let away = Client::start(ClientConfig::new(self.account.clone(), addresses, self.ledger.clone())).await?;
            if away.standing().gateway.is_some_and(|gateway| gateway != home) {
                self.clients.truncate(1);
                self.clients.push(away);
                return Ok(());
            }
        }
        anyhow::bail!("everybody is on {home}")
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
