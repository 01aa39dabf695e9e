//! The rules of kstatus for a custom resource, by which Flux, Argo CD and others judge it; restated because the library is Go.

use kube::api::DynamicObject;

use crate::chat_cluster::condition;

/// The judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The object is as its spec says.
    Current,
    /// Work is under way.
    InProgress,
    /// It cannot come true without somebody's help.
    Failed,
    /// It is on its way out.
    Terminating,
}

/// Judges an object.
#[must_use]
pub fn compute(object: &DynamicObject) -> Judgement {
    let is_true = |kind: &str| condition(object, kind).is_some_and(|condition| condition["status"] == "True");
    if object.metadata.deletion_timestamp.is_some() {
        return Judgement::Terminating;
    }
    let observed = object.data["status"]["observedGeneration"].as_i64();
    if observed.is_some_and(|observed| Some(observed) != object.metadata.generation) {
        return Judgement::InProgress;
    }
    match () {
        () if is_true("Stalled") => Judgement::Failed,
        () if is_true("Reconciling") => Judgement::InProgress,
        () if condition(object, "Ready").is_none() || is_true("Ready") => Judgement::Current,
        () => Judgement::InProgress,
    }
}
