//! What to write, decided before anything is written. Pure.

use kube::{ResourceExt, api::DynamicObject};

use super::{diff, live::Live};
use crate::{
    admitted::Answers,
    api,
    build::{Child, ChildId, Kind, Prepared, Resources},
    names::{ClusterKey, label},
};

/// The writes that make the children what they should be.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Children to apply, in order.
    pub(super) apply: Vec<Child>,
    /// Children to delete, with the uid that was seen.
    pub(super) prune: Vec<(ChildId, Option<String>)>,
    /// Children that are being deleted by somebody; they are made again when they are gone.
    pub(super) leaving: Vec<ChildId>,
}

impl Plan {
    /// Number of writes.
    pub(super) fn writes(&self) -> usize {
        self.apply.len() + self.prune.len()
    }
}

/// A child that the operator may not touch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// An object of that name exists and is not ours.
    #[error(
        "{0} exists and was not made by this ChatCluster; rename or delete it, or give the ChatCluster another name"
    )]
    Foreign(ChildId),
    /// The object belongs to an earlier ChatCluster of the same name, which the garbage collector is still removing.
    #[error("{0} of an earlier ChatCluster of this name is still being deleted; it is made anew when it is gone")]
    Predecessor(ChildId),
}

/// Whose a live object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ownership {
    Ours,
    Predecessors,
    Foreign,
}

/// Compares what should be with what is.
pub(super) fn plan(
    key: &ClusterKey,
    uid: &str,
    resources: &Resources<Prepared>,
    live: &Live,
    answers: &Answers,
) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let mut wanted = resources.held.clone();
    // Also those that are not applied yet: better to say it now than when everything else runs.
    for (id, existing) in resources.held.iter().filter_map(|id| Some((id, live.get(id)?))) {
        if ownership(key, uid, existing) == Ownership::Foreign {
            return Err(Obstacle::Foreign(id.clone()).into());
        }
    }
    for mut child in resources.children()? {
        wanted.insert(child.id.clone());
        diff::stamp(&mut child);
        let Some(existing) = live.get(&child.id) else {
            plan.apply.push(child);
            continue;
        };
        match ownership(key, uid, existing) {
            Ownership::Foreign => return Err(Obstacle::Foreign(child.id).into()),
            Ownership::Predecessors => return Err(Obstacle::Predecessor(child.id).into()),
            Ownership::Ours if existing.metadata.deletion_timestamp.is_some() => plan.leaving.push(child.id),
            // A Job's template is immutable and its name is the hash of what it does: it is made once.
            Ownership::Ours if child.id.kind == Kind::Job => {}
            Ownership::Ours if diff::is_current(&child.object, existing, answers.get(&child.id)) => {}
            Ownership::Ours => plan.apply.push(child),
        }
    }
    plan.prune = live
        .iter()
        .filter(|(id, object)| {
            !wanted.contains(id)
                && !holds_data(id.kind, object)
                && object.metadata.deletion_timestamp.is_none()
                && has_our_labels(key, object)
                && ownership(key, uid, object) == Ownership::Ours
        })
        .map(|(id, object)| (id.clone(), object.uid()))
        .collect();
    Ok(plan)
}

/// What holds people's data is never pruned, whatever the labels say: a StatefulSet's claims carry ours, too, and a
/// retained claim of an earlier ChatCluster belongs to whoever kept it. The operator has no right to delete one. The Secret of a shard that nobody owns
/// opens such a volume.
fn holds_data(kind: Kind, object: &DynamicObject) -> bool {
    let opens_a_volume = || object.labels().contains_key(label::SHARD) && object.owner_references().is_empty();
    kind == Kind::PersistentVolumeClaim || kind == Kind::Secret && opens_a_volume()
}

