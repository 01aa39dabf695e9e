//! The API server is away while people chat: nobody feels it, nothing is lost, and the operator goes on where it was.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    ChatCluster, Crowd,
    breaking::{kill_api_server, revive_api_server},
    pods::{Part, restarts},
};
use kube::ResourceExt as _;
use serde_json::json;

use crate::shared::{SETTLE_LIMIT, shared};

/// From 40 s on the node counts as lost when the API server is back, until its kubelet has spoken.
const AWAY: Duration = Duration::from_secs(60);
/// How many are sent in a second: see `Crowd`. Half of them have to come while the API server is away.
const AT_LEAST_A_SECOND: u64 = 50;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn long_nobody_feels_that_the_api_server_is_away() -> Result<()> {
    let cluster = shared().await?;
    let before = pods(&cluster).await?;
    let crowd = Crowd::gather(&cluster, 4).await?;
    let connected = crowd.connections();
    // By itself, so that the API server comes back whatever becomes of the people.
    let mut outage = tokio::spawn(outage(cluster.clone()));
    let story = async {
        let (began, said) = (Instant::now(), heard(&crowd));
        (&mut outage).await??;
        let (seconds, heard) = (began.elapsed().as_secs(), heard(&crowd) - said);
        println!("{heard} messages in the {seconds} s until the API server answered again");
        ensure!(heard >= AT_LEAST_A_SECOND * seconds, "people were kept from chatting");
        // What the status says may be what it said before: the operator is asked for something, for which no kubelet is needed.
        let began = Instant::now();
        cluster.merge(json!({ "spec": { "database": { "rebalance": { "historyLimit": 3 } } } })).await?;
        cluster.wait_ready(SETTLE_LIMIT).await?;
        println!("a change of the spec was in force {:.1} s later", began.elapsed().as_secs_f64());
        cluster.merge(json!({ "spec": { "database": { "rebalance": null } } })).await?;
        cluster.wait_ready(SETTLE_LIMIT).await.map(drop)
    };
    let told = crowd.chat_during("while the API server was away", Box::pin(story)).await;
    if !outage.is_finished() {
        outage.await??;
    }
    told?;
    ensure!(crowd.connections() == connected, "somebody had to connect anew: {:?}", crowd.connections());
    let now = pods(&cluster).await?;
    ensure!(now == before, "pods changed: {before:?}, {now:?}");
    Ok(())
}

/// Takes the API server away for some time.
async fn outage(cluster: ChatCluster) -> Result<()> {
    kill_api_server().await?;
    let is_away = cluster.get().await.is_err();
    tokio::time::sleep(AWAY).await;
    revive_api_server().await?;
    ensure!(is_away, "the API server answered although it was killed");
    Ok(())
}

/// Pods of gateways and backends, by uid and restarts.
async fn pods(cluster: &ChatCluster) -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for part in [Part::Gateway, Part::Broker, Part::Cache, Part::Database] {
        for pod in cluster.pods(part).await? {
            all.insert(format!("{} {} {}", pod.name_any(), pod.uid().context("no uid")?, restarts(&pod)));
        }
    }
    Ok(all)
}

/// Messages that one device has, over all rooms.
fn heard(crowd: &Crowd) -> u64 {
    crowd.rooms.iter().filter_map(|room| crowd.ann_away.position(*room)).sum()
}
