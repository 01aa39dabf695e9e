//! One pass over one ChatCluster: dereference, validate, build, apply, status. Each stage has its own type, so none can
//! be left out. Status is written on every outcome. Nothing here sleeps or polls.

mod apply;
mod availability;
mod conditions;
mod credentials;
mod dereference;
mod diff;
mod expected;
mod live;
mod observed;
mod plan;
mod status;
mod validate;
mod validated;

use std::time::Duration;

use chat_crds::{ChatCluster, ChatClusterStatus};
use jiff::Timestamp;

pub use self::{
    apply::{Applied, ApplyError, Hands},
    conditions::{Inputs, Shape, Verdict, conditions},
    dereference::{DereferenceError, Dereferenced, SecretValues, referenced_secrets},
    live::Live,
    observed::{BackendObserved, GatewaysObserved, MigrationObserved, Observed, Trouble, observe},
    plan::Obstacle,
    status::{Report, StatusError, status},
    validate::{Environment, Problem, ValidateError, validate},
    validated::{
        Broker, BrokerCredentials, DeletionPolicy, Gateways, ManagedShard, PodOverlay, Redis, RedisCredentials,
        SecretKey, Shard, ShardBackend, ShardCredentials, SigningKey, ValidatedCluster,
    },
};
use crate::{
    build::{BuildError, Resources, build, migration_name},
    context::Context,
    names::{ClusterKey, Names},
    sensitive::SystemEntropy,
};

/// Pause before looking again at something that no watch tells about.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// The same where a person has to act first.
const LOOK_AGAIN_AT_LENGTH: Duration = Duration::from_secs(15);
/// Failures in a row to read the children after which the status says so. One restart of the API server is not news.
const UNREADABLE_AFTER: u32 = 3;

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The next change brings the next pass.
    Settled,
    /// Look again after a while.
    Waiting(Duration),
    /// The cluster is paused.
    Paused,
    /// The cluster is being deleted, or gone.
    Deleting,
}

/// What a pass did, for Events and metrics.
#[derive(Debug)]
pub struct Pass {
    /// How it ended.
    pub outcome: Outcome,
    /// The ChatCluster as it was, and its status now; `None` when it is gone.
    pub change: Option<(Box<ChatCluster>, Box<ChatClusterStatus>)>,
    /// Why the pass has to be tried again, once the status tells of it.
    pub error: Option<PassError>,
}

/// Why a pass has to be tried again.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// A read failed.
    #[error(transparent)]
    Dereference(#[from] DereferenceError),
    /// No random bytes.
    #[error(transparent)]
    Validate(#[from] ValidateError),
    /// An object could not be rendered.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A write failed.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The status could not be written.
    #[error(transparent)]
    Status(#[from] StatusError),
}

impl PassError {
    /// The reason for conditions, Events and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Dereference(_) => "ReadFailed",
            Self::Validate(_) => "CredentialsFailed",
            Self::Build(_) => "BuildFailed",
            Self::Apply(_) => "ApplyFailed",
            Self::Status(_) => "StatusFailed",
        }
    }
}

/// One pass over the ChatCluster `key`.
///
/// # Errors
/// When the status could not be brought up to date; otherwise an error is in the [`Pass`], and the status tells of it.
pub async fn reconcile(context: &Context, key: &ClusterKey) -> Result<Pass, PassError> {
    let cluster = match dereference::fetch(&context.client, key).await? {
        Some(cluster) if cluster.metadata.deletion_timestamp.is_none() => cluster,
        // While it is being deleted nothing is made: the garbage collector takes the children, and there is no finalizer.
        _ => {
            context.poller.forget(key);
            return Ok(Pass { outcome: Outcome::Deleting, change: None, error: None });
        }
    };
    let cluster = begin(context, key, cluster).await?;
    let fetched = match dereference::dereference(&context.client, key, cluster.clone()).await {
        Ok(fetched) => fetched,
        Err(error) => return unreadable(context, key, cluster, error).await,
    };
    let Advanced { stages, migration } = advance(context, key, &fetched).await;
    let (verdict, live, error) = match stages {
        Ok(resources) => {
            let Applied { live, pending } = resources.stage;
            let verdict = if cluster.spec.is_paused() { Verdict::Paused(pending) } else { Verdict::Applied };
            (verdict, live, None)
        }
        Err(error) => (judge(&error), fetched.live, Some(error)),
    };
    let status = report(context, key, &cluster, &verdict, (migration, &live));
    status::write(&context.client, &context.metrics, &cluster, &status).await?;
    let (outcome, error) = conclude(&verdict, error);
    Ok(Pass { outcome, change: Some((Box::new(cluster), Box::new(status))), error })
}

