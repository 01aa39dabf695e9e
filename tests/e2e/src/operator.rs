//! The operator under test.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use chat_test_client::accounts;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams},
};

use crate::{
    pods::{ip, is_ready},
    wait::{Seen, until},
    world::{OPERATOR_NAMESPACE, World},
};

const PORT: u16 = 8080;

impl World {
    /// The operator's ready pod.
    ///
    /// # Errors
    /// There is none.
    pub async fn operator_pod(&self) -> Result<Pod> {
        self.operator_pods(OPERATOR_NAMESPACE).await?.pop().context("no ready pod of the operator in chat-system")
    }

    /// The ready pods of the operator in a namespace.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn operator_pods(&self, namespace: &str) -> Result<Vec<Pod>> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let list = api.list(&ListParams::default().labels("app.kubernetes.io/name=chat-operator")).await?;
        let alive = |pod: &Pod| pod.metadata.deletion_timestamp.is_none() && is_ready(pod);
        Ok(list.items.into_iter().filter(alive).collect())
    }

    /// The operator's counters and gauges by name with labels, as `/metrics` shows them.
    ///
    /// # Errors
    /// The operator does not answer.
    pub async fn operator_metrics(&self) -> Result<BTreeMap<String, f64>> {
        self.metrics_of(&self.operator_pod().await?).await
    }

    /// The same of one of the operator's pods.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn metrics_of(&self, pod: &Pod) -> Result<BTreeMap<String, f64>> {
        let (status, body) = accounts::get(&format!("{}:{PORT}", ip(pod)?), "/metrics", None).await?;
        ensure!(status.is_success(), "the operator's /metrics answers {status}");
        let text = String::from_utf8_lossy(&body).into_owned();
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Ok(samples.collect())
    }

    /// Number of writes to children that the operator has made in a namespace since it started.
    ///
    /// # Errors
    /// The operator does not answer.
    pub async fn operator_child_writes(&self, namespace: &str) -> Result<f64> {
        let label = format!("namespace=\"{namespace}\"");
        let metrics = self.operator_metrics().await?;
        let of = |name: &str| name.starts_with("chat_operator_writes_total{") && name.contains(&label);
        Ok(metrics.iter().filter(|(name, _)| of(name)).map(|(_, value)| value).sum())
    }

    /// Number of writes that the operator has made in a namespace since it started: children and status together.
    ///
    /// # Errors
    /// The operator does not answer or has not written any status there.
    pub async fn operator_writes(&self, namespace: &str) -> Result<f64> {
        let metrics = self.operator_metrics().await?;
        let label = format!("namespace=\"{namespace}\"");
        let of = |family: &str| -> Option<f64> {
            let samples = metrics.iter().filter(|(name, _)| name.starts_with(family) && name.contains(&label));
            samples.map(|(_, value)| *value).reduce(|sum, value| sum + value)
        };
        let status = of("chat_operator_status_writes_total{")
            .with_context(|| format!("no status written in {namespace}: {metrics:?}"))?;
        Ok(status + of("chat_operator_writes_total{").unwrap_or_default())
    }

    /// Kills the operator's pod with grace period 0 and waits until another one is ready.
    ///
    /// # Errors
    /// None is ready within two minutes.
    pub async fn kill_operator(&self) -> Result<()> {
        let old = self.operator_pod().await?;
        let api: Api<Pod> = Api::namespaced(self.client.clone(), OPERATOR_NAMESPACE);
        api.delete(&old.name_any(), &DeleteParams::default().grace_period(0)).await?;
        until("another operator", Duration::from_secs(120), || async {
            let pod = self.operator_pod().await?;
            Ok(if pod.uid() == old.uid() { Seen::NotYet("the old pod".into()) } else { Seen::Yes(()) })
        })
        .await
    }
}
