//! A namespace is deleted in the midst of a rollout, with the ChatCluster in it.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{
    ChatCluster, Namespace, World, manifest,
    pods::{Part, restarts},
    wait::{Seen, until},
};
use kube::ResourceExt as _;
use serde_json::json;

use crate::shared::{READY_LIMIT, SETTLE_LIMIT, turn};

const NAMESPACE: &str = "e2e-vanishing";
/// The drain of a gateway that nobody is connected to takes seconds; this is what Kubernetes takes beside.
const GONE_WITHIN: Duration = Duration::from_secs(120);
/// Time in which an operator that has not understood would have tried again.
const WATCHED: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn a_namespace_that_is_deleted_in_mid_rollout_goes_and_can_come_again() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, NAMESPACE).await?;
    let operator = world.operator_pod().await?;
    let cluster = ready(&world).await?;

    cluster.merge(json!({ "spec": { "gateways": { "podTemplate": { "annotations": { "team": "chat" } } } } })).await?;
    until("a rollout on its way", SETTLE_LIMIT, || async {
        let rollout = cluster.get().await?.data["status"]["rollout"].clone();
        Ok(if rollout["wave"].is_number() { Seen::Yes(()) } else { Seen::NotYet(rollout.to_string()) })
    })
    .await?;
    let took = namespace.delete(GONE_WITHIN).await?;
    println!("the namespace was gone after {:.1} s", took.as_secs_f64());

    let before = world.operator_child_writes(NAMESPACE).await?;
    tokio::time::sleep(WATCHED).await;
    let after = world.operator_child_writes(NAMESPACE).await?;
    ensure!(after <= before, "{} writes into a namespace that is gone", after - before);

    let again = Namespace::fresh(&world, NAMESPACE).await?;
    let cluster = ready(&world).await?;
    let status = cluster.get().await?.data["status"].clone();
    ensure!(status["rollout"].is_null(), "a rollout of another life: {}", status["rollout"]);
    let now = world.operator_pod().await?;
    ensure!(now.uid() == operator.uid() && restarts(&now) == restarts(&operator), "the operator did not bear it");
    again.discard().await
}

async fn ready(world: &World) -> Result<ChatCluster> {
    let mut wanted = manifest::smallest("vanishes");
    wanted["spec"]["gateways"] = json!({ "replicas": 2, "rollout": { "waves": [50, 100], "analysisSeconds": 60 } });
    let cluster = ChatCluster::apply(world, NAMESPACE, &wanted).await?;
    cluster.wait_ready(READY_LIMIT).await?;
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    Ok(cluster)
}
