//! Gateways of a new revision take the place of the old ones: reads what is under way from the Deployments, and writes what follows.

use std::collections::BTreeMap;

use chat_crds::keys::label::GATEWAY;
use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{
    apply::ApplyError,
    drains,
    live::Live,
    observed::{self, stays},
    validated::ValidatedCluster,
};
use crate::{
    build::{ChildId, Kind},
    context::Context,
    drain,
    names::{FIELD_MANAGER, annotation, label},
    poll::ClusterView,
    rollout::{self, Failure, Finding, Note, Plan, Revision, Rules, Situation},
};

/// Letters of a sentence about a rollout that are kept.
pub(super) const LONGEST_MESSAGE: usize = 500;

/// The Deployments of gateways, of whatever revision. That of a gateway that is alone is none of a revision's: it goes at once.
pub(super) fn deployments(live: &Live) -> Vec<Deployment> {
    let is_gateways =
        |deployment: &Deployment| deployment.labels().get(label::COMPONENT).is_some_and(|value| value == GATEWAY);
    let recreates = |deployment: &Deployment| {
        deployment.spec.as_ref().and_then(|spec| spec.strategy.as_ref()?.type_.as_deref()) == Some("Recreate")
    };
    let all = live.all_typed::<Deployment>(Kind::Deployment).into_iter();
    all.filter(|deployment| is_gateways(deployment) && !recreates(deployment)).collect()
}

/// Whether the pod is of the Deployment: by its revision. Those of an operator that knew no revisions have none.
fn is_of(pod: &Pod, deployment: &Deployment) -> bool {
    pod.labels().get(label::REVISION) == deployment.labels().get(label::REVISION)
}

fn revision(deployment: &Deployment, live: &Live, view: &ClusterView, max_restarts: i32) -> Revision {
    let pods: Vec<&Pod> = live.pods.iter().filter(|pod| stays(pod) && is_of(pod, deployment)).collect();
    let gateways: Vec<drain::Gateway> = pods.iter().map(|pod| drains::gateway(pod, view)).collect();
    let note = |key: &str| deployment.annotations().get(key);
    Revision {
        name: deployment.name_any(),
        desired: Some(observed::wanted(deployment)),
        rolled_out: note(annotation::ROLLED_OUT).map(|text| text.parse().unwrap_or(Timestamp::UNIX_EPOCH)),
        wave: note(annotation::WAVE).and_then(|text| text.parse().ok()).unwrap_or_default(),
        failed: note(annotation::FAILED).map(|text| read_failure(text)),
        broken: broken(deployment, &pods, max_restarts),
        gateways,
    }
}

/// What Kubernetes itself says against the pods of a revision.
fn broken(deployment: &Deployment, pods: &[&Pod], max_restarts: i32) -> Option<Failure> {
    let restarts: i32 = pods
        .iter()
        .flat_map(|pod| pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten()))
        .map(|container| container.restart_count)
        .sum();
    if restarts > max_restarts {
        let message = format!("containers of new gateways restarted {restarts} times; see `kubectl logs --previous`");
        return Some(Failure { reason: "GatewaysCrash".to_owned(), message });
    }
    let why = pods.iter().find_map(|pod| observed::trouble(pod)).map(|trouble| trouble.message);
    observed::is_stuck(deployment).then(|| {
        let why = why.unwrap_or_else(|| "see `kubectl describe` of their pods".to_owned());
        let message = format!("new gateways did not become ready within progressDeadlineSeconds: {why}");
        Failure { reason: "ProgressDeadlineExceeded".to_owned(), message }
    })
}

/// The failure that is noted on a Deployment.
pub(super) fn read_failure(text: &str) -> Failure {
    let (reason, message) = text.split_once(": ").unwrap_or(("Failed", text));
    Failure { reason: reason.to_owned(), message: message.to_owned() }
}

fn write_failure(Failure { reason, message }: &Failure) -> String {
    format!("{reason}: {}", message.chars().take(LONGEST_MESSAGE).collect::<String>())
}

