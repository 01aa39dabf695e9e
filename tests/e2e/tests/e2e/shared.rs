//! The ChatCluster that most tests share.

use std::time::Duration;

use anyhow::Result;
use e2e::{ChatCluster, Namespace, World, manifest, pods::Part};

/// Its namespace.
pub(crate) const NAMESPACE: &str = "e2e-shared";

/// From nothing to Ready, images being there: what the quickstart promises.
pub(crate) const READY_LIMIT: Duration = Duration::from_secs(120);

/// Anything that settles by itself.
pub(crate) const SETTLE_LIMIT: Duration = Duration::from_secs(180);

/// The shared cluster, as its manifest says and Ready, whatever the tests before did to it.
pub(crate) async fn shared() -> Result<ChatCluster> {
    let world = World::connect().await?;
    Namespace::ensure(&world, NAMESPACE).await?;
    let cluster = ChatCluster::apply(&world, NAMESPACE, &manifest::for_load()?).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    Ok(cluster)
}

/// A cluster of a test's own in a namespace without a past, Ready.
pub(crate) async fn own(namespace: &str, name: &str) -> Result<(Namespace, ChatCluster)> {
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, namespace).await?;
    let cluster = ChatCluster::apply(&world, &namespace.name, &manifest::smallest(name)).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    Ok((namespace, cluster))
}
