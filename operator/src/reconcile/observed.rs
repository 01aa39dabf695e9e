//! What the children say about themselves, taken from their status. Pure.

use std::collections::{BTreeMap, BTreeSet};

use chat_crds::chat_cluster::BackupStatus;
use chat_gateway_config::Farewell;
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::{CronJob, Job},
    core::v1::{ContainerStatus, Pod, PodTemplateSpec},
};
use kube::{ResourceExt, api::ObjectMeta};

use super::{
    diff, drains,
    live::{Live, Wanted},
    rollout,
};
use crate::{
    build::Kind,
    hash::Hasher,
    names::{Component, Names, annotation, label},
    poll,
    rebalance::MoverJob,
    rollout::Failure,
};

/// The children's own status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The gateways; `None` while there is no Deployment.
    pub gateways: Option<GatewaysObserved>,
    /// The tier of HAProxy; `None` while it has no Deployment.
    pub tier: Option<TierObserved>,
    /// Gateways that are being emptied, or are to be once their successors are there.
    pub draining: Vec<Going>,
    /// Managed backends by the name of their StatefulSet: whether they are ready and current.
    pub backends: BTreeMap<String, BackendObserved>,
    /// Migration Jobs by name.
    pub migrations: BTreeMap<String, MigrationObserved>,
    /// What keeps pods from running, by component: the first trouble of each.
    pub troubles: BTreeMap<Component, Trouble>,
    /// Backups, by their CronJob; `None` while there is none.
    pub backup: Option<BackupStatus>,
    /// What gateways are to take while they run; `None` while that is not known.
    pub wanted: Option<Wanted>,
}

/// A gateway that is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Going {
    /// Name of its pod.
    pub pod: String,
    /// Since when.
    pub since: Timestamp,
    /// Somebody wants it replaced; else it is one too many.
    pub requested: bool,
}

/// The gateways' Deployments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewaysObserved {
    /// Wanted by the Deployments' specs, over all revisions.
    pub desired: i32,
    /// Pods that exist.
    pub replicas: i32,
    /// Pods that are ready, by name, those that are being emptied left out.
    pub ready_pods: BTreeSet<String>,
    /// Pods that are ready.
    pub ready: i32,
    /// Pods that are not ready and not being emptied. They serve all the same where they only turn new clients away.
    pub turned_away: BTreeSet<String>,
    /// The pass has come to know which Deployment the spec leads to, whether it exists yet or not; else that with the most pods stands for it.
    pub is_of_spec: bool,
    /// Every pod is of the newest spec, and there are as many as wanted; whether they are available is another question.
    pub whole: bool,
    /// There is no pod of an older template, those that are going left out, nor is one wanted. Known before the controller has seen a new number.
    pub one_revision: bool,
    /// The Deployment made no progress within its deadline.
    pub stuck: bool,
    /// Names the image and the configuration of the pod template.
    pub revision: String,
    /// The rollout that is under way or has failed.
    pub rollout: Option<RolloutObserved>,
}

/// A rollout, as the Deployment of the wanted revision tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutObserved {
    /// Which wave, from 0.
    pub wave: i32,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// When the Deployment was made.
    pub started: Option<Timestamp>,
    /// All gateways are of the revision before again.
    pub is_back: bool,
}

/// The Deployment of the tier of HAProxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierObserved {
    /// Wanted by the Deployment's spec.
    pub desired: i32,
    /// Pods that are ready.
    pub ready: i32,
    /// The controller has seen the newest spec, every pod is of it, and as many as wanted are available.
    pub complete: bool,
    /// The Deployment made no progress within its deadline.
    pub stuck: bool,
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
    /// Not ended yet, and the last pod of it that gave up said why; another one tries again.
    Refused(Trouble),
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
        gateways: gateways(live, &names.gateway()),
        tier: live.typed::<Deployment>(Kind::Deployment, &names.haproxy()).map(|deployment| tier(&deployment)),
        draining: drains::going(live),
        backends: live
            .all_typed::<StatefulSet>(Kind::StatefulSet)
            .iter()
            .map(|set| (set.name_any(), backend(set)))
            .collect(),
        migrations: live
            .all_typed::<Job>(Kind::Job)
            .iter()
            .map(|job| (job.name_any(), migration(job, &live.pods)))
            .collect(),
        troubles: troubles(&live.pods),
        backup: live.typed::<CronJob>(Kind::CronJob, &names.backup()).map(|cron_job| backup(&cron_job)),
        wanted: live.wanted.clone(),
    }
}

