//! Reading and writing of a ChatCluster's ShardRebalances, and the Events about them.

use chat_crds::{ChatCluster, ShardRebalance, ShardRebalanceStatus, shard_rebalance::RebalanceState};
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{
    Api, Resource as _, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::json;

use super::{dereference, outcome::PassError};
use crate::{
    api,
    api_error::ApiError,
    audit::{self, Act, Cause, Outcome, Record},
    context::Context,
    events::News,
    names::{ClusterKey, FIELD_MANAGER, label},
    rebalance::{Census, Course, Standing},
};

/// Slots that one Event names.
const NAMED: usize = 40;

/// A ShardRebalance could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("failed to {verb} ShardRebalance {name}: {source}")]
pub struct DeskError {
    verb: &'static str,
    name: String,
    source: ApiError,
}

impl DeskError {
    /// Whether the namespace is being deleted, so that nothing can be made in it any more.
    pub(super) fn is_namespace_leaving(&self) -> bool {
        self.source.is_namespace_leaving()
    }
}

/// Says so in the ShardRebalances that name the ChatCluster `key`, should there be none.
///
/// # Errors
/// When the API server refuses or does not answer.
pub async fn tell_of_no_cluster(context: &Context, key: &ClusterKey) -> Result<(), PassError> {
    if dereference::fetch(&context.client, key).await?.is_some() {
        return Ok(());
    }
    // One that the operator made goes with its ChatCluster.
    let is_own = |object: &ShardRebalance| !object.owner_references().is_empty();
    let standing = |object: &ShardRebalance| (!is_own(object)).then(|| Standing::without_cluster(object));
    if Cause::named(key).has(Desk::new(context, key).say(standing)).await? > 0 {
        // The pass in which an earlier ChatCluster of this name went has forgotten it.
        context.memory.name(key);
    }
    Ok(())
}

/// The ShardRebalances of one ChatCluster.
pub(super) struct Desk<'a> {
    context: &'a Context,
    key: &'a ClusterKey,
    api: Api<ShardRebalance>,
}

impl<'a> Desk<'a> {
    pub(super) fn new(context: &'a Context, key: &'a ClusterKey) -> Self {
        let api = Api::namespaced(context.client.clone(), &key.namespace);
        Self { context, key, api }
    }

    /// All of them, asked of the API server: what the pass before wrote must not be missed.
    pub(super) async fn read(&self) -> Result<Vec<ShardRebalance>, DeskError> {
        let ours = ListParams::default().fields(&format!("spec.clusterRef.name={}", self.key.name));
        let listed = self.api.list(&ours).await.map_err(failed("list", "of the ChatCluster"))?;
        // One that is being deleted moves nothing any more.
        Ok(listed.items.into_iter().filter(|object| object.metadata.deletion_timestamp.is_none()).collect())
    }

    /// Brings statuses up to date, and drops what is past its time.
    pub(super) async fn write(
        &self,
        objects: &[ShardRebalance],
        course: &Course,
        now: Timestamp,
    ) -> Result<(), DeskError> {
        for object in objects {
            let name = object.name_any();
            let Some(standing) = course.standings.get(&name) else { continue };
            self.bring(object, standing, now).await?;
        }
        for name in &course.drops {
            let Some(object) = objects.iter().find(|object| object.name_any() == *name) else { continue };
            let preconditions = Preconditions { uid: object.uid(), resource_version: None };
            let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            let deleted = self.api.delete(name, &params).await;
            audit::write(Act::Delete, named(name), deleted.as_ref().map_or_else(audit::refusal, |_| Outcome::Done));
            match deleted {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => {}
                Err(error) => return Err(failed("delete", name)(error)),
            }
        }
        Ok(())
    }

    /// Brings the status of one up to date, and tells of another state.
    async fn bring(&self, object: &ShardRebalance, standing: &Standing, now: Timestamp) -> Result<(), DeskError> {
        let status = standing.status(object, now);
        if object.status.as_ref() == Some(&status) {
            return Ok(());
        }
        self.write_status(object, &status).await?;
        let before = RebalanceState::of(object.status.as_ref());
        // The API server gives one that is new a status without conditions.
        let is_new = object.status.as_ref().is_none_or(|status| status.conditions.is_empty());
        if before != standing.state || is_new {
            let record = Record { state: Some(standing.state.as_str()), ..Record::default() };
            record.write(Act::Rebalance, named(&object.name_any()), Outcome::Done);
            self.tell_state(object, standing.state, &standing.message).await;
        }
        Ok(())
    }

