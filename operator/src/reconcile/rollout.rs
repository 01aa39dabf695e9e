//! Gateways of a new revision take the place of the old ones: reads what is under way from the Deployments, and writes what follows.

use std::collections::BTreeMap;

use chat_crds::keys::label::GATEWAY;
use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, Client, ResourceExt,
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
    drain,
    metrics::Metrics,
    names::{FIELD_MANAGER, annotation, label},
    poll::ClusterView,
    rollout::{self, Failure, Finding, Note, Plan, Revision, Rules, Situation},
};

/// Letters of a failure's sentence that are kept.
const LONGEST_MESSAGE: usize = 500;

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
    let kept = [annotation::ROLLED_OUT, annotation::WAVE, annotation::FAILED];
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

/// Scales the Deployments of old revisions. Their builder does not make them any more, so nothing else of them is touched.
pub(super) struct Registrar<'a> {
    pub(super) client: &'a Client,
    pub(super) metrics: &'a Metrics,
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
            if self.scale(&id, *replicas).await? {
                deployment.data["spec"]["replicas"] = json!(replicas);
                live.insert(id, deployment);
            } else {
                live.remove(&id);
            }
        }
        Ok(())
    }

    /// Whether the Deployment was still there.
    async fn scale(&self, id: &ChildId, replicas: i32) -> Result<bool, ApplyError> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), self.namespace);
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
        self.metrics.writes.with_label_values(&[self.namespace, "Deployment", "patch"]).inc();
        match deployments.patch_scale(&id.name, &params, &patch).await {
            Ok(_) => Ok(true),
            // Somebody deleted it: what follows from that is for the next pass.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
            Err(source) => Err(ApplyError::Api { verb: "scale", id: id.clone(), source: source.into() }),
        }
    }
}
