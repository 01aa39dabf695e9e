//! Pods of a ChatCluster: finding, waiting, asking.

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _, api::ListParams};

use crate::{
    chat_cluster::ChatCluster,
    children::CLUSTER_LABEL,
    wait::{Seen, until},
};

/// Port for clients.
pub const CLIENT_PORT: u16 = 8080;

/// A part of a ChatCluster that runs in pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Gateways.
    Gateway,
    /// HAProxy in front of gateways.
    Balancer,
    /// RabbitMQ.
    Broker,
    /// Redis.
    Cache,
    /// PostgreSQL shards.
    Database,
}

impl Part {
    /// Value of the component label.
    #[must_use]
    pub fn component(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Balancer => "balancer",
            Self::Broker => "broker",
            Self::Cache => "cache",
            Self::Database => "database",
        }
    }

    /// The condition that tells of it.
    #[must_use]
    pub fn condition(self) -> &'static str {
        match self {
            Self::Gateway | Self::Balancer => "GatewaysAvailable",
            Self::Broker => "BrokerAvailable",
            Self::Cache => "CacheAvailable",
            Self::Database => "DatabaseAvailable",
        }
    }
}

impl ChatCluster {
    /// The pods of a part that are not on their way out, by name.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn pods(&self, part: Part) -> Result<Vec<Pod>> {
        let labels = format!("{CLUSTER_LABEL}={},app.kubernetes.io/component={}", self.name, part.component());
        let list = self.pod_api().list(&ListParams::default().labels(&labels)).await?;
        let mut pods: Vec<Pod> =
            list.items.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect();
        pods.sort_by_key(|pod| (pod.metadata.creation_timestamp.clone(), pod.name_any()));
        Ok(pods)
    }

    /// The pods of a part that are ready.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn ready_pods(&self, part: Part) -> Result<Vec<Pod>> {
        Ok(self.pods(part).await?.into_iter().filter(is_ready).collect())
    }

    /// Waits until exactly `count` pods of a part are there and ready.
    ///
    /// # Errors
    /// They are not within `limit`.
    pub async fn wait_pods(&self, part: Part, count: usize, limit: Duration) -> Result<Vec<Pod>> {
        until(format!("{count} ready pods of {}", part.component()), limit, || async {
            let pods = self.pods(part).await?;
            if pods.len() == count && pods.iter().all(is_ready) {
                return Ok(Seen::Yes(pods));
            }
            let words: Vec<_> = pods.iter().map(|pod| format!("{} ready={}", pod.name_any(), is_ready(pod))).collect();
            Ok(Seen::NotYet(words.join(", ")))
        })
        .await
    }

    /// Client addresses of the ready gateways, oldest pod first.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn gateway_addresses(&self) -> Result<Vec<String>> {
        self.ready_pods(Part::Gateway).await?.iter().map(|pod| Ok(format!("{}:{CLIENT_PORT}", ip(pod)?))).collect()
    }

    /// The API of pods in its namespace.
    #[must_use]
    pub fn pod_api(&self) -> Api<Pod> {
        Api::namespaced(self.world.client.clone(), &self.namespace)
    }

    /// Runs a query in a shard's pod as the superuser and returns its rows, one a line, columns parted by `|`.
    ///
    /// # Errors
    /// The pod is not there, or the query fails.
    pub async fn sql(&self, shard: &str, query: &str) -> Result<String> {
        let pod = format!("{}-shard-{shard}-0", self.name);
        let script = r#"PGPASSWORD="$(cat "$POSTGRES_PASSWORD_FILE")" exec psql -h 127.0.0.1 -U postgres -XAtc "$0""#;
        let args = ["exec", "-n", &self.namespace, &pod, "--", "sh", "-c", script, query];
        Ok(self.world.kubectl(&args).await?.trim().to_owned())
    }
}

/// Whether a pod's Ready condition is true.
#[must_use]
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
}

/// Address of a pod; the host has a route to it.
///
/// # Errors
/// It has none yet.
pub fn ip(pod: &Pod) -> Result<&str> {
    let ip = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref());
    ip.with_context(|| format!("pod {} has no address", pod.name_any()))
}

/// How often the containers of a pod have started again.
#[must_use]
pub fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    statuses.into_iter().flatten().map(|status| status.restart_count).sum()
}