    /// Brings the statuses of those that are not over up to date where nothing can be asked of shards; returns how many there are.
    pub(super) async fn say(&self, how: impl Fn(&ShardRebalance) -> Option<Standing>) -> Result<usize, DeskError> {
        let mut objects = self.read().await?;
        objects.retain(|object| !RebalanceState::of(object.status.as_ref()).is_over());
        for object in &objects {
            if let Some(standing) = how(object) {
                self.bring(object, &standing, Timestamp::now()).await?;
            }
        }
        Ok(objects.len())
    }

    async fn write_status(&self, object: &ShardRebalance, status: &ShardRebalanceStatus) -> Result<(), DeskError> {
        let name = object.name_any();
        // The uid makes the API server refuse to write into one that was made anew under the same name.
        let patch = json!({
            "apiVersion": api::API_VERSION,
            "kind": ShardRebalance::kind(&()),
            "metadata": { "name": name, "uid": object.uid() },
            "status": status,
        });
        self.context.metrics.status_writes.with_label_values(&[&self.key.namespace]).inc();
        let params = PatchParams::apply(FIELD_MANAGER).force();
        match self.api.patch_status(&name, &params, &Patch::Apply(&patch)).await {
            Ok(_) => Ok(()),
            // Somebody has deleted it meanwhile.
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
            Err(error) => Err(failed("write the status of", &name)(error)),
        }
    }

    /// Makes one. Its spec is never written again.
    pub(super) async fn create(&self, mut object: ShardRebalance, cluster: &ChatCluster) -> Result<(), DeskError> {
        object.metadata.namespace = Some(self.key.namespace.clone());
        let labels = [
            (label::MANAGED_BY, "chat-operator"),
            (label::PART_OF, "chatcluster"),
            (label::CLUSTER, self.key.name.as_str()),
        ];
        object.metadata.labels =
            Some(labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect());
        object.metadata.owner_references = Some(vec![OwnerReference {
            api_version: api::API_VERSION.to_owned(),
            kind: api::KIND.to_owned(),
            name: self.key.name.clone(),
            uid: cluster.uid().unwrap_or_default(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }]);
        let name = object.name_any();
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let made = self.api.create(&params, &object).await;
        audit::write(Act::Create, named(&name), made.as_ref().map_or_else(audit::refusal, |_| Outcome::Done));
        match made {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(failed("create", &name)(error)),
        }
    }

    async fn tell_state(&self, object: &ShardRebalance, state: RebalanceState, message: &str) {
        use RebalanceState as S;
        let warning = matches!(state, S::Failed | S::ClusterNotFound | S::NotSharded);
        let news = News { warning, reason: state.as_str(), note: message.to_owned(), action: "Rebalance" };
        self.context.announcer.tell(object.object_ref(&()), news).await;
    }

    /// Tells of slots that were handed over since the last time.
    pub(super) async fn tell_moves(&self, census: &Census, open: &[&ShardRebalance]) {
        let Some(object) = open.iter().find(|object| object.status.as_ref().is_some_and(|s| s.start_time.is_some()))
        else {
            return;
        };
        let newest = census.moved.values().flatten().map(|moved| moved.at_ms).max().unwrap_or_default();
        let told = self.context.memory.told(self.key, newest);
        let mut lines = Vec::new();
        for (to, moved) in &census.moved {
            // An operator that has just started cannot know what was told: the audit log rather has a move twice than not at all.
            for moved in moved.iter().filter(|moved| told.is_none_or(|told| moved.at_ms > told)) {
                let slot = Some((moved.slot, moved.from.as_str(), to.as_str()));
                let record = Record { slot, pause_ms: moved.pause_ms, ..Record::default() };
                record.write(Act::MoveSlot, named(&object.name_any()), Outcome::Done);
                let pause = moved.pause_ms.map_or_else(String::new, |ms| format!(" ({ms} ms)"));
                lines.push((moved.slot, format!("{} {} > {to}{pause}", moved.slot, moved.from)));
            }
        }
        if told.is_none() {
            return;
        }
        for some in lines.chunks(NAMED) {
            let (slots, told): (Vec<String>, Vec<&str>) =
                some.iter().map(|(slot, line)| (slot.to_string(), line.as_str())).unzip();
            let note = format!("slots were handed over (writes waited): {}", told.join(", "));
            // Events of one object that differ in their notes only are one to the API: it would keep the first note.
            let field_path = Some(format!("slots{{{}}}", slots.join(",")));
            let about = ObjectReference { field_path, ..object.object_ref(&()) };
            let news = News { warning: false, reason: "SlotsMoved", note, action: "Rebalance" };
            self.context.announcer.tell(about, news).await;
        }
    }
}

/// A ShardRebalance in the audit log.
fn named(name: &str) -> String {
    format!("{} {name}", ShardRebalance::kind(&()))
}

fn failed(verb: &'static str, name: &str) -> impl FnOnce(kube::Error) -> DeskError + use<> {
    let name = name.to_owned();
    move |source| DeskError { verb, name, source: source.into() }
}