/// What to do about the gateways' revisions. `target` is the Deployment that the spec leads to, `None` while its migration runs: what is there
/// stays, and is scaled.
pub(super) fn plan(
    cluster: &ValidatedCluster,
    target: Option<&str>,
    live: &Live,
    view: &ClusterView,
    now: Timestamp,
) -> Plan {
    let gateways = &cluster.gateways;
    let max_restarts = gateways.rollout.limits.most.max_restarts;
    let mut others: Vec<Revision> =
        deployments(live).iter().map(|deployment| revision(deployment, live, view, max_restarts)).collect();
    let migrates = target.is_none();
    let target = match target {
        Some(target) => target.to_owned(),
        None => match newest_proven(&others) {
            Some(name) => name,
            None => return Plan { wanted: gateways.replicas, ..Plan::default() },
        },
    };
    let wanted = match others.iter().position(|revision| revision.name == target) {
        Some(at) => others.remove(at),
        None => Revision {
            name: target,
            desired: None,
            rolled_out: None,
            wave: 0,
            failed: None,
            broken: None,
            gateways: Vec::new(),
        },
    };
    let watched = &view.watched;
    let is_this = watched.revision == wanted.name && watched.wave == wanted.wave;
    let situation = Situation {
        finding: if is_this { watched.finding.clone() } else { Finding::Waiting },
        wanted,
        others,
        replicas: gateways.replicas,
        connections: view.asked.then(|| view.open_connections().max(i64::from(!view.silent.is_empty()))),
    };
    let rules = Rules {
        waves: gateways.rollout.waves.clone(),
        rollback: gateways.rollout.rollback,
        paused: gateways.rollout.paused,
        drain: drain::Rules { policy: gateways.drain.policy, deadline: gateways.drain.deadline, deserted: false },
    };
    let mut plan = rollout::plan(&situation, &rules, now);
    if migrates {
        // Its builder does not write it now.
        plan.others.insert(situation.wanted.name, plan.wanted);
    }
    plan
}

fn newest_proven(revisions: &[Revision]) -> Option<String> {
    let newest =
        revisions.iter().max_by_key(|revision| (revision.failed.is_none(), revision.rolled_out, revision.desired));
    newest.map(|revision| revision.name.clone())
}

/// What stands on the Deployment `target`, as annotations, once `note` is on it. Its builder writes it.
pub(super) fn notes(target: &str, note: Option<&Note>, live: &Live, now: Timestamp) -> BTreeMap<String, String> {
    let before =
        live.get(&ChildId::new(Kind::Deployment, target)).and_then(|object| object.metadata.annotations.as_ref());
    let kept = [annotation::ROLLED_OUT, annotation::WAVE, annotation::FAILED, annotation::BROKER, annotation::WANTED];
    let mut notes: BTreeMap<String, String> =
        kept.iter().filter_map(|key| Some(((*key).to_owned(), before?.get(*key)?.clone()))).collect();
    if let Some(note) = note {
        tracing::info!(deployment = target, ?note, "a rollout goes on");
    }
    match note {
        Some(Note::Wave(wave)) => {
            notes.insert(annotation::WAVE.to_owned(), wave.to_string());
        }
        Some(Note::Failed(failure)) => {
            notes.insert(annotation::FAILED.to_owned(), write_failure(failure));
        }
        Some(Note::RolledOut) => {
            notes = BTreeMap::from([(annotation::ROLLED_OUT.to_owned(), now.to_string())]);
        }
        None => {}
    }
    notes
}

/// What the Deployment of the wanted revision says beside the notes.
pub(super) struct Facts {
    /// Names the broker.
    pub(super) broker: String,
    /// Gateways wanted, over all revisions; `None` where somebody else than the operator decides.
    pub(super) wanted: Option<i32>,
}

impl Facts {
    /// The notes with these beside them.
    pub(super) fn beside(&self, mut notes: BTreeMap<String, String>) -> BTreeMap<String, String> {
        notes.insert(annotation::BROKER.to_owned(), self.broker.clone());
        match self.wanted {
            Some(wanted) => notes.insert(annotation::WANTED.to_owned(), wanted.to_string()),
            None => notes.remove(annotation::WANTED),
        };
        notes
    }

    /// Whether the gateways of all revisions but `target` have the broker that this one's have. Those of an earlier operator do not say.
    pub(super) fn is_same_broker(&self, target: &str, live: &Live) -> bool {
        let deployments = deployments(live);
        let mut others = deployments.iter().filter(|other| other.name_any() != target && observed::wanted(other) > 0);
        others.all(|other| other.annotations().get(annotation::BROKER) == Some(&self.broker))
    }
}

/// Gateways that the operator wanted last, over all revisions, as the Deployments say. Their own numbers in sum are more in the middle of a rollout:
/// an autoscaler that began with them would keep the surge. `None` when none says so, or when the `target` is not there yet and one revision alone
/// has gateways: their number is newer then.
pub(super) fn noted_replicas(target: &str, live: &Live) -> Option<i32> {
    let deployments = deployments(live);
    let note = |deployment: &Deployment| deployment.annotations().get(annotation::WANTED)?.parse().ok();
    if let Some(wanted) = deployments.iter().find(|deployment| deployment.name_any() == target).and_then(note) {
        return Some(wanted);
    }
    if deployments.iter().filter(|deployment| observed::wanted(deployment) > 0).count() < 2 {
        return None;
    }
    let noted = deployments.iter().filter_map(|deployment| Some((created(deployment), note(deployment)?)));
    noted.max_by_key(|(created, _)| *created).map(|(_, wanted)| wanted)
}

fn created(deployment: &Deployment) -> Option<Timestamp> {
    deployment.metadata.creation_timestamp.as_ref().map(|created| created.0)
}

