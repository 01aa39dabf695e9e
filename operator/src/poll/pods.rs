//! Gateways and proxies as their pods show them.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::client::Place;
use crate::{
    autoscale::Report,
    names::{ClusterKey, Component, annotation, label},
};

/// The address of a HAProxy that has been told to end: it takes nobody new, and cuts off who is left when its time is over.
pub(super) fn ending_proxy(pod: &Pod) -> Option<(ClusterKey, IpAddr)> {
    let labels = pod.labels();
    let is_ending = pod.metadata.deletion_timestamp.is_some();
    if !is_ending || labels.get(label::COMPONENT)? != Component::Balancer.label() {
        return None;
    }
    let address = pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?;
    Some((ClusterKey::new(pod.namespace()?, labels.get(label::CLUSTER)?), address))
}

/// A gateway's pod as an autoscaler sees it, its answer left out.
pub(super) fn report(pod: &Pod) -> Option<(ClusterKey, Report)> {
    let labels = pod.labels();
    if labels.get(label::COMPONENT)? != Component::Gateway.label() {
        return None;
    }
    // What has ended, such as an evicted pod, is no gateway.
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    if matches!(phase, "Failed" | "Succeeded") {
        return None;
    }
    // Who is being emptied is on the way out, too.
    let leaving = pod.metadata.deletion_timestamp.is_some() || pod.annotations().contains_key(annotation::DRAINING);
    let report = Report { pod: pod.name_any(), ready: is_ready(pod), leaving, answer: None };
    Some((ClusterKey::new(pod.namespace()?, labels.get(label::CLUSTER)?), report))
}

/// Ready, and not about to go.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    ready && pod.metadata.deletion_timestamp.is_none()
}

/// A gateway that is to be asked.
pub(super) struct Question {
    pub(super) cluster: ClusterKey,
    pub(super) pod: String,
    pub(super) place: Place,
    pub(super) ready: bool,
}

impl Question {
    /// Names of pods are unique in their namespace only.
    pub(super) fn whole_name(&self) -> String {
        format!("{}/{}", self.cluster.namespace, self.pod)
    }
}
