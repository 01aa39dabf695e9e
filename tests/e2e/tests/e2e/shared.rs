//! The ChatClusters of the tests, and who may use them at the same time.

use std::{ops::Deref, time::Duration};

use anyhow::Result;
use e2e::{
    ChatCluster, Namespace, World, manifest,
    pods::Part,
    wait::{Seen, until},
};
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt as _;
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit};

/// Namespace of the ChatCluster that most tests share.
pub(crate) const NAMESPACE: &str = "e2e-shared";

/// From nothing to Ready, images being there: what the quickstart promises.
pub(crate) const READY_LIMIT: Duration = Duration::from_secs(120);

/// Anything that settles by itself.
pub(crate) const SETTLE_LIMIT: Duration = Duration::from_secs(180);

/// Within this time a ChatCluster says that a part of it is away.
pub(crate) const NOTICE_LIMIT: Duration = Duration::from_secs(10);

/// When the rollout to a revision was over, on its Deployment.
const ROLLED_OUT: &str = "chatcluster.dev/rolled-out";

/// How a workload was made, on it.
const RENDERING: &str = "chatcluster.dev/rendering";

/// Held by the test that uses the shared cluster.
static SHARED: Mutex<()> = Mutex::const_new(());

/// Held by tests with a cluster of their own: more than two starting at once would starve each other on a small machine.
static OWN: Semaphore = Semaphore::const_new(2);

/// A ChatCluster and the right to use it, which ends when this is dropped.
pub(crate) struct Held<T> {
    cluster: ChatCluster,
    _turn: T,
}

impl<T> Held<T> {
    /// The cluster without the right, which others may have from now on: for who only watches, or does not disturb those who start theirs.
    pub(crate) fn released(self) -> ChatCluster {
        self.cluster
    }
}

impl<T> Deref for Held<T> {
    type Target = ChatCluster;

    fn deref(&self) -> &ChatCluster {
        &self.cluster
    }
}

/// The shared cluster, as its manifest says and Ready, whatever the tests before did to it.
pub(crate) async fn shared() -> Result<Held<MutexGuard<'static, ()>>> {
    let turn = SHARED.lock().await;
    let world = World::connect().await?;
    Namespace::ensure(&world, NAMESPACE).await?;
    let cluster = ChatCluster::apply(&world, NAMESPACE, &manifest::for_load()?).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    Ok(Held { cluster, _turn: turn })
}

/// The gateways' Deployment, which its controller has seen: within a second, since the operator's notes on it are no rollout and Ready does not wait for
/// them to be seen. A gateway takes longer to start, so what is Ready too early shows in the counts.
pub(crate) async fn observed_deployment(cluster: &ChatCluster) -> Result<Deployment> {
    until("the Deployment to be observed", Duration::from_secs(1), || async {
        let deployment = cluster.gateway_deployment().await?;
        let seen = deployment.status.as_ref().and_then(|status| status.observed_generation);
        let wanted = deployment.metadata.generation;
        Ok(if seen == wanted { Seen::Yes(deployment) } else { Seen::NotYet(format!("{seen:?} of {wanted:?}")) })
    })
    .await
}

/// Waits until the operator has noted on the gateways' Deployments all that it notes when a rollout is over. Each note raises their generation. There are two,
/// which come to be true at different times and may come after Ready: that the rollout is over, and that all gateways say that they follow their files.
pub(crate) async fn all_noted(cluster: &ChatCluster) -> Result<()> {
    until("the operator's notes on Deployments", SETTLE_LIMIT, || async {
        let mut missing = Vec::new();
        for deployment in cluster.gateway_deployments().await? {
            let notes = deployment.annotations();
            let rendering: Value =
                notes.get(RENDERING).map(|text| serde_json::from_str(text)).transpose()?.unwrap_or_default();
            let (is_over, is_followed) = (notes.contains_key(ROLLED_OUT), rendering["lasting"].is_object());
            if !is_over || !is_followed {
                missing.push(format!("{}: over {is_over}, followed {is_followed}", deployment.name_any()));
            }
        }
        Ok(if missing.is_empty() { Seen::Yes(()) } else { Seen::NotYet(missing.join("; ")) })
    })
    .await
}

/// The right to start a cluster; waits until fewer than two tests have one.
pub(crate) async fn turn() -> Result<SemaphorePermit<'static>> {
    Ok(OWN.acquire().await?)
}

/// A cluster of a test's own in a namespace without a past, Ready.
pub(crate) async fn own(namespace: &str, name: &str) -> Result<(Namespace, Held<SemaphorePermit<'static>>)> {
    own_from(namespace, &manifest::smallest(name)).await
}

/// The same from a manifest.
pub(crate) async fn own_from(namespace: &str, manifest: &Value) -> Result<(Namespace, Held<SemaphorePermit<'static>>)> {
    let turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, namespace).await?;
    let cluster = ChatCluster::apply(&world, &namespace.name, manifest).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    Ok((namespace, Held { cluster, _turn: turn }))
}
