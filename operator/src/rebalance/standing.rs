//! How one ShardRebalance stands, and what it needs next.

use chat_crds::{
    ShardRebalance, ShardRebalanceStatus,
    shard_rebalance::{Pauses, RebalancePlan, RebalanceProgress, RebalanceState},
};
use chat_gateway_config::SlotList;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt as _;

use super::progress::Pair;

/// Longest message of a condition, in characters.
const LONGEST_MESSAGE: usize = 1_000;

/// What a mover does with its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// Move them.
    Move,
    /// Give up their moves.
    Abort,
    /// Delete what their source still has of them.
    Clean,
}

/// A mover that should run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// Name of the ShardRebalance; empty for what tidies up without one.
    pub rebalance: String,
    /// Its uid.
    pub uid: String,
    /// What it does.
    pub task: Task,
    /// The shard that has the slots, or had them.
    pub from: String,
    /// The shard that is to have them, or has them.
    pub to: String,
    /// Their numbers and ranges.
    pub slots: String,
}

impl Wanted {
    /// A mover for a ShardRebalance, or for none.
    pub(super) fn new(
        rebalance: Option<&ShardRebalance>,
        task: Task,
        (from, to): Pair,
        slots: impl IntoIterator<Item = u32>,
    ) -> Self {
        let slots: SlotList = slots.into_iter().filter_map(|slot| i32::try_from(slot).ok()).collect();
        Self {
            rebalance: rebalance.map(ShardRebalance::name_any).unwrap_or_default(),
            uid: rebalance.and_then(ShardRebalance::uid).unwrap_or_default(),
            task,
            from,
            to,
            slots: slots.to_string(),
        }
    }
}

/// Why moves are undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// `spec.abort`.
    Asked,
    /// The shards have changed.
    Superseded,
    /// A move does not come through: why.
    Failed(String),
}

impl Cause {
    const fn word(&self) -> &'static str {
        match self {
            Self::Asked => "AbortAsked",
            Self::Superseded => "ShardsChanged",
            Self::Failed(_) => "MoveFailed",
        }
    }

    /// How it ends.
    pub(super) const fn end(&self) -> RebalanceState {
        match self {
            Self::Asked => RebalanceState::Aborted,
            Self::Superseded => RebalanceState::Superseded,
            Self::Failed(_) => RebalanceState::Failed,
        }
    }

    /// The cause that a status tells of, whose object is being undone.
    pub(super) fn of(status: Option<&ShardRebalanceStatus>) -> Option<Self> {
        let conditions = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
        let reconciling = conditions.iter().find(|condition| condition.type_ == "Reconciling")?;
        match reconciling.reason.as_str() {
            "AbortAsked" => Some(Self::Asked),
            "ShardsChanged" => Some(Self::Superseded),
            "MoveFailed" => Some(Self::Failed(reconciling.message.clone())),
            _ => None,
        }
    }

    pub(super) fn message(&self) -> &str {
        match self {
            Self::Asked => "spec.abort is true",
            Self::Superseded => "the shards or their weights have changed since the plan was made",
            Self::Failed(why) => why,
        }
    }
}

/// How a ShardRebalance stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// In a word.
    pub state: RebalanceState,
    /// In a sentence.
    pub message: String,
    /// Only a person can go on.
    pub stuck: bool,
    pub(super) cause: Option<Cause>,
    pub(super) plan: Option<RebalancePlan>,
    pub(super) progress: Option<RebalanceProgress>,
    pub(super) pauses: Option<Pauses>,
    pub(super) started: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
    /// Movers that it needs.
    pub(super) movers: Vec<Wanted>,
}