struct Advanced {
    stages: Result<Resources<Applied>, PassError>,
    /// The migration that the gateways need, as soon as it is known.
    migration: Option<String>,
}

/// Validate, build, apply.
async fn advance(context: &Context, key: &ClusterKey, fetched: &Dereferenced) -> Advanced {
    let mut migration = None;
    let stages = async {
        let validated = validate(fetched, &context.environment, &mut SystemEntropy)?;
        context.poller.watch(key, &validated.admin_token);
        migration = Some(migration_name(&validated)?);
        let prepared = build(&validated)?;
        let hands = if fetched.cluster.spec.is_paused() { Hands::Off } else { Hands::On };
        let whose = (key, validated.uid.as_str());
        let live = fetched.live.clone();
        Ok(apply::apply(&context.client, &context.metrics, whose, prepared, live, hands).await?)
    };
    let stages = Box::pin(stages).await;
    Advanced { stages, migration }
}

/// What the status says about a pass that did not get through.
fn judge(error: &PassError) -> Verdict {
    let problem = |reason| Problem { reason, message: error.to_string() };
    match error {
        PassError::Validate(ValidateError::Invalid(problem)) => Verdict::Refused(problem.clone()),
        PassError::Validate(ValidateError::Unmet(problem)) => Verdict::Waiting(problem.clone()),
        PassError::Apply(ApplyError::Obstacle(Obstacle::Foreign(_))) => Verdict::Refused(problem("NameConflict")),
        PassError::Apply(ApplyError::Obstacle(Obstacle::Predecessor(_))) => {
            Verdict::Waiting(problem("PredecessorLeaving"))
        }
        // Refused for what it says, such as an immutable field: the same write will be refused again.
        PassError::Apply(ApplyError::Api { source, .. }) if matches!(&**source, kube::Error::Api(status) if status.code == 422) => {
            Verdict::Refused(problem("ApplyRefused"))
        }
        error => Verdict::Failed(problem(error.reason())),
    }
}

/// When to look again, and whether the error counts as a failure of the pass.
fn conclude(verdict: &Verdict, error: Option<PassError>) -> (Outcome, Option<PassError>) {
    match verdict {
        Verdict::Paused(_) => (Outcome::Paused, None),
        Verdict::Applied => (Outcome::Settled, None),
        // Nothing tells when an object of that name goes or is relabelled, except for Secrets.
        Verdict::Refused(Problem { reason: "NameConflict", .. }) => (Outcome::Waiting(LOOK_AGAIN_AT_LENGTH), None),
        Verdict::Waiting(Problem { reason: "PredecessorLeaving", .. }) => (Outcome::Waiting(LOOK_AGAIN), None),
        // The spec and the Secrets that it names are watched.
        Verdict::Waiting(_) | Verdict::Refused(_) => (Outcome::Settled, None),
        Verdict::Failed(_) => (Outcome::Settled, error),
    }
}

/// Gives a new ChatCluster all its conditions before the first child is written, which may take seconds.
async fn begin(context: &Context, key: &ClusterKey, mut cluster: ChatCluster) -> Result<ChatCluster, PassError> {
    if cluster.status.as_ref().is_some_and(|status| !status.conditions.is_empty()) {
        return Ok(cluster);
    }
    let problem = Problem { reason: "Starting", message: "the operator has begun to work on it".to_owned() };
    let status = report(context, key, &cluster, &Verdict::Waiting(problem), (None, &Live::default()));
    status::write(&context.client, &context.metrics, &cluster, &status).await?;
    cluster.status = Some(status);
    Ok(cluster)
}

fn report(
    context: &Context,
    key: &ClusterKey,
    cluster: &ChatCluster,
    verdict: &Verdict,
    (migration, live): (Option<String>, &Live),
) -> ChatClusterStatus {
    status(&Report {
        cluster,
        default_image: &context.environment.images.gateway,
        verdict,
        shape: &Shape::of(cluster, migration),
        observed: &observe(&Names::new(key.name.as_str()), live),
        view: &context.poller.view(key),
        now: Timestamp::now(),
    })
}

/// The children could not be read. The status says so only when that lasts.
async fn unreadable(
    context: &Context,
    key: &ClusterKey,
    cluster: ChatCluster,
    error: DereferenceError,
) -> Result<Pass, PassError> {
    if context.backoff.count(key) + 1 < UNREADABLE_AFTER {
        return Err(error.into());
    }
    let status = status::unreadable(&cluster, &error.to_string(), Timestamp::now());
    status::write(&context.client, &context.metrics, &cluster, &status).await?;
    let change = Some((Box::new(cluster), Box::new(status)));
    Ok(Pass { outcome: Outcome::Settled, change, error: Some(error.into()) })
}
