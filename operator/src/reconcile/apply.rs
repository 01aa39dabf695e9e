//! The only writer of children: ordered server-side apply with one field manager, then pruning.

use kube::{
    Api,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions},
};

use super::{
    diff,
    live::Live,
    plan::{self, Obstacle, Plan, PlanError},
};
use crate::{
    api_error::ApiError,
    audit::{self, Act, Outcome},
    build::{Child, ChildId, Prepared, Resources},
    context::Context,
    names::{ClusterKey, FIELD_MANAGER},
};

/// Whether children may be touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hands {
    /// Write what differs.
    On,
    /// The cluster is paused: only count what differs.
    Off,
}

/// What is known after the children were applied, or after it was decided not to.
#[derive(Debug)]
pub struct Applied {
    /// The children, those just written included.
    pub live: Live,
    /// Writes that were not made, since hands are off.
    pub pending: usize,
    /// Children that somebody else deletes, and that are made again when they are gone.
    pub leaving: Vec<ChildId>,
}

/// The children could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Something is in the way.
    #[error(transparent)]
    Obstacle(#[from] Obstacle),
    /// A child could not be rendered.
    #[error("failed to render a child")]
    Render(#[source] serde_json::Error),
    /// A gateway's pod could not be marked.
    #[error("failed to mark Pod {pod}: {source}")]
    Mark {
        /// The pod.
        pod: String,
        /// The API server's answer.
        source: ApiError,
    },
    /// The API server refused or did not answer.
    #[error("failed to {verb} {id}: {source}")]
    Api {
        /// `apply` or `delete`.
        verb: &'static str,
        /// The child.
        id: ChildId,
        /// The API server's answer.
        source: ApiError,
    },
}

impl From<PlanError> for ApplyError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Obstacle(obstacle) => Self::Obstacle(obstacle),
            PlanError::Render(source) => Self::Render(source),
        }
    }
}

/// Makes the children what `resources` says. Writes nothing where nothing differs, and nothing at all when something
/// is in the way.
///
/// # Errors
/// When an object of somebody else is in the way, or the API server refuses a write.
pub(super) async fn apply(
    context: &Context,
    (key, uid): (&ClusterKey, &str),
    resources: Resources<Prepared>,
    mut live: Live,
    hands: Hands,
) -> Result<Resources<Applied>, ApplyError> {
    let plan = plan::plan(key, uid, &resources, &live, &context.admitted.of(key))?;
    if hands == Hands::Off {
        return Ok(resources.at_stage(Applied { live, pending: plan.writes(), leaving: plan.leaving }));
    }
    let Plan { apply, prune, leaving } = plan;
    let writer = Writer { context, namespace: &key.namespace };
    for child in apply {
        let act = if live.get(&child.id).is_some() { Act::Change } else { Act::Create };
        let written = writer.apply(&child, act).await?;
        context.admitted.note(key, &child.id, diff::answer(&child.object, &written));
        live.insert(child.id, written);
    }
    for (id, uid) in prune {
        writer.delete(&id, uid).await?;
        live.remove(&id);
    }
    Ok(resources.at_stage(Applied { live, pending: 0, leaving }))
}

struct Writer<'a> {
    context: &'a Context,
    namespace: &'a str,
}

impl Writer<'_> {
    async fn apply(&self, child: &Child, act: Act) -> Result<DynamicObject, ApplyError> {
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let written = self.api(&child.id).patch(&child.id.name, &params, &Patch::Apply(&child.object)).await;
        self.context.metrics.writes.with_label_values(&[self.namespace, child.id.kind.name(), "apply"]).inc();
        tracing::debug!(child = %child.id, "applied");
        audit::write(act, &child.id, written.as_ref().map_or_else(audit::refusal, |_| Outcome::Done));
        let written =
            written.map_err(|source| ApplyError::Api { verb: "apply", id: child.id.clone(), source: source.into() })?;
        self.context.cache.note_child(child.id.kind, written.clone());
        Ok(written)
    }

    async fn delete(&self, id: &ChildId, uid: Option<String>) -> Result<(), ApplyError> {
        // Only the object that was seen: one made since under the same name is somebody else's business.
        let preconditions = Preconditions { uid, resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        let deleted = self.api(id).delete(&id.name, &params).await;
        self.context.metrics.writes.with_label_values(&[self.namespace, id.kind.name(), "delete"]).inc();
        tracing::info!(child = %id, "pruned");
        match deleted {
            Ok(answer) => {
                audit::write(Act::Delete, id, Outcome::Done);
                match answer.left() {
                    Some(leaving) => self.context.cache.note_child(id.kind, leaving),
                    None => self.context.cache.forget_child(id.kind, self.namespace, &id.name),
                }
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => {
                audit::write(Act::Delete, id, Outcome::Unchanged);
                Ok(())
            }
            Err(source) => {
                audit::write(Act::Delete, id, audit::refusal(&source));
                Err(ApplyError::Api { verb: "delete", id: id.clone(), source: source.into() })
            }
        }
    }

    fn api(&self, id: &ChildId) -> Api<DynamicObject> {
        Api::namespaced_with(self.context.client.clone(), self.namespace, &id.kind.api_resource())
    }
}
