//! Empties gateways that are one too many before the Deployment has fewer.

use chat_crds::chat_cluster::ScaleDownPolicy;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    apply::{ApplyError, Hands},
    live::Live,
    observed::{Going, is_gateway, stays},
    validated::Gateways,
};
use crate::{
    audit::{self, Act, Outcome},
    context::Context,
    drain::Gateway,
    names::{DRAIN_MANAGER, annotation},
    poll::{self, ClusterView, Drains},
    rollout::{Course, Plan},
};

/// Lowest cost: before all others.
const CHEAPEST: &str = "-2147483648";

/// Since when a gateway's pod is being emptied.
pub(super) fn since(pod: &Pod) -> Option<Timestamp> {
    let since = pod.annotations().get(annotation::DRAINING)?;
    // A mark that somebody has garbled is a mark, as old as can be.
    Some(since.parse().unwrap_or(Timestamp::UNIX_EPOCH))
}

/// Gateways' pods that are being emptied, and stay until they are.
pub(super) fn marked(live: &Live) -> impl Iterator<Item = (&Pod, Timestamp)> {
    live.pods.iter().filter(|pod| stays(pod)).filter_map(|pod| Some((pod, since(pod)?)))
}

/// Gateways that are being emptied, or are to be once their successors are there; those that end already included, until they are gone.
pub(super) fn going(live: &Live) -> Vec<Going> {
    let going = |pod: &Pod| {
        let requested = pod.annotations().get(annotation::DRAIN_REQUESTED);
        let asked = requested.map(|asked| asked.parse().unwrap_or(Timestamp::UNIX_EPOCH));
        Some(Going { pod: pod.name_any(), since: since(pod).or(asked)?, requested: requested.is_some() })
    };
    live.pods.iter().filter(|pod| is_gateway(pod)).filter_map(going).collect()
}

/// What the poller is to do about it. Clients of an old revision are asked to move whatever the policy.
pub(super) fn orders(gateways: &Gateways, live: &Live, course: Option<Course>, hands: Hands, asked: bool) -> Drains {
    Drains {
        known: asked || course.is_some(),
        pods: marked(live).map(|(pod, _)| pod.name_any()).collect(),
        moves: hands == Hands::On && (gateways.drain.policy != ScaleDownPolicy::WhenEmpty || course.is_some()),
        per_second: gateways.drain.moves_per_second,
        course: course.filter(|_| hands == Hands::On),
        limit: gateways.connections.into(),
        tolerance: gateways.tolerance.filter(|_| hands == Hands::On),
    }
}

/// A gateway's pod as plans see it.
pub(super) fn gateway(pod: &Pod, view: &ClusterView) -> Gateway {
    let status = pod.status.as_ref();
    let containers = status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let is_running = |state: &k8s_openapi::api::core::v1::ContainerState| state.running.is_some();
    Gateway {
        pod: pod.name_any(),
        created: pod.metadata.creation_timestamp.as_ref().map(|created| created.0),
        ready: poll::is_ready(pod),
        running: containers.into_iter().any(|container| container.state.as_ref().is_some_and(is_running)),
        requested: pod.annotations().contains_key(annotation::DRAIN_REQUESTED),
        marked: since(pod),
        said: view.gateways.get(&pod.name_any()).map(|stats| (i64::from(stats.connections), stats.cordoned)),
        deaf: view.deaf.contains(&pod.name_any()),
    }
}

/// Marks on pods, and takes marks back. They come before the Deployment's number, so that the ReplicaSet knows whom to take.
pub(super) struct Marker<'a> {
    pub(super) context: &'a Context,
    pub(super) namespace: &'a str,
}

impl Marker<'_> {
    /// Writes what the plan says and is not there yet.
    pub(super) async fn write(&self, plan: &Plan, live: &mut Live, now: Timestamp) -> Result<(), ApplyError> {
        for pod in &mut live.pods {
            let name = pod.name_any();
            let has_cost = pod.annotations().contains_key(annotation::DELETION_COST);
            let (act, annotations) = if plan.mark.contains(&name) {
                (Act::DrainGateway, json!({ annotation::DRAINING: now.to_string() }))
            } else if plan.unmark.contains(&name) {
                (Act::KeepGateway, json!({ annotation::DRAINING: null, annotation::DELETION_COST: null }))
            } else if plan.done.contains(&name) && !has_cost {
                (Act::RetireGateway, json!({ annotation::DELETION_COST: CHEAPEST }))
            } else {
                continue;
            };
            if let Some(written) = self.annotate(&name, act, &annotations).await? {
                *pod = written;
            }
        }
        Ok(())
    }

    /// Sets annotations, and removes those that are null; `None` when the pod is gone.
    async fn annotate(&self, name: &str, act: Act, annotations: &Value) -> Result<Option<Pod>, ApplyError> {
        let pods: Api<Pod> = Api::namespaced(self.context.client.clone(), self.namespace);
        // No apply: of a pod that is gone it would ask for the right to make one.
        let patch = Patch::Merge(json!({ "metadata": { "annotations": annotations } }));
        let params = PatchParams { field_manager: Some(DRAIN_MANAGER.to_owned()), ..PatchParams::default() };
        self.context.metrics.writes.with_label_values(&[self.namespace, "Pod", "patch"]).inc();
        let answer = pods.patch(name, &params, &patch).await;
        audit::write(act, format_args!("Pod {name}"), answer.as_ref().map_or_else(audit::refusal, |_| Outcome::Done));
        match answer {
            Ok(pod) => {
                tracing::info!(pod = name, %annotations, "marked a gateway");
                self.context.cache.note_pod(pod.clone());
                Ok(Some(pod))
            }
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(source) => Err(ApplyError::Mark { pod: name.to_owned(), source: source.into() }),
        }
    }
}
