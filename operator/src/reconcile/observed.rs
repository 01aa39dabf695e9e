//! What the children say about themselves, taken from their status. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::{ContainerStatus, Pod, PodTemplateSpec},
};
use kube::ResourceExt;

use super::{diff, live::Live};
use crate::{
    build::Kind,
    hash::Hasher,
    names::{Component, Names, annotation, label},
};

/// The children's own status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The gateways; `None` while there is no Deployment.
    pub gateways: Option<GatewaysObserved>,
    /// Managed backends by the name of their StatefulSet: whether they are ready and current.
    pub backends: BTreeMap<String, BackendObserved>,
    /// Migration Jobs by name.
    pub migrations: BTreeMap<String, MigrationObserved>,
    /// What keeps pods from running, by component: the first trouble of each.
    pub troubles: BTreeMap<Component, Trouble>,
}

/// The gateways' Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewaysObserved {
    /// Wanted by the Deployment's spec.
    pub desired: i32,
    /// Pods that exist.
    pub replicas: i32,
    /// Pods that are ready.
    pub ready: i32,
    /// The controller has seen the newest spec, every pod is of it, and as many as wanted are available.
    pub complete: bool,
    /// The Deployment made no progress within its deadline.
    pub stuck: bool,
    /// Names the image and the configuration of the pod template.
    pub revision: String,
}

/// The StatefulSet of a managed backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackendObserved {
    /// Its pod is ready.
    pub ready: bool,
    /// The controller has seen the newest spec and the pod is of it.
    pub current: bool,
}

/// A migration Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MigrationObserved {
    /// Not ended yet.
    Running,
    /// Every shard has the schema.
    Completed,
    /// It gave up.
    Failed(String),
}

/// Why a pod does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// One CamelCase word, Kubernetes' own.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// Reads the status of the children of one cluster.
#[must_use]
pub fn observe(names: &Names, live: &Live) -> Observed {
    Observed {
        gateways: live.typed::<Deployment>(Kind::Deployment, &names.gateway()).as_ref().map(gateways),
        backends: live
            .all_typed::<StatefulSet>(Kind::StatefulSet)
            .iter()
            .map(|set| (set.name_any(), backend(set)))
            .collect(),
        migrations: live.all_typed::<Job>(Kind::Job).iter().map(|job| (job.name_any(), migration(job))).collect(),
        troubles: troubles(&live.pods),
    }
}

/// Whether the Job has completed.
pub(super) fn has_completed(job: &Job) -> bool {
    migration(job) == MigrationObserved::Completed
}

fn gateways(deployment: &Deployment) -> GatewaysObserved {
    let spec = deployment.spec.clone().unwrap_or_default();
    let status = deployment.status.clone().unwrap_or_default();
    let desired = spec.replicas.unwrap_or(1);
    let replicas = status.replicas.unwrap_or_default();
    let seen = status.observed_generation.unwrap_or_default() >= deployment.metadata.generation.unwrap_or_default();
    let all = |count: Option<i32>| count.unwrap_or_default() == desired;
    let condition =
        |type_: &str| status.conditions.iter().flatten().find(|condition| condition.type_ == type_).cloned();
    GatewaysObserved {
        desired,
        replicas,
        ready: status.ready_replicas.unwrap_or_default(),
        // An old pod that is still counted in `replicas` means that the rollout is not over.
        complete: seen && replicas == desired && all(status.updated_replicas) && all(status.available_replicas),
        stuck: seen
            && condition("Progressing")
                .is_some_and(|condition| condition.reason.as_deref() == Some("ProgressDeadlineExceeded")),
        revision: revision(&spec.template),
    }
}

fn revision(template: &PodTemplateSpec) -> String {
    let config =
        template.metadata.as_ref().and_then(|metadata| metadata.annotations.as_ref()?.get(annotation::CONFIG_HASH));
    let image = template.spec.as_ref().and_then(|spec| spec.containers.first()?.image.as_deref());
    let mut hash = Hasher::new().text(image.unwrap_or_default()).text(config.map_or("", String::as_str)).finish();
    hash.truncate(10);
    hash
}

fn backend(set: &StatefulSet) -> BackendObserved {
    let status = set.status.clone().unwrap_or_default();
    let desired = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let seen = status.observed_generation.unwrap_or_default() >= set.metadata.generation.unwrap_or_default();
    BackendObserved {
        ready: status.ready_replicas.unwrap_or_default() >= desired,
        current: seen && status.update_revision.is_some() && status.current_revision == status.update_revision,
    }
}

fn migration(job: &Job) -> MigrationObserved {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    for condition in conditions.filter(|condition| condition.status == "True") {
        match condition.type_.as_str() {
            "Complete" => return MigrationObserved::Completed,
            "Failed" => return MigrationObserved::Failed(condition.message.clone().unwrap_or_default()),
            _ => {}
        }
    }
    MigrationObserved::Running
}

fn troubles(pods: &[Pod]) -> BTreeMap<Component, Trouble> {
    let all = [Component::Gateway, Component::Broker, Component::Cache, Component::Database, Component::Migration];
    let of = |component: Component| {
        let belongs =
            move |pod: &&Pod| pod.labels().get(label::COMPONENT).is_some_and(|value| value == component.label());
        pods.iter().filter(belongs).filter(|pod| !diff::is_leaving(pod)).find_map(trouble)
    };
    all.into_iter().filter_map(|component| Some((component, of(component)?))).collect()
}

fn trouble(pod: &Pod) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    let unschedulable = status.conditions.iter().flatten().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    });
    if let Some(condition) = unschedulable {
        let message = format!(
            "pod {} fits no node: {}",
            pod.name_any(),
            condition.message.as_deref().unwrap_or("no reason given")
        );
        return Some(Trouble { reason: "Unschedulable".to_owned(), message });
    }
    status.container_statuses.iter().flatten().find_map(|container| container_trouble(pod, container))
}

fn container_trouble(pod: &Pod, container: &ContainerStatus) -> Option<Trouble> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason =
        waiting.reason.clone().filter(|reason| reason != "ContainerCreating" && reason != "PodInitializing")?;
    let last = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let message = match last {
        Some(ended) => format!(
            "pod {}: container {} ends with code {}; see `kubectl logs {} --previous`",
            pod.name_any(),
            container.name,
            ended.exit_code,
            pod.name_any()
        ),
        None => {
            format!("pod {}: container {}: {}", pod.name_any(), container.name, first_line(waiting.message.as_deref()))
        }
    };
    Some(Trouble { reason, message })
}

/// Kubernetes repeats itself over many lines; the first says what is wrong. Bounded, since it goes into a condition.
fn first_line(text: Option<&str>) -> String {
    text.unwrap_or("no reason given").lines().next().unwrap_or_default().chars().take(300).collect()
}
