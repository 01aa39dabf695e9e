//! Two replicas of the operator: one leads, and hands over when it stops in good order. With rule B5: neither moves the generation.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    World,
    pods::Part,
    tools::chart_folder,
    wait::{Seen, until},
    world::OPERATOR_NAMESPACE,
};
use k8s_openapi::api::{coordination::v1::Lease, core::v1::Pod};
use kube::{Api, ResourceExt as _, api::DeleteParams};

use crate::shared::{SETTLE_LIMIT, shared};

/// Far below the 15 s of a Lease that is not given back, and above the 2 s between two tries.
const HANDOVER_LIMIT: Duration = Duration::from_secs(8);

/// Longer than a pod that is there takes to answer; nobody answers at the address of one that has gone.
const FAREWELL: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn b5_a_leader_that_stops_hands_over_and_no_change_is_lost() -> Result<()> {
    let cluster = shared().await?;
    let world = &cluster.world;
    replicas(world, 2).await?;
    let leader = until("a leader beside one that stands by", SETTLE_LIMIT, || async {
        let pods = world.operator_pods(OPERATOR_NAMESPACE).await?;
        let leaders = leaders(world, &pods).await?;
        Ok(match (pods.len(), leaders.as_slice()) {
            (2, [leader]) => Seen::Yes(leader.clone()),
            (pods, leaders) => Seen::NotYet(format!("{} of {pods} lead", leaders.len())),
        })
    })
    .await?;
    ensure!(holder(world).await?.as_ref() == leader.metadata.name.as_ref(), "the Lease names another one");

    let generation = cluster.get().await?.metadata.generation.context("no generation")?;
    let api: Api<Pod> = Api::namespaced(world.client.clone(), OPERATOR_NAMESPACE);
    api.delete(&leader.name_any(), &DeleteParams::default()).await?;
    let started = Instant::now();
    cluster.kubectl_scale(3).await?;
    let most = AtomicUsize::new(0);
    let next = until("another leader", HANDOVER_LIMIT, || async {
        let others = leaders(world, &world.operator_pods(OPERATOR_NAMESPACE).await?).await?;
        // Asked after the others: if both say that they lead, both did at one moment. It answers until it has ended.
        let old = tokio::time::timeout(FAREWELL, leaders(world, std::slice::from_ref(&leader))).await;
        let old = old.ok().and_then(Result::ok).unwrap_or_default();
        most.fetch_max(others.len() + old.len(), Relaxed);
        Ok(others.first().map_or_else(|| Seen::NotYet("none".into()), |next| Seen::Yes(next.name_any())))
    })
    .await?;
    ensure!(most.into_inner() == 1, "two led at once");
    println!("leadership was handed over within {:.1} s", started.elapsed().as_secs_f64());
    ensure!(holder(world).await? == Some(next), "the Lease names another one");
    cluster.wait_pods(Part::Gateway, 3, SETTLE_LIMIT).await?;
    let object = cluster.wait_ready(SETTLE_LIMIT).await?;
    ensure!(object.metadata.generation == Some(generation + 1), "an operator wrote the spec");

    replicas(world, 1).await?;
    until("one operator, who leads", SETTLE_LIMIT, || async {
        let pods = world.operator_pods(OPERATOR_NAMESPACE).await?;
        let leaders = leaders(world, &pods).await?;
        let done = pods.len() == 1 && leaders.len() == 1;
        Ok(if done { Seen::Yes(()) } else { Seen::NotYet(format!("{} of {} lead", leaders.len(), pods.len())) })
    })
    .await
}

/// Sets the chart's number of replicas, and nothing else.
async fn replicas(world: &World, count: u8) -> Result<()> {
    let (chart, set) = (chart_folder("chat-operator"), format!("replicas={count}"));
    let what = ["upgrade", "chat-operator", &chart, "--namespace", OPERATOR_NAMESPACE, "--reuse-values"];
    let how = ["--set", &set, "--wait", "--timeout", "120s"];
    world.helm(&[what.as_slice(), &how].concat()).await?;
    Ok(())
}

/// Those of the pods that say that they lead.
async fn leaders(world: &World, pods: &[Pod]) -> Result<Vec<Pod>> {
    let mut leaders = Vec::new();
    for pod in pods {
        let leads = world.metrics_of(pod).await?.get("chat_operator_leader").copied();
        if leads.context("no metric chat_operator_leader")? > 0.5 {
            leaders.push(pod.clone());
        }
    }
    Ok(leaders)
}

/// Whom the Lease names.
async fn holder(world: &World) -> Result<Option<String>> {
    let api: Api<Lease> = Api::namespaced(world.client.clone(), OPERATOR_NAMESPACE);
    Ok(api.get("chat-operator").await?.spec.and_then(|spec| spec.holder_identity))
}
