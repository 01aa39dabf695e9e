//! Chart scope `Namespace`, and rule C2 with the operator in the same namespace: it serves that namespace beside a cluster-wide operator
//! that leaves it alone, needs no right beyond it, and goes with it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use e2e::{ChatCluster, Namespace, World, manifest, tools::chart_folder, world::OPERATOR_NAMESPACE};

use crate::{
    life::NAMESPACE_LIMIT,
    shared::{self, SETTLE_LIMIT, turn},
    tenants::may,
};

/// Excluded from the cluster-wide operator's work by `cargo xtask test`, which installs that one.
const NAMESPACE: &str = "e2e-apart";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn an_operator_of_one_namespace_serves_it_alone_and_goes_with_it() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, NAMESPACE).await?;
    let chart = chart_folder("chat-operator");
    let what = ["install", "chat-operator", &chart, "--namespace", NAMESPACE];
    let how = ["--set", "scope=Namespace", "--wait", "--timeout", "120s"];
    world.helm(&[what.as_slice(), &how].concat()).await?;
    let cluster = ChatCluster::apply(&world, NAMESPACE, &manifest::smallest("apart")).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;

    let label = format!("namespace=\"{NAMESPACE}\"");
    let ours = world.operator_pods(NAMESPACE).await?.pop().context("no operator in the namespace")?;
    let wrote = |samples: &BTreeMap<String, f64>| samples.keys().any(|name| name.contains(&label));
    ensure!(wrote(&world.metrics_of(&ours).await?), "the namespace's own operator wrote nothing there");
    let wide = world.operator_metrics().await?;
    ensure!(!wrote(&wide), "the cluster-wide operator worked in a namespace that is excluded: {wide:?}");

    // The chart's rights end with the namespace, as its own operator's deeds do.
    let account = format!("system:serviceaccount:{NAMESPACE}:chat-operator");
    for elsewhere in [shared::NAMESPACE, OPERATOR_NAMESPACE, "default"] {
        for what in ["get secrets", "list chatclusters.chatcluster.dev", "patch deployments.apps", "list pods"] {
            ensure!(may(&world, &account, what, NAMESPACE).await?, "{account} may not {what} in its own namespace");
            ensure!(!may(&world, &account, what, elsewhere).await?, "{account} may {what} in {elsewhere}");
        }
    }

    let took = namespace.delete(NAMESPACE_LIMIT).await?;
    println!("namespace deletion with the operator inside: {:.1} s", took.as_secs_f64());
    Ok(())
}
