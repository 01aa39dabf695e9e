//! The decorator around every pass: span, duration, outcome, Event. Stages log little; this is where a pass is told of.

use std::{sync::Arc, time::Duration};

use chat_crds::{ChatCluster, ChatClusterStatus};
use kube::{ResourceExt, runtime::controller::Action};
use tracing::Instrument;

use crate::{
    context::Context,
    names::ClusterKey,
    reconcile::{Outcome, Pass, PassError, reconcile},
};

/// A pass that hangs (a request without an answer) is given up, so that the cluster is not lost for ever.
const LONGEST_PASS: Duration = Duration::from_secs(60);
/// How often a settled cluster is looked at although nothing tells of a change: a net under the watches.
const ANYHOW: Duration = Duration::from_secs(600);

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub enum ObservedError {
    /// The pass itself says why.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// It did not end.
    #[error("gave up after {} s", LONGEST_PASS.as_secs())]
    TimedOut,
}

impl ObservedError {
    const fn reason(&self) -> &'static str {
        match self {
            Self::Pass(error) => error.reason(),
            Self::TimedOut => "TimedOut",
        }
    }
}

/// One observed pass, as the controller runs it.
///
/// # Errors
/// When it has to be tried again; [`retry`] says when.
pub async fn pass(cluster: Arc<ChatCluster>, context: Arc<Context>) -> Result<Action, ObservedError> {
    let key = ClusterKey::new(cluster.namespace().unwrap_or_default(), cluster.name_any());
    let generation = cluster.metadata.generation.unwrap_or_default();
    let span = tracing::info_span!("reconcile", namespace = key.namespace, cluster = key.name, generation);
    // On the heap: sixteen passes run at the same time, and the future holds every stage's.
    Box::pin(timed(&context, &key).instrument(span)).await
}

async fn timed(context: &Context, key: &ClusterKey) -> Result<Action, ObservedError> {
    let timer = context.metrics.reconcile_seconds.start_timer();
    let result = tokio::time::timeout(LONGEST_PASS, reconcile(context, key)).await;
    timer.observe_duration();
    let result = match result {
        Ok(Ok(pass)) => told(context, key, pass).await,
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(ObservedError::TimedOut),
    };
    if matches!(result, Ok(Outcome::Deleting)) {
        context.metrics.told.forget(key);
    }
    let outcome = match &result {
        Ok(Outcome::Settled) => "settled",
        Ok(Outcome::Waiting(_)) => "waiting",
        Ok(Outcome::Paused) => "paused",
        Ok(Outcome::Deleting) => "deleting",
        Err(_) => "failed",
    };
    context.metrics.reconciles.with_label_values(&[outcome]).inc();
    match &result {
        Ok(_) => context.backoff.succeeded(key),
        Err(error) => {
            context.metrics.reconcile_errors.with_label_values(&[error.reason()]).inc();
            tracing::warn!(%error, reason = error.reason(), "failed to reconcile; trying again");
        }
    }
    result.map(|outcome| match outcome {
        Outcome::Settled | Outcome::Paused => Action::requeue(ANYHOW),
        Outcome::Waiting(pause) => Action::requeue(pause),
        Outcome::Deleting => Action::await_change(),
    })
}

/// Publishes what changed and logs it once.
async fn told(context: &Context, key: &ClusterKey, pass: Pass) -> Result<Outcome, ObservedError> {
    if let Some((_, status)) = &pass.change {
        context.metrics.told.note(key, status);
    }
    if let Some((before, after)) = pass.change.as_ref().filter(|(before, after)| before.status.as_ref() != Some(after))
    {
        let then = before.status.as_ref().and_then(ready);
        if let Some(now) = ready(after).filter(|now| then != Some(*now)) {
            let (ready, reason) = now;
            tracing::info!(ready, reason, "status changed");
        }
        context.announcer.announce(before, after).await;
    }
    pass.error.map_or(Ok(pass.outcome), |error| Err(error.into()))
}

/// Status and reason of Ready.
fn ready(status: &ChatClusterStatus) -> Option<(&str, &str)> {
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready")?;
    Some((&ready.status, &ready.reason))
}

/// When a failed pass is tried again.
#[must_use]
pub fn retry(cluster: &ChatCluster, context: &Context) -> Action {
    let key = ClusterKey::new(cluster.namespace().unwrap_or_default(), cluster.name_any());
    Action::requeue(context.backoff.failed(&key))
}
