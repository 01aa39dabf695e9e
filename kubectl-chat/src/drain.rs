//! Replacing one gateway.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use chat_crds::{ChatCluster, keys::annotation};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    args::Drain,
    gateway::{Gateways, is_emptied},
};

const POLL: Duration = Duration::from_secs(1);

/// How far a drain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Asked,
    Emptied,
    Leaving,
    Gone,
}

impl Stage {
    fn of(pod: Option<&Pod>, uid: Option<&str>) -> Self {
        match pod {
            Some(pod) if pod.uid().as_deref() != uid => Self::Gone,
            Some(pod) if pod.metadata.deletion_timestamp.is_some() => Self::Leaving,
            Some(pod) if is_emptied(pod) => Self::Emptied,
            Some(_) => Self::Asked,
            None => Self::Gone,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Asked => "waits until another gateway is ready to take its clients",
            Self::Emptied => "takes nobody new; its clients move to the others",
            Self::Leaving => "has no clients any more and ends",
            Self::Gone => "is gone",
        }
    }
}

/// Asks for it, and waits until the pod is gone.
pub(crate) async fn drain(gateways: &Gateways, Drain { pod, no_wait, timeout }: &Drain) -> Result<()> {
    let (found, cluster) = gateways.get(pod).await?;
    check(&cluster, &found)?;
    gateways.annotate(pod, json!({ annotation::DRAIN_REQUESTED: Timestamp::now().to_string() })).await?;
    if *no_wait {
        println!("{pod} is asked to go; kubectl get pod {pod} -n {} --watch shows when it has", gateways.namespace);
        return Ok(());
    }
    let (uid, end) = (found.uid(), Instant::now() + Duration::from_secs(*timeout));
    let mut said = None;
    loop {
        let stage = Stage::of(gateways.find(pod).await?.as_ref(), uid.as_deref());
        if said != Some(stage) {
            println!("{pod} {}", stage.words());
            said = Some(stage);
        }
        if stage == Stage::Gone {
            return Ok(());
        }
        ensure!(
            Instant::now() < end,
            "{pod} is not gone after {timeout} s; the drain goes on. kubectl chat uncordon {pod} takes it back"
        );
        sleep(POLL).await;
    }
}

/// Whether the operator would carry it out.
fn check(cluster: &ChatCluster, pod: &Pod) -> Result<()> {
    let (name, gateway) = (cluster.name_any(), pod.name_any());
    if pod.metadata.deletion_timestamp.is_some() {
        bail!("{gateway} is being deleted already");
    }
    if cluster.spec.is_paused() {
        bail!("ChatCluster {name} is paused, so that the operator moves nobody; set spec.paused to false");
    }
    if cluster.spec.broker.in_process.is_some() {
        bail!(
            "{gateway} is the only gateway that ChatCluster {name} can have: there is no other to move its clients to"
        );
    }
    Ok(())
}

/// Takes it back.
pub(crate) async fn uncordon(gateways: &Gateways, pod: &str) -> Result<()> {
    gateways.get(pod).await?;
    gateways.annotate(pod, json!({ annotation::DRAIN_REQUESTED: null, annotation::DRAINING: null })).await?;
    println!("{pod} stays, unless it is one too many");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(metadata: &serde_json::Value) -> Pod {
        serde_json::from_value(json!({ "metadata": metadata })).unwrap()
    }

    #[test]
    fn stages_follow_the_pod() {
        let stage = |metadata: serde_json::Value| Stage::of(Some(&pod(&metadata)), Some("u1"));
        assert_eq!(stage(json!({ "uid": "u1" })), Stage::Asked);
        assert_eq!(stage(json!({ "uid": "u1", "annotations": { annotation::DRAINING: "x" } })), Stage::Emptied);
        assert_eq!(stage(json!({ "uid": "u1", "deletionTimestamp": "2026-01-01T00:00:00Z" })), Stage::Leaving);
        assert_eq!(stage(json!({ "uid": "u2" })), Stage::Gone, "another pod of the same name");
        assert_eq!(Stage::of(None, Some("u1")), Stage::Gone);
    }

    #[test]
    fn what_the_operator_would_not_do_is_refused_with_the_way_out() {
        let cluster = |field: &str, value: serde_json::Value| -> ChatCluster {
            let mut whole = minimal();
            whole["spec"][field] = value;
            serde_json::from_value(whole).unwrap()
        };
        let gateway = pod(&json!({ "name": "demo-gateway-1" }));
        check(&cluster("paused", json!(false)), &gateway).unwrap();
        let paused = check(&cluster("paused", json!(true)), &gateway).unwrap_err().to_string();
        assert!(paused.contains("set spec.paused to false"), "{paused}");
        let alone = check(&cluster("broker", json!({ "inProcess": {} })), &gateway).unwrap_err().to_string();
        assert!(alone.contains("no other to move its clients to"), "{alone}");
    }

    fn minimal() -> serde_json::Value {
        json!({
            "apiVersion": "chatcluster.dev/v1alpha1",
            "kind": "ChatCluster",
            "metadata": { "name": "demo" },
            "spec": { "broker": { "redisPubSub": {} }, "redis": { "managed": {} }, "database": { "shards": [] } },
        })
    }
}
