//! The audit log: what the operator does to others' data and clients, on behalf of which ChatCluster, and what came of it. One line each, with the target
//! [`TARGET`], whatever the log filter says. Names of objects, numbers and fixed words only: no content of an object fits into a [`Record`].

use std::fmt::Display;

use chat_crds::ChatCluster;
pub use chat_gateway_config::audit::{Outcome, TARGET};

use crate::names::ClusterKey;

chat_gateway_config::acts! {
    /// Something privileged that was done or tried.
    pub enum Act {
        /// An object that was not there is made.
        Create = "create",
        /// An object that is there is changed.
        Change = "change",
        /// An object is deleted, and what it holds with it.
        Delete = "delete",
        /// A workload's template that waited for approval may be changed.
        AdoptChange = "adopt-change",
        /// A gateway is to be emptied, and to go.
        DrainGateway = "drain-gateway",
        /// A gateway that was to be emptied stays.
        KeepGateway = "keep-gateway",
        /// A gateway that is empty is the next to be deleted.
        RetireGateway = "retire-gateway",
        /// A gateway is told to have clients connect elsewhere.
        MoveClients = "move-clients",
        /// A ShardRebalance is in another state.
        Rebalance = "rebalance",
        /// A slot was handed over to another shard.
        MoveSlot = "move-slot",
    }
}

/// On whose behalf the operator acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    key: ClusterKey,
    generation: Option<i64>,
}

tokio::task_local! {
    /// Belongs to what runs now: a pass over one ChatCluster, or an order to one of its gateways. So no stage of a pass can leave it out, or name another.
    static CAUSE: Cause;
}

impl Cause {
    /// The spec that a pass works on.
    #[must_use]
    pub fn of(key: &ClusterKey, cluster: &ChatCluster) -> Self {
        Self { key: key.clone(), generation: cluster.metadata.generation }
    }

    /// A ChatCluster, by the pass before or because it is not there.
    #[must_use]
    pub fn named(key: &ClusterKey) -> Self {
        Self { key: key.clone(), generation: None }
    }

    /// Does something on its behalf: records that are written meanwhile name it.
    pub async fn has<F: Future>(self, done: F) -> F::Output {
        CAUSE.scope(self, done).await
    }
}

/// One line, but for what came of it and on whose behalf it was.
#[derive(Clone, Copy, Debug, Default)]
pub struct Record<'a> {
    /// How many clients were asked.
    pub asked: Option<u32>,
    /// The new state.
    pub state: Option<&'a str>,
    /// The slot, and the shards that it goes from and to.
    pub slot: Option<(u32, &'a str, &'a str)>,
    /// Milliseconds for which writes to the slot waited.
    pub pause_ms: Option<u64>,
}

impl Record<'_> {
    /// Writes the line about an object, `Kind name`.
    pub fn write(&self, act: Act, object: impl Display, outcome: Outcome<'_>) {
        let cause = CAUSE.try_with(Clone::clone).ok();
        tracing::info!(
            target: TARGET,
            act = act.name(),
            outcome = outcome.name(),
            reason = outcome.reason(),
            by = "operator",
            namespace = cause.as_ref().map(|cause| cause.key.namespace.as_str()),
            cluster = cause.as_ref().map(|cause| cause.key.name.as_str()),
            generation = cause.as_ref().and_then(|cause| cause.generation),
            object = %object,
            asked = self.asked,
            state = self.state,
            slot = self.slot.map(|slot| slot.0),
            from_shard = self.slot.map(|slot| slot.1),
            to_shard = self.slot.map(|slot| slot.2),
            pause_ms = self.pause_ms,
        );
    }
}

/// Writes the line about an object, `Kind name`, of which nothing more is to be said.
pub fn write(act: Act, object: impl Display, outcome: Outcome<'_>) {
    Record::default().write(act, object, outcome);
}

/// What came of a request that the API server refused or did not answer.
#[must_use]
pub fn refusal(error: &kube::Error) -> Outcome<'static> {
    match error {
        kube::Error::Api(status) => match status.code {
            401 => Outcome::Denied("unauthorized"),
            403 => Outcome::Denied("forbidden"),
            404 => Outcome::Failed("not_found"),
            409 => Outcome::Failed("conflict"),
            422 => Outcome::Failed("invalid"),
            429 => Outcome::Failed("too_many_requests"),
            _ => Outcome::Failed("server_error"),
        },
        _ => Outcome::Failed("no_answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../docs/reference/audit.md");

    #[test]
    fn the_page_lists_the_acts_there_are_and_no_others() {
        let section = PAGE.split_once("\n## Acts of the operator\n").unwrap().1.split("\n## ").next().unwrap();
        let listed: Vec<&str> = section.lines().filter_map(|l| l.strip_prefix("| `")?.split('`').next()).collect();
        assert_eq!(listed, Act::ALL.map(Act::name));
    }

    #[test]
    fn what_the_api_server_forbids_is_denied_and_the_rest_failed() {
        let refused =
            |code| refusal(&kube::Error::Api(Box::new(kube::core::Status { code, ..kube::core::Status::default() })));
        assert_eq!(refused(403), Outcome::Denied("forbidden"));
        assert_eq!(refused(503), Outcome::Failed("server_error"));
    }
}
