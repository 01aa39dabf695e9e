//! One operator for very many ChatClusters: how soon it has looked at all of them after a start, what memory it takes, and what it writes while
//! nothing happens.

use std::{
    collections::HashSet,
    path::Path,
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use chat_crds::ChatCluster;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::json;

use crate::{objects, operator::Operator, report::Row, scenario::Scenario};

/// ChatClusters of one namespace.
const TOGETHER: u32 = 50;
/// Writes at the same time while the ChatClusters are made.
const WRITERS: usize = 16;
/// Time for all of them to become ready for the first time: some twenty writes and three pods each.
const PATIENCE: Duration = Duration::from_secs(1_200);
/// Time in which what follows from a start comes to rest, and time in which writes are counted.
const REST: Duration = Duration::from_secs(45);
const IDLE: Duration = Duration::from_secs(60);
/// Prefix of the namespaces.
const PREFIX: &str = "footprint";

/// What it takes.
pub(crate) struct Footprint<'a> {
    pub(crate) client: &'a Client,
    pub(crate) program: &'a Path,
    pub(crate) kubeconfig: &'a Path,
    pub(crate) log: &'a Path,
    pub(crate) clusters: u32,
}

impl Footprint<'_> {
    /// Makes the ChatClusters, lets the operator end, changes each of them, starts the operator anew and watches.
    ///
    /// # Errors
    /// They do not become ready in time.
    pub(crate) async fn measure(&self) -> Result<Vec<Row>> {
        let begun = Instant::now();
        let mut first = Operator::start(self.program, self.kubeconfig, self.log)?;
        first.wait_until_it_leads().await?;
        self.each(|namespace, number| async move {
            let gateways = json!({ "replicas": 2 + number % 3, "drain": { "movesPerSecond": 50 } });
            let name = format!("chat-{number}");
            objects::apply(self.client, &objects::chat_cluster(&namespace, &name, &gateways)).await
        })
        .await?;
        let made = self.wait_until_ready(begun, PATIENCE).await?;
        println!("{} ChatClusters are ready after {:.0} s", self.clusters, made.as_secs_f64());
        first.stop().await?;
        // A change that writes a status and no child: whoever has seen it has looked at the ChatCluster.
        self.each(|namespace, number| async move {
            let api: Api<ChatCluster> = Api::namespaced(self.client.clone(), &namespace);
            let patch = Patch::Merge(json!({ "spec": { "gateways": { "drain": { "movesPerSecond": 51 } } } }));
            api.patch(&format!("chat-{number}"), &PatchParams::default(), &patch).await?;
            Ok(())
        })
        .await?;
        let start = Instant::now();
        let mut second = Operator::start(self.program, self.kubeconfig, self.log)?;
        second.wait_until_it_leads().await?;
        let cold = self.wait_until_ready(start, PATIENCE).await?;
        tokio::time::sleep(REST).await;
        let at_start = second.sum("chat_operator_status_writes_total").await? / f64::from(self.clusters);
        let before = writes(&second).await?;
        let answered = second.sum("chat_operator_polls_total").await?;
        tokio::time::sleep(IDLE).await;
        let idle = writes(&second).await? - before;
        let polls = (second.sum("chat_operator_polls_total").await? - answered) / IDLE.as_secs_f64();
        let (resident, most) = second.memory()?;
        let row = |figure: &str, value, goal| Row::alone(Scenario::Footprint, figure, value, goal);
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        Ok(vec![
            row("ChatClusters", self.clusters.into(), None),
            row("from the operator's start to the last one Ready, s", cold.as_secs_f64(), Some(30.0)),
            row("status writes of a ChatCluster after the start, mean", at_start, None),
            row("resident memory, MiB", mebibytes(resident), Some(64.0)),
            row("most resident memory so far, MiB", mebibytes(most), None),
            row("writes in an idle minute", idle * 60.0 / IDLE.as_secs_f64(), Some(0.0)),
            row("questions to gateways, 1/s", polls, None),
        ])
    }

    /// Does something for each ChatCluster, several at a time.
    async fn each<F: Future<Output = Result<()>>>(&self, act: impl Fn(String, u32) -> F) -> Result<()> {
        for number in 0..self.clusters.div_ceil(TOGETHER) {
            let namespace = format!("{PREFIX}-{number}");
            objects::apply(self.client, &objects::namespace(&namespace)).await?;
            objects::apply(self.client, &objects::engines(&namespace)).await?;
        }
        let all = stream::iter(0..self.clusters).map(|number| act(format!("{PREFIX}-{}", number / TOGETHER), number));
        all.buffer_unordered(WRITERS).try_collect().await
    }

    /// Waits until every ChatCluster says Ready of its newest generation; returns the time since `since`. It watches: reading them all again and
    /// again would keep the API server from the operator.
    async fn wait_until_ready(&self, since: Instant, patience: Duration) -> Result<Duration> {
        let api: Api<ChatCluster> = Api::all(self.client.clone());
        let mut changes = pin!(watcher(api, watcher::Config::default()).default_backoff().applied_objects());
        let (mut ready, mut told) = (HashSet::new(), Instant::now());
        while ready.len() < self.clusters as usize {
            let rest = patience.saturating_sub(since.elapsed());
            let Ok(change) = tokio::time::timeout(rest, changes.next()).await else {
                bail!("{} of {} ChatClusters are ready after {} s", ready.len(), self.clusters, patience.as_secs());
            };
            // A watch that failed is begun again.
            let Some(Ok(cluster)) = change else { continue };
            let name = cluster.name_any();
            if name != objects::NAME && is_ready(&cluster) {
                ready.insert(name);
            } else {
                ready.remove(&name);
            }
            if told.elapsed() > Duration::from_secs(30) {
                println!("  {} of {} ChatClusters are ready", ready.len(), self.clusters);
                told = Instant::now();
            }
        }
        Ok(since.elapsed())
    }
}

fn is_ready(cluster: &ChatCluster) -> bool {
    let Some(status) = &cluster.status else { return false };
    status.conditions.iter().any(|condition| {
        condition.type_ == "Ready"
            && condition.status == "True"
            && condition.observed_generation == cluster.metadata.generation
    })
}

/// What the operator has written, the Lease left out.
async fn writes(operator: &Operator) -> Result<f64> {
    Ok(operator.sum("chat_operator_writes_total").await? + operator.sum("chat_operator_status_writes_total").await?)
}