/// Scales the Deployments of old revisions. Their builder does not make them any more, so nothing else of them is touched.
pub(super) struct Registrar<'a> {
    pub(super) context: &'a Context,
    pub(super) namespace: &'a str,
}

impl Registrar<'_> {
    /// Writes the numbers that the plan says and that are not there yet.
    pub(super) async fn write(&self, plan: &Plan, live: &mut Live) -> Result<(), ApplyError> {
        for (name, replicas) in &plan.others {
            let id = ChildId::new(Kind::Deployment, name);
            let Some(mut deployment) = live.get(&id).cloned() else { continue };
            if deployment.data["spec"]["replicas"] == *replicas {
                continue;
            }
            match self.scale(&id, *replicas).await? {
                Some(version) => {
                    deployment.data["spec"]["replicas"] = json!(replicas);
                    deployment.metadata.resource_version = version;
                    self.context.cache.note_child(id.kind, deployment.clone());
                    live.insert(id, deployment);
                }
                None => live.remove(&id),
            }
        }
        Ok(())
    }

    /// The version that the Deployment came to; `None` when it was not there any more.
    async fn scale(&self, id: &ChildId, replicas: i32) -> Result<Option<Option<String>>, ApplyError> {
        let deployments: Api<Deployment> = Api::namespaced(self.context.client.clone(), self.namespace);
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
        self.context.metrics.writes.with_label_values(&[self.namespace, "Deployment", "patch"]).inc();
        match deployments.patch_scale(&id.name, &params, &patch).await {
            Ok(scale) => Ok(Some(scale.metadata.resource_version)),
            // Somebody deleted it: what follows from that is for the next pass.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(source) => Err(ApplyError::Api { verb: "scale", id: id.clone(), source: source.into() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A revision's Deployment, made in the second `made`.
    fn deployment(live: &mut Live, name: &str, replicas: i32, made: u8, annotations: &[(&str, &str)]) {
        let annotations: BTreeMap<&str, &str> = annotations.iter().copied().collect();
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": name,
                "creationTimestamp": format!("2026-01-01T00:00:{made:02}Z"),
                "labels": { label::COMPONENT: GATEWAY },
                "annotations": annotations,
            },
            "spec": { "replicas": replicas, "selector": {}, "template": {} },
        });
        live.insert(ChildId::new(Kind::Deployment, name), serde_json::from_value(object).unwrap());
    }

    #[test]
    fn an_operator_that_starts_in_the_middle_of_a_rollout_does_not_want_the_surge() {
        let mut live = Live::default();
        deployment(&mut live, "old", 4, 1, &[(annotation::WANTED, "3")]);
        deployment(&mut live, "new", 1, 2, &[(annotation::WANTED, "4")]);
        assert_eq!(noted_replicas("new", &live), Some(4), "and not five");
        assert_eq!(noted_replicas("newer", &live), Some(4), "a third one is on its way: the newest says");
        deployment(&mut live, "new", 0, 2, &[]);
        assert_eq!(noted_replicas("newer", &live), None, "one alone has gateways, and was scaled since it was noted");
        deployment(&mut live, "new", 1, 2, &[]);
        deployment(&mut live, "old", 4, 1, &[]);
        assert_eq!(noted_replicas("new", &live), None, "those of an earlier operator say nothing");
    }

    #[test]
    fn another_broker_is_told_from_the_same() {
        let facts = Facts { broker: "b1".to_owned(), wanted: None };
        let mut live = Live::default();
        assert!(facts.is_same_broker("new", &live));
        deployment(&mut live, "new", 1, 2, &[(annotation::BROKER, "whatever stood there")]);
        deployment(&mut live, "old", 3, 1, &[(annotation::BROKER, "b1")]);
        assert!(facts.is_same_broker("new", &live));
        deployment(&mut live, "older", 1, 0, &[(annotation::BROKER, "b0")]);
        assert!(!facts.is_same_broker("new", &live));
        deployment(&mut live, "older", 0, 0, &[(annotation::BROKER, "b0")]);
        assert!(facts.is_same_broker("new", &live), "nobody is there any more");
        deployment(&mut live, "old", 3, 1, &[]);
        assert!(!facts.is_same_broker("new", &live), "of an earlier operator");
    }

    #[test]
    fn facts_stand_beside_the_notes() {
        let mut live = Live::default();
        deployment(&mut live, "new", 1, 2, &[(annotation::WAVE, "2"), (annotation::WANTED, "4"), ("other", "x")]);
        let notes = |wanted| {
            let facts = Facts { broker: "b1".to_owned(), wanted };
            facts.beside(notes("new", None, &live, Timestamp::UNIX_EPOCH))
        };
        let expected = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>()
        };
        let of = [(annotation::WAVE, "2"), (annotation::BROKER, "b1"), (annotation::WANTED, "5")];
        assert_eq!(notes(Some(5)), expected(&of));
        assert_eq!(notes(None), expected(&of[..2]), "somebody else decides now");
    }
}
