//! What is read of a ChatCluster before it is told about.

use anyhow::{Context as _, Result};
use chat_crds::{ChatCluster, ShardRebalance, chat_cluster::ConditionType, shard_rebalance::RebalanceState};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, ResourceExt as _, api::ListParams};

use crate::{gateway::Gateways, tables::since};

/// A ChatCluster and its moves of slots, at one moment.
pub(crate) struct Seen {
    pub(crate) cluster: ChatCluster,
    /// Those that are not over.
    pub(crate) rebalances: Vec<ShardRebalance>,
    pub(crate) now: Timestamp,
}

impl Seen {
    /// Reads them.
    pub(crate) async fn read(gateways: &Gateways, name: &str) -> Result<Self> {
        let cluster = gateways.cluster(name).await?;
        let api: Api<ShardRebalance> = Api::namespaced(gateways.client.clone(), &gateways.namespace);
        let listed = api.list(&ListParams::default()).await.context("ShardRebalances cannot be listed")?;
        let is_live = |object: &ShardRebalance| {
            object.spec.cluster_ref.name == name && !RebalanceState::of(object.status.as_ref()).is_over()
        };
        let rebalances = listed.items.into_iter().filter(is_live).collect();
        Ok(Self { cluster, rebalances, now: Timestamp::now() })
    }

    /// The conditions, in the order in which they are shown.
    pub(crate) fn conditions(&self) -> &[Condition] {
        self.cluster.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
    }

    pub(crate) fn condition(&self, type_: ConditionType) -> Option<&Condition> {
        self.conditions().iter().find(|condition| condition.type_ == type_.as_str())
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.condition(ConditionType::Ready).is_some_and(|ready| ready.status == "True")
    }

    /// How long the condition has had its status.
    pub(crate) fn lasts(&self, condition: &Condition) -> String {
        since(condition.last_transition_time.0, self.now)
    }

    /// The operator has not told of the newest spec: what it is at, and what the spec is at.
    pub(crate) fn behind(&self) -> Option<(i64, i64)> {
        let newest = self.cluster.metadata.generation?;
        let told = self.cluster.status.as_ref().and_then(|status| status.observed_generation).unwrap_or_default();
        (told < newest).then_some((told, newest))
    }

    /// How the ChatCluster is as a whole, in one sentence.
    pub(crate) fn headline(&self) -> String {
        let name = self.cluster.name_any();
        if let Some(asked) = &self.cluster.metadata.deletion_timestamp {
            return format!("{name} is being deleted, as asked {} ago", since(asked.0, self.now));
        }
        let Some(ready) = self.condition(ConditionType::Ready) else {
            return format!(
                "{name} is unknown to the operator: it has written no status yet; is one running that serves this namespace?"
            );
        };
        let lasts = self.lasts(ready);
        if ready.status == "True" {
            return format!("{name} has been ready for {lasts}");
        }
        format!("{name} has not been ready for {lasts}: {}", ready.message)
    }
}