/// No plan could be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Something is in the way.
    #[error(transparent)]
    Obstacle(#[from] Obstacle),
    /// A child could not be written as JSON.
    #[error("failed to render a child")]
    Render(#[from] serde_json::Error),
}

fn has_our_labels(key: &ClusterKey, object: &DynamicObject) -> bool {
    let has = |name: &str, value: &str| object.labels().get(name).is_some_and(|found| found == value);
    has(label::MANAGED_BY, "chat-operator") && has(label::CLUSTER, &key.name)
}

fn ownership(key: &ClusterKey, uid: &str, object: &DynamicObject) -> Ownership {
    let controller = object.owner_references().iter().find(|owner| owner.controller == Some(true));
    match controller {
        Some(owner) if owner.uid == uid => Ownership::Ours,
        Some(owner) if owner.kind == api::KIND && owner.name == key.name => Ownership::Predecessors,
        Some(_) => Ownership::Foreign,
        // Retained Secrets have no owner; their labels say that they are ours to take up again.
        None if has_our_labels(key, object) => Ownership::Ours,
        None => Ownership::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(labels: &serde_json::Value, owners: &serde_json::Value) -> DynamicObject {
        serde_json::from_value(json!({ "metadata": { "name": "x", "labels": labels, "ownerReferences": owners } }))
            .unwrap()
    }

    /// Claims that a StatefulSet made carry our labels, a retained claim of an embedded database has no owner, and neither has the Secret that opens the
    /// retained volume of a shard.
    #[test]
    fn volumes_are_never_pruned() {
        let key = ClusterKey::new("ns", "demo");
        let ours = json!({ label::MANAGED_BY: "chat-operator", label::CLUSTER: "demo" });
        let mut live = Live::default();
        for kind in [Kind::PersistentVolumeClaim, Kind::ConfigMap] {
            live.insert(ChildId::new(kind, "x"), object(&ours, &json!([])));
        }
        let nothing = Resources {
            service_accounts: Vec::new(),
            secrets: Vec::new(),
            config_maps: Vec::new(),
            persistent_volume_claims: Vec::new(),
            services: Vec::new(),
            network_policies: Vec::new(),
            pod_disruption_budgets: Vec::new(),
            stateful_sets: Vec::new(),
            jobs: Vec::new(),
            cron_jobs: Vec::new(),
            deployments: Vec::new(),
            ingresses: Vec::new(),
            http_routes: Vec::new(),
            held: std::collections::BTreeSet::new(),
            stage: Prepared,
        };
        let mut of_a_shard = ours;
        of_a_shard[label::SHARD] = json!("a");
        live.insert(ChildId::new(Kind::Secret, "demo-shard-a"), object(&of_a_shard, &json!([])));
        let pruned: Vec<ChildId> =
            plan(&key, "u1", &nothing, &live, &Answers::new()).unwrap().prune.into_iter().map(|(id, _)| id).collect();
        assert_eq!(pruned, [ChildId::new(Kind::ConfigMap, "x")]);
    }

    #[test]
    fn tells_whose_an_object_is() {
        let key = ClusterKey::new("ns", "demo");
        let ours = json!({ label::MANAGED_BY: "chat-operator", label::CLUSTER: "demo" });
        let owner = |uid: &str, kind: &str| json!([{ "apiVersion": "x/v1", "kind": kind, "name": "demo", "uid": uid, "controller": true }]);
        let whose =
            |labels: &serde_json::Value, owners: &serde_json::Value| ownership(&key, "u1", &object(labels, owners));
        assert_eq!(whose(&ours, &owner("u1", api::KIND)), Ownership::Ours);
        assert_eq!(whose(&json!({}), &owner("u1", api::KIND)), Ownership::Ours);
        assert_eq!(whose(&ours, &owner("u0", api::KIND)), Ownership::Predecessors);
        assert_eq!(whose(&ours, &json!([])), Ownership::Ours);
        assert_eq!(whose(&json!({}), &json!([])), Ownership::Foreign);
        assert_eq!(whose(&ours, &owner("u1x", "HelmRelease")), Ownership::Foreign);
    }
}