/// The CronJob's controller counts a Job only when it has ended well.
fn backup(cron_job: &CronJob) -> BackupStatus {
    let status = cron_job.status.clone().unwrap_or_default();
    BackupStatus { last_schedule_time: status.last_schedule_time, last_successful_time: status.last_successful_time }
}

/// Whether the Job has completed.
pub(super) fn has_completed(job: &Job) -> bool {
    migration(job, &[]) == MigrationObserved::Completed
}

/// All gateways, of whatever revision. `alone` is the name of the Deployment of a gateway that is alone.
fn gateways(live: &Live, alone: &str) -> Option<GatewaysObserved> {
    let all = match live.typed::<Deployment>(Kind::Deployment, alone) {
        Some(alone) if rollout::deployments(live).is_empty() => vec![alone],
        _ => rollout::deployments(live),
    };
    let status = |deployment: &Deployment| deployment.status.clone().unwrap_or_default();
    let target = match &live.target {
        Some(target) => all.iter().find(|deployment| deployment.name_any() == *target),
        // The spec could not be understood: what there is most of.
        None => all.iter().max_by_key(|deployment| wanted(deployment)),
    };
    let first = target.or(all.first())?;
    let spec = first.spec.clone().unwrap_or_default();
    let failure = first.annotations().get(annotation::FAILED);
    let name = first.name_any();
    let others_wanted = all.iter().any(|other| other.name_any() != name && wanted(other) > 0);
    Some(GatewaysObserved {
        desired: all.iter().map(wanted).sum(),
        replicas: all.iter().filter_map(|deployment| status(deployment).replicas).sum(),
        ready: all.iter().filter_map(|deployment| status(deployment).ready_replicas).sum(),
        ready_pods: live
            .pods
            .iter()
            .filter(|pod| stays(pod) && poll::is_ready(pod) && drains::since(pod).is_none())
            .map(ResourceExt::name_any)
            .collect(),
        turned_away: live
            .pods
            .iter()
            .filter(|pod| stays(pod) && !poll::is_ready(pod) && drains::since(pod).is_none())
            .map(ResourceExt::name_any)
            .collect(),
        // A Deployment of an old revision goes when it has no pods any more: until then the rollout is not over.
        whole: target.is_some() && all.len() == 1 && is_whole_by(first, &live.pods) && failure.is_none(),
        is_of_spec: live.target.is_some(),
        one_revision: target.is_some() && !others_wanted && is_one_revision(&spec.template, &live.pods),
        stuck: is_stuck(first),
        revision: revision(first),
        rollout: (target.is_some() && (all.len() > 1 || failure.is_some())).then(|| RolloutObserved {
            wave: first.annotations().get(annotation::WAVE).and_then(|text| text.parse().ok()).unwrap_or_default(),
            failure: failure.map(|text| rollout::read_failure(text)),
            started: first.metadata.creation_timestamp.as_ref().map(|created| created.0),
            is_back: all.iter().filter(|other| other.name_any() != name).all(|other| wanted(other) > 0)
                && wanted(first) == 0,
        }),
    })
}