impl Standing {
    /// As its status tells.
    pub(super) fn of(object: &ShardRebalance) -> Self {
        let status = object.status.as_ref();
        let ready = status.and_then(|status| status.conditions.iter().find(|condition| condition.type_ == "Ready"));
        let time = |time: &Option<Time>| time.as_ref().map(|time| time.0);
        Self {
            state: RebalanceState::of(status),
            message: ready.map(|ready| ready.message.clone()).unwrap_or_default(),
            stuck: false,
            cause: Cause::of(status),
            plan: status.and_then(|status| status.plan.clone()),
            progress: status.and_then(|status| status.progress.clone()),
            pauses: status.and_then(|status| status.pauses),
            started: status.and_then(|status| time(&status.start_time)),
            ended: status.and_then(|status| time(&status.completion_time)),
            movers: Vec::new(),
        }
    }

    /// While there is no ChatCluster of the name that it gives. What it had done stays, should the ChatCluster come back.
    #[must_use]
    pub fn without_cluster(object: &ShardRebalance) -> Self {
        let message = format!(
            "spec.clusterRef: there is no ChatCluster {} in this namespace; make it, or delete this ShardRebalance and make one that names another",
            object.spec.cluster_ref.name
        );
        Self::of(object).is(RebalanceState::ClusterNotFound, message)
    }

    /// Of a ChatCluster whose database is embedded.
    #[must_use]
    pub fn without_shards(object: &ShardRebalance) -> Self {
        let message = format!(
            "spec.clusterRef: the database of ChatCluster {} is embedded, so there are no shards that slots could move between; delete this ShardRebalance and make one for a ChatCluster with spec.database.shards",
            object.spec.cluster_ref.name
        );
        Self::of(object).is(RebalanceState::NotSharded, message)
    }

    /// Of a ChatCluster that has come a moment ago; `None` of an object that was told of something else already.
    #[must_use]
    pub fn of_new_cluster(object: &ShardRebalance) -> Option<Self> {
        let standing = Self::of(object);
        let message = format!(
            "ChatCluster {} starts; its gateways tell which shard has which slots",
            object.spec.cluster_ref.name
        );
        let is_told = standing.state != RebalanceState::ClusterNotFound;
        (!is_told).then(|| standing.is(RebalanceState::Planning, message))
    }

    /// The same in another state.
    pub(super) fn is(mut self, state: RebalanceState, message: impl Into<String>) -> Self {
        (self.state, self.message) = (state, message.into());
        self
    }

    /// The status that tells of it.
    #[must_use]
    pub fn status(&self, object: &ShardRebalance, now: Timestamp) -> ShardRebalanceStatus {
        use RebalanceState as S;
        let word = self.state.as_str();
        let is_done = matches!(self.state, S::Completed | S::Superseded);
        let stalled = self.stuck || matches!(self.state, S::NotSharded | S::Aborted | S::Failed);
        // A ChatCluster that is not there may come without a change of this spec, such as with the next file of the same folder.
        let works =
            !stalled && matches!(self.state, S::ClusterNotFound | S::Planning | S::Queued | S::Running | S::Aborting);
        let undoing = self.cause.as_ref().filter(|_| self.state == S::Aborting);
        let doing = undoing.map_or((word, self.message.as_str()), |cause| (cause.word(), cause.message()));
        let before = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let generation = object.metadata.generation;
        let condition = |type_: &str, is: bool, (reason, message): (&str, &str)| {
            let status = if is { "True" } else { "False" };
            let same = before.iter().find(|known| known.type_ == type_ && known.status == status);
            Condition {
                type_: type_.to_owned(),
                status: status.to_owned(),
                reason: reason.to_owned(),
                message: message.chars().take(LONGEST_MESSAGE).collect(),
                observed_generation: generation,
                last_transition_time: same.map_or(Time(now), |known| known.last_transition_time.clone()),
            }
        };
        let message = self.message.as_str();
        ShardRebalanceStatus {
            observed_generation: generation,
            conditions: vec![
                condition("Ready", is_done, (word, message)),
                condition("Reconciling", works, doing),
                condition("Stalled", stalled, (word, message)),
            ],
            plan: self.plan.clone(),
            progress: self.progress.clone(),
            pauses: self.pauses,
            start_time: self.started.map(Time),
            completion_time: self.ended.map(Time),
        }
    }
}
