//! How a pass ends: what its status says, when the next one comes, what counts as a failure. Pure.

use std::time::Duration;

use chat_crds::{ChatCluster, ChatClusterStatus};

use super::{
    apply::ApplyError,
    conditions::Verdict,
    dereference::DereferenceError,
    plan::Obstacle,
    rebalances::DeskError,
    status::StatusError,
    validate::{Problem, ValidateError, expose::KIND_NOT_SERVED},
};
use crate::build::{BuildError, ChildId};

/// Pause before looking again at something that no watch tells about.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// The same where a person has to act first.
const LOOK_AGAIN_AT_LENGTH: Duration = Duration::from_secs(15);

/// Reason while a child is on its way out.
const CHILD_LEAVING: &str = "ChildLeaving";

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
    /// A ShardRebalance could not be read or written.
    #[error(transparent)]
    Shards(#[from] DeskError),
    /// The status could not be written.
    #[error(transparent)]
    Status(#[from] StatusError),
}

impl Pass {
    /// Nothing was done, since the cluster is going or gone.
    #[must_use]
    pub fn deleting() -> Self {
        Self { outcome: Outcome::Deleting, change: None, error: None }
    }
}

impl PassError {
    /// Whether it only says that the cluster, or its namespace, is going.
    pub(super) fn is_farewell(&self) -> bool {
        match self {
            Self::Apply(ApplyError::Api { source, .. } | ApplyError::Mark { source, .. }) => {
                source.is_namespace_leaving()
            }
            Self::Shards(error) => error.is_namespace_leaving(),
            Self::Status(error) => error.is_gone(),
            _ => false,
        }
    }

    /// The reason for conditions, Events and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Dereference(_) => "ReadFailed",
            Self::Validate(_) => "CredentialsFailed",
            Self::Build(_) => "BuildFailed",
            Self::Apply(_) => "ApplyFailed",
            Self::Shards(_) => "RebalanceFailed",
            Self::Status(_) => "StatusFailed",
        }
    }
}

/// What the status says about a pass that did not get through.
pub(super) fn judge(error: &PassError) -> Verdict {
    let problem = |reason| Problem { reason, message: error.to_string() };
    match error {
        PassError::Validate(ValidateError::Invalid(problem)) => Verdict::Refused(problem.clone()),
        PassError::Validate(ValidateError::Unmet(problem)) => Verdict::Waiting(problem.clone()),
        PassError::Apply(ApplyError::Obstacle(Obstacle::Foreign(_))) => Verdict::Refused(problem("NameConflict")),
        PassError::Apply(ApplyError::Obstacle(Obstacle::Predecessor(_))) => {
            Verdict::Waiting(problem("PredecessorLeaving"))
        }
        // Refused for what it says, such as an immutable field: the same write will be refused again.
        PassError::Apply(ApplyError::Api { source, .. }) if source.code() == Some(422) => {
            Verdict::Refused(problem("ApplyRefused"))
        }
        error => Verdict::Failed(problem(error.reason())),
    }
}

/// What the status says about a pass whose writes were all made, but for children that somebody else deletes.
pub(super) fn applied(leaving: &[ChildId]) -> Verdict {
    let Some(first) = leaving.first() else { return Verdict::Applied };
    let others = match leaving.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    Verdict::Waiting(Problem {
        reason: CHILD_LEAVING,
        message: format!("{first}{others} is being deleted, and is made again when its finalizers have let it go"),
    })
}

/// When to look again, and whether the error counts as a failure of the pass.
pub(super) fn conclude(
    verdict: &Verdict,
    again: Option<Duration>,
    error: Option<PassError>,
) -> (Outcome, Option<PassError>) {
    match verdict {
        Verdict::Applied if again.is_some() => (again.map_or(Outcome::Settled, Outcome::Waiting), None),
        // Not every kind is watched, and slots may be on the move meanwhile.
        Verdict::Waiting(Problem { reason: CHILD_LEAVING, .. }) => {
            (Outcome::Waiting(again.unwrap_or(LOOK_AGAIN_AT_LENGTH)), None)
        }
        Verdict::Paused(_) => (Outcome::Paused, None),
        Verdict::Applied => (Outcome::Settled, None),
        // No watch tells when an object of somebody else goes.
        Verdict::Refused(Problem { reason: "NameConflict" | "CredentialsLost", .. }) => {
            (Outcome::Waiting(LOOK_AGAIN_AT_LENGTH), None)
        }
        Verdict::Waiting(Problem { reason: "PredecessorLeaving", .. }) => (Outcome::Waiting(LOOK_AGAIN), None),
        // Nor when a kind is served that was not.
        Verdict::Waiting(Problem { reason: KIND_NOT_SERVED, .. }) => (Outcome::Waiting(LOOK_AGAIN_AT_LENGTH), None),
        // The spec and the Secrets that it names are watched.
        Verdict::Waiting(_) | Verdict::Refused(_) => (Outcome::Settled, None),
        Verdict::Failed(_) => (Outcome::Settled, error),
    }
}