/// Pods that the Deployment's spec wants.
pub(super) fn wanted(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// Whether the controller has seen the newest spec, every pod is of it, and there are as many as wanted.
fn is_whole(deployment: &Deployment) -> bool {
    let (desired, now) = (wanted(deployment), deployment.status.clone().unwrap_or_default());
    let is_all = |count: Option<i32>| count.unwrap_or_default() == desired;
    is_seen(deployment) && is_all(now.replicas) && is_all(now.updated_replicas)
}

/// The same of gateways, whose pods are at hand. A note on the Deployment is a new generation, too: what its controller counted is old until it has seen
/// that one, though nothing about the pods has changed.
fn is_whole_by(deployment: &Deployment, pods: &[Pod]) -> bool {
    if is_seen(deployment) {
        return is_whole(deployment);
    }
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    let staying = pods.iter().filter(|pod| stays(pod)).count();
    template.is_some_and(|template| is_one_revision(template, pods)) && i32::try_from(staying) == Ok(wanted(deployment))
}

/// Whether all of them are available, too.
fn has_all(deployment: &Deployment) -> bool {
    let available = deployment.status.as_ref().and_then(|status| status.available_replicas);
    is_whole(deployment) && available.unwrap_or_default() == wanted(deployment)
}

fn is_seen(deployment: &Deployment) -> bool {
    let seen = deployment.status.as_ref().and_then(|status| status.observed_generation).unwrap_or_default();
    seen >= deployment.metadata.generation.unwrap_or_default()
}

/// Whether the Deployment made no progress within its deadline.
pub(super) fn is_stuck(deployment: &Deployment) -> bool {
    let conditions = deployment.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut progressing = conditions.filter(|condition| condition.type_ == "Progressing");
    let is_late = |reason: Option<&str>| reason == Some("ProgressDeadlineExceeded");
    is_seen(deployment) && progressing.any(|condition| is_late(condition.reason.as_deref()))
}

/// How the tier's Deployment stands.
pub(super) fn tier(deployment: &Deployment) -> TierObserved {
    TierObserved {
        desired: wanted(deployment),
        ready: deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or_default(),
        complete: has_all(deployment),
        stuck: is_stuck(deployment),
    }
}

/// Whether it is a gateway's.
pub(super) fn is_gateway(pod: &Pod) -> bool {
    pod.labels().get(label::COMPONENT).is_some_and(|value| value == Component::Gateway.label())
}

/// Whether it is a gateway's and counts for its ReplicaSet. A pod that has ended, such as one that was evicted, may lie around for long.
pub(super) fn stays(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    is_gateway(pod) && !diff::is_leaving(pod) && !matches!(phase, "Failed" | "Succeeded")
}

fn is_one_revision(template: &PodTemplateSpec, pods: &[Pod]) -> bool {
    let hash = |metadata: Option<&ObjectMeta>| metadata?.annotations.as_ref()?.get(annotation::TEMPLATE_HASH).cloned();
    let wanted = hash(template.metadata.as_ref());
    let mut staying = pods.iter().filter(|pod| stays(pod));
    wanted.is_some() && staying.all(|pod| hash(Some(&pod.metadata)) == wanted)
}

/// Names the image and the configuration that its gateways run.
fn revision(deployment: &Deployment) -> String {
    if let Some(revision) = deployment.labels().get(label::REVISION) {
        return revision.clone();
    }
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    let metadata = template.and_then(|template| template.metadata.as_ref());
    let config = metadata.and_then(|metadata| metadata.annotations.as_ref()?.get(annotation::CONFIG_HASH));
    let image = template.and_then(|template| template.spec.as_ref()?.containers.first()?.image.as_deref());
    let mut hash = Hasher::new().text(image.unwrap_or_default()).text(config.map_or("", String::as_str)).finish();
    hash.truncate(10);
    hash
}

/// How the StatefulSet of a managed backend stands.
pub(super) fn backend(set: &StatefulSet) -> BackendObserved {
    let status = set.status.clone().unwrap_or_default();
    let desired = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let seen = status.observed_generation.unwrap_or_default() >= set.metadata.generation.unwrap_or_default();
    BackendObserved {
        ready: status.ready_replicas.unwrap_or_default() >= desired,
        current: seen && status.update_revision.is_some() && status.current_revision == status.update_revision,
    }
}

fn migration(job: &Job, pods: &[Pod]) -> MigrationObserved {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    for condition in conditions.filter(|condition| condition.status == "True") {
        match condition.type_.as_str() {
            "Complete" => return MigrationObserved::Completed,
            "Failed" => return MigrationObserved::Failed(condition.message.clone().unwrap_or_default()),
            _ => {}
        }
    }
    last_farewell(job, pods).map_or(MigrationObserved::Running, MigrationObserved::Refused)
}

/// How a mover's Job stands.
pub(super) fn mover(job: &Job, pods: &[Pod]) -> MoverJob {
    match migration(job, pods) {
        MigrationObserved::Running | MigrationObserved::Refused(_) => MoverJob::Running,
        MigrationObserved::Completed => MoverJob::Done,
        MigrationObserved::Failed(why) => {
            MoverJob::Failed(last_farewell(job, pods).map_or(why, |trouble| trouble.message))
        }
    }
}

/// What the youngest pod of the Job that gave up has left in its status.
fn last_farewell(job: &Job, pods: &[Pod]) -> Option<Trouble> {
    let is_of = |pod: &&Pod| pod.owner_references().iter().any(|owner| Some(&owner.uid) == job.metadata.uid.as_ref());
    let told = pods.iter().filter(is_of).filter_map(|pod| Some((&pod.metadata.creation_timestamp, farewell(pod)?)));
    told.max_by(|(one, _), (other, _)| one.cmp(other)).map(|(_, trouble)| trouble)
}

fn farewell(pod: &Pod) -> Option<Trouble> {
    let ended = pod.status.as_ref()?.container_statuses.iter().flatten().find_map(|container| {
        container.state.as_ref()?.terminated.as_ref().filter(|ended| ended.exit_code != 0)?.message.as_deref()
    })?;
    // An image of another maker may leave anything there.
    let Farewell { reason, message } = serde_json::from_str(ended).ok()?;
    Some(Trouble { reason: poll::camel_case(&reason), message: first_line(Some(&message)) })
}

fn troubles(pods: &[Pod]) -> BTreeMap<Component, Trouble> {
    let all = [
        Component::Gateway,
        Component::Balancer,
        Component::Broker,
        Component::Cache,
        Component::Database,
        Component::Migration,
        Component::Mover,
    ];
    let of = |component: Component| {
        let belongs =
            move |pod: &&Pod| pod.labels().get(label::COMPONENT).is_some_and(|value| value == component.label());
        pods.iter().filter(belongs).filter(|pod| !diff::is_leaving(pod)).find_map(trouble)
    };
    all.into_iter().filter_map(|component| Some((component, of(component)?))).collect()
}

/// What keeps the pod from running.
pub(super) fn trouble(pod: &Pod) -> Option<Trouble> {
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
    let containers = [&status.init_container_statuses, &status.container_statuses].into_iter().flatten().flatten();
    containers.into_iter().find_map(|container| container_trouble(pod, container))
}

fn container_trouble(pod: &Pod, container: &ContainerStatus) -> Option<Trouble> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason =
        waiting.reason.clone().filter(|reason| reason != "ContainerCreating" && reason != "PodInitializing")?;
    let last = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let message = match last {
        // Those that are told to leave their last words.
        Some(ended) if ended.message.is_some() => {
            let said = ended.message.as_deref().and_then(|said| said.trim_end().lines().next_back());
            format!("pod {}: container {} says: {}", pod.name_any(), container.name, first_line(said))
        }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::build::ChildId;

    fn job(conditions: &serde_json::Value) -> Job {
        let job =
            json!({ "metadata": { "name": "demo-migrate-1", "uid": "j1" }, "status": { "conditions": conditions } });
        serde_json::from_value(job).unwrap()
    }

    fn ended(owner: &str, second: u8, code: i32, message: &str) -> Pod {
        let pod = json!({
            "metadata": {
                "name": format!("pod-{second}"),
                "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z"),
                "ownerReferences": [{ "apiVersion": "batch/v1", "kind": "Job", "name": "x", "uid": owner }],
            },
            "status": { "containerStatuses": [{
                "name": "migrate", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": { "terminated": { "exitCode": code, "message": message } },
            }] },
        });
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn pods_that_ended_or_are_ending_are_no_gateways_any_more() {
        let pod = |metadata: serde_json::Value, phase: &str, hash: &str| -> Pod {
            let mut pod = json!({ "metadata": metadata, "status": { "phase": phase } });
            pod["metadata"]["labels"] = json!({ label::COMPONENT: "gateway" });
            pod["metadata"]["annotations"] = json!({ annotation::TEMPLATE_HASH: hash });
            serde_json::from_value(pod).unwrap()
        };
        let serving = pod(json!({ "name": "a" }), "Running", "new");
        let evicted = pod(json!({ "name": "b" }), "Failed", "old");
        let ending = pod(json!({ "name": "c", "deletionTimestamp": "2026-01-01T00:00:00Z" }), "Running", "old");
        assert_eq!([&serving, &evicted, &ending].map(stays), [true, false, false]);
        let template: PodTemplateSpec =
            serde_json::from_value(json!({ "metadata": { "annotations": { annotation::TEMPLATE_HASH: "new" } } }))
                .unwrap();
        assert!(is_one_revision(&template, &[serving, evicted, ending]));
        assert!(!is_one_revision(&template, &[pod(json!({ "name": "d" }), "Pending", "old")]));
    }

    #[test]
    fn a_note_on_the_deployment_is_no_rollout() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {
                "name": "a", "labels": { label::COMPONENT: "gateway" }, "annotations": { annotation::TEMPLATE_HASH: "new" },
            },
            "status": { "phase": "Running" },
        }))
        .unwrap();
        let whole = |seen: i64, hash: &str, wanted: i32, pods: &[Pod]| {
            let template = json!({ "metadata": { "annotations": { annotation::TEMPLATE_HASH: hash } } });
            let deployment = serde_json::from_value(json!({
                "metadata": { "generation": 2 },
                "spec": { "replicas": wanted, "selector": {}, "template": template },
                "status": { "observedGeneration": seen, "replicas": 1, "updatedReplicas": 1 },
            }))
            .unwrap();
            is_whole_by(&deployment, pods)
        };
        let one = std::slice::from_ref(&pod);
        assert!(whole(2, "new", 1, one) && whole(1, "new", 1, one));
        // What the controller has not seen yet.
        assert!(!whole(1, "newer", 1, one), "another template");
        assert!(!whole(1, "new", 2, one) && !whole(1, "new", 1, &[]), "another number");
        // What it has seen, and made nothing of yet.
        assert!(!whole(2, "new", 2, one));
    }

    #[test]
    fn a_revision_whose_pods_are_wanted_is_one_of_two_also_while_it_has_none() {
        let deployment = |name: &str, wanted: i32| {
            let object = serde_json::from_value(json!({
                "metadata": { "name": name, "labels": { label::COMPONENT: "gateway" } },
                "spec": {
                    "replicas": wanted, "selector": {},
                    "template": { "metadata": { "annotations": { annotation::TEMPLATE_HASH: name } } },
                },
            }));
            (ChildId::new(Kind::Deployment, name), object.unwrap())
        };
        let pod = serde_json::from_value(json!({
            "metadata": {
                "name": "a", "labels": { label::COMPONENT: "gateway" }, "annotations": { annotation::TEMPLATE_HASH: "new" },
            },
            "status": { "phase": "Running" },
        }));
        let mut live = Live::with_pods(vec![pod.unwrap()]);
        live.target = Some("new".to_owned());
        let mut is_one = |wanted: i32| {
            for (id, object) in [deployment("new", 1), deployment("old", wanted)] {
                live.insert(id, object);
            }
            gateways(&live, "alone").unwrap().one_revision
        };
        assert!(!is_one(1), "its pod was evicted, and another one is on its way");
        assert!(is_one(0), "it goes");
        let is_of_spec = |live: &Live| gateways(live, "alone").unwrap().is_of_spec;
        live.target = Some("newest".to_owned());
        assert!(is_of_spec(&live), "the migration comes first, and then the Deployment is made");
        live.target = None;
        assert!(!is_of_spec(&live), "the pass ended before");
    }

    #[test]
    fn the_last_pod_that_gave_up_says_why() {
        let told = |reason: &str| json!({ "reason": reason, "message": "shard a refuses\nmore" }).to_string();
        let pods = [
            ended("j1", 2, 1, &told("AuthenticationFailed")),
            ended("j1", 1, 1, &told("ConnectionRefused")),
            // Of the migration before, or without a word for us, or without a failure.
            ended("j0", 9, 1, &told("Timeout")),
            ended("j1", 8, 1, "Killed"),
            ended("j1", 7, 0, &told("Timeout")),
        ];
        let trouble = Trouble { reason: "AuthenticationFailed".to_owned(), message: "shard a refuses".to_owned() };
        assert_eq!(migration(&job(&json!([])), &pods), MigrationObserved::Refused(trouble));
        assert_eq!(migration(&job(&json!([])), &pods[2..]), MigrationObserved::Running);
        let complete = json!([{ "type": "Complete", "status": "True" }]);
        assert_eq!(migration(&job(&complete), &pods), MigrationObserved::Completed);
    }
}
