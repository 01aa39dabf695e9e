//! The status of a ChatCluster: computed from what is observed, written only when it says something else than before.

use std::collections::BTreeMap;

use chat_crds::{
    ChatCluster, ChatClusterStatus,
    chat_cluster::{
        self as crd, AutoscalingStatus, ConditionType, DrainingGateway, Effective, PendingChanges, RolloutStatus,
        ShardPhase, ShardStatus,
    },
};
use chat_gateway_config::Embedded;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{
    availability::{self, State},
    conditions::{BrokerKind, DatabaseKind, Inputs, Looked, Remarks, Shape, Verdict, conditions},
    front,
    leaving::leaving,
    observed::Observed,
    rollout::LONGEST_MESSAGE,
    shards::ShardsSeen,
};
use crate::{
    api,
    api_error::ApiError,
    autoscale::Decision,
    build::gateway_selector,
    context::Context,
    names::{ClusterKey, FIELD_MANAGER, Names},
    poll::ClusterView,
};

/// The status could not be written.
#[derive(Debug, thiserror::Error)]
#[error("failed to write the status of ChatCluster {key}: {source}")]
pub struct StatusError {
    key: ClusterKey,
    source: ApiError,
}

impl StatusError {
    /// Whether the ChatCluster is gone.
    pub(super) fn is_gone(&self) -> bool {
        self.source.code() == Some(404)
    }
}

impl Shape {
    /// The same with what was seen of the shards, if the pass came to them.
    #[must_use]
    pub fn with(mut self, seen: Option<&ShardsSeen>) -> Self {
        self.slots_looked_at = Looked::Not;
        if let Some(seen) = seen {
            self.slots_looked_at = if seen.is_undecided { Looked::Undecided } else { Looked::Whole };
            self.joining.clone_from(&seen.joining);
            self.unbalanced.clone_from(&seen.unbalanced);
            self.slots_whole = seen.is_whole;
        }
        self
    }

    /// The same with what the operators of engines say.
    #[must_use]
    pub fn beside(mut self, remarks: Remarks) -> Self {
        self.remarks = remarks;
        self
    }

    /// The shape of `cluster`; `migration` is the Job that its gateways need, when that is known, `scaling` what the operator has decided
    /// where it does.
    #[must_use]
    pub fn of(cluster: &ChatCluster, migration: Option<String>, scaling: Option<&Decision>) -> Self {
        let (names, spec) = (Names::new(cluster.name_any()), &cluster.spec);
        let managed_broker = spec.broker.rabbitmq.as_ref().is_some_and(|broker| broker.managed.is_some());
        let cache = spec.redis.as_ref().and_then(|redis| redis.managed.as_ref()).map(|_| names.redis());
        let pubsub = spec.broker.redis_pub_sub.as_ref();
        let embedded = spec.database.embedded.is_some();
        let shared = pubsub.is_some_and(|broker| broker.url_secret_ref.is_none());
        Self {
            broker: if shared { cache.clone() } else { managed_broker.then(|| names.rabbitmq()) },
            broker_kind: match spec.broker {
                crd::Broker { in_process: Some(_), .. } => BrokerKind::InProcess,
                crd::Broker { redis_pub_sub: Some(_), .. } => BrokerKind::Redis,
                crd::Broker { kafka: Some(_), .. } => BrokerKind::Kafka,
                crd::Broker { .. } => BrokerKind::RabbitMq,
            },
            cache,
            database_kind: if embedded { DatabaseKind::Embedded } else { DatabaseKind::Shards },
            remarks: Remarks::default(),
            shards: if embedded {
                vec![(Embedded::SHARD.to_owned(), None)]
            } else {
                let set = |shard: &crd::Shard| shard.managed.as_ref().map(|_| names.shard(&shard.name));
                let here = spec.database.shards().iter().map(|shard| (shard.name.clone(), set(shard)));
                let left = leaving(cluster).filter(|shard| !shard.released);
                let left =
                    left.map(|shard| (shard.name.to_owned(), shard.is_managed().then(|| names.shard(shard.name))));
                here.chain(left).collect()
            },
            joining: BTreeMap::new(),
            unbalanced: None,
            slots_looked_at: Looked::Whole,
            slots_whole: false,
            slots: spec.effective_slots(),
            replicas: wanted(cluster, scaling),
            waves: spec.effective_waves(),
            rollout_paused: spec.is_rollout_paused(),
            enough: match spec.native_autoscaling() {
                Some(autoscaling) => autoscaling.effective_min_replicas(),
                None => spec.effective_replicas(),
            },
            tier: spec.haproxy().is_some(),
            cleared: front::cleared(cluster),
            migration,
            deadlines: None,
            rotations: None,
        }
    }
}

/// What a status is computed from.
#[derive(Debug)]
pub struct Report<'a> {
    /// The ChatCluster, with the status that it has.
    pub cluster: &'a ChatCluster,
    /// Image of gateways whose spec names none.
    pub default_image: &'a str,
    /// What the pass came to.
    pub verdict: &'a Verdict,
    /// What it saw of the shards, if it came to that.
    pub seen: Option<&'a ShardsSeen>,
    /// What waits for approval, if it came to that.
    pub pending: Option<Option<&'a PendingChanges>>,
    /// What the backends are.
    pub shape: &'a Shape,
    /// The children's own status.
    pub observed: &'a Observed,
    /// What the gateways say.
    pub view: &'a ClusterView,
    /// The present.
    pub now: Timestamp,
}

/// The status. Pure.
#[must_use]
pub fn status(report: &Report<'_>) -> ChatClusterStatus {
    let Report { cluster, default_image, verdict, seen, pending, shape, observed, view, now } = report;
    let before = cluster.status.clone().unwrap_or_default();
    let generation = cluster.metadata.generation.unwrap_or_default();
    let inputs = Inputs { generation, now: *now, previous: &before.conditions, verdict, shape, observed, view };
    let gateways = observed.gateways.clone().unwrap_or_default();
    let gateways_of_spec = observed.gateways.as_ref().is_none_or(|gateways| gateways.is_of_spec);
    ChatClusterStatus {
        observed_generation: Some(generation),
        conditions: conditions(&inputs),
        selector: Some(gateway_selector(&cluster.name_any())),
        replicas: Some(gateways.replicas),
        ready_replicas: Some(gateways.ready),
        connections: if view.asked { Some(view.connections) } else { Some(before.connections.unwrap_or_default()) },
        // Until a rollout is over, the revision before it is the one that all gateways ran last.
        revision: if inputs.has_all(&gateways) { Some(gateways.revision) } else { before.revision },
        autoscaling: autoscaling(cluster, view.scaling.as_ref(), before.autoscaling),
        draining: observed
            .draining
            .iter()
            .map(|going| DrainingGateway { name: going.pod.clone(), since: Time(going.since) })
            .collect(),
        moves_per_second: view.budget.or(before.moves_per_second),
        rollout: if gateways_of_spec { rollout(&inputs) } else { before.rollout },
        // As with the shards: what was known stands where a pass did not come to it.
        pending_changes: pending.map_or(before.pending_changes, |pending| pending.cloned()),
        backup: cluster.spec.database.backup.as_ref().and(observed.backup.clone().or(before.backup)),
        shards: shards(&inputs, *seen, cluster, &before.shards),
        effective: Some(effective(cluster, default_image, view.scaling.as_ref())),
    }
}

/// The status of a cluster whose children could not be read: nothing is known but that.
#[must_use]
pub(super) fn unreadable(cluster: &ChatCluster, message: &str, now: Timestamp) -> ChatClusterStatus {
    let mut status = cluster.status.clone().unwrap_or_default();
    let generation = cluster.metadata.generation;
    let ready = ConditionType::Ready.as_str();
    let since = match status.conditions.iter().find(|condition| condition.type_ == ready) {
        Some(before) if before.status == State::Unknown.as_str() => before.last_transition_time.clone(),
        _ => Time(now),
    };
    let condition = Condition {
        type_: ready.to_owned(),
        status: State::Unknown.as_str().to_owned(),
        reason: "ReadFailed".to_owned(),
        message: message.to_owned(),
        observed_generation: generation,
        last_transition_time: since,
    };
    match status.conditions.iter_mut().find(|condition| condition.type_ == ready) {
        Some(before) => *before = condition,
        None => status.conditions.push(condition),
    }
    status
}

/// Writes `status` when it differs from what `cluster` has. Tells whether it wrote.
///
/// # Errors
/// When the API server refuses or does not answer.
pub(super) async fn write(
    context: &Context,
    cluster: &ChatCluster,
    status: &ChatClusterStatus,
) -> Result<bool, StatusError> {
    if cluster.status.as_ref() == Some(status) {
        return Ok(false);
    }
    let key = ClusterKey::new(cluster.namespace().unwrap_or_default(), cluster.name_any());
    let clusters: Api<ChatCluster> = Api::namespaced(context.client.clone(), &key.namespace);
    // The uid makes the API server refuse to write into a cluster that was made anew under the same name.
    let patch = json!({
        "apiVersion": api::API_VERSION,
        "kind": api::KIND,
        "metadata": { "name": key.name, "uid": cluster.uid() },
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    context.metrics.status_writes.with_label_values(&[&key.namespace]).inc();
    match clusters.patch_status(&key.name, &params, &Patch::Apply(&patch)).await {
        Ok(written) => {
            context.echoes.note(&written);
            Ok(true)
        }
        Err(source) => Err(StatusError { key, source: source.into() }),
    }
}

fn shards(
    inputs: &Inputs<'_>,
    seen: Option<&ShardsSeen>,
    cluster: &ChatCluster,
    before: &[ShardStatus],
) -> Vec<ShardStatus> {
    let known = |name: &str| before.iter().find(|shard| shard.name == name);
    let wanted = |name: &str| cluster.spec.database.shards().iter().find(|shard| shard.name == name);
    let one = |(name, set): &(String, Option<String>)| {
        let part = availability::shard(inputs, name, set.as_deref());
        let phase = match seen {
            Some(seen) if seen.joining.contains_key(name) => Some(ShardPhase::Joining),
            Some(seen) => seen.leaving.get(name).copied(),
            None => known(name).and_then(|before| before.phase),
        };
        let size = seen.and_then(|seen| seen.sizes.get(name));
        let (rows, bytes, lag_bytes) = match (size, known(name)) {
            (Some((rows, bytes, lag)), _) => (Some(*rows), Some(*bytes), *lag),
            (None, Some(before)) => (before.rows, before.bytes, before.lag_bytes),
            (None, None) => (None, None, None),
        };
        let secret = wanted(name)
            .map_or(known(name).and_then(|before| before.url_secret_ref.clone()), |shard| shard.url_secret_ref.clone());
        let cluster = wanted(name).map_or(known(name).and_then(|before| before.cloud_native_pg.clone()), |shard| {
            shard.cloud_native_pg.clone()
        });
        let tls = wanted(name).map_or(known(name).and_then(|before| before.tls.clone()), |shard| shard.tls.clone());
        let standbys = wanted(name).map_or(known(name).and_then(|before| before.standbys), |shard| shard.standbys);
        // As with the conditions: what was said last stands until the gateways have been asked.
        let stands = known(name).filter(|_| !inputs.view.asked && part.state != State::False);
        let (slots, available) = match stands {
            Some(before) => (before.slots, before.available),
            None => (inputs.view.slots(name), part.state == State::True),
        };
        ShardStatus {
            name: name.clone(),
            slots,
            available,
            phase,
            rows,
            bytes,
            lag_bytes,
            standbys,
            cloud_native_pg: cluster,
            url_secret_ref: secret,
            tls,
        }
    };
    let mut all: Vec<ShardStatus> = inputs.shape.shards.iter().map(one).collect();
    // Those that gateways are letting go of are no part of the database any more, and are remembered until they are gone. Where a pass did not come
    // to the shards, nothing that was known of them is forgotten.
    let is_listed = |shard: &&ShardStatus| inputs.shape.shards.iter().any(|(name, _)| *name == shard.name);
    let left = before.iter().filter(|shard| !is_listed(shard)).filter_map(|shard| match seen {
        Some(seen) => seen.leaving.get(&shard.name).map(|phase| ShardStatus { phase: Some(*phase), ..shard.clone() }),
        None => Some(shard.clone()),
    });
    all.extend(left);
    all
}

/// Gateways wanted: by the operator where it decides, else by whoever writes the spec. Until it has decided, the number before stands.
fn wanted(cluster: &ChatCluster, scaling: Option<&Decision>) -> i32 {
    let Some(autoscaling) = cluster.spec.native_autoscaling() else { return cluster.spec.effective_replicas() };
    let before = cluster.status.as_ref().and_then(|status| status.autoscaling.as_ref());
    let least = autoscaling.effective_min_replicas();
    scaling.map(|decision| decision.desired).or(before.map(|before| before.desired_replicas)).unwrap_or(least)
}

fn autoscaling(
    cluster: &ChatCluster,
    scaling: Option<&Decision>,
    before: Option<AutoscalingStatus>,
) -> Option<AutoscalingStatus> {
    cluster.spec.native_autoscaling()?;
    let Some(decision) = scaling else { return before };
    let changed = decision.changed.map(Time).or(before.and_then(|before| before.last_scale_time));
    Some(AutoscalingStatus {
        desired_replicas: decision.desired,
        reason: decision.reason.as_str().to_owned(),
        message: decision.message.clone(),
        connections: decision.connections,
        messages_per_second: decision.messages_per_second,
        stale_gateways: decision.stale,
        last_scale_time: changed,
    })
}

fn rollout(inputs: &Inputs<'_>) -> Option<RolloutStatus> {
    let gateways = inputs.observed.gateways.as_ref()?;
    let rollout = gateways.rollout.as_ref()?;
    let waves = &inputs.shape.waves;
    let nth = usize::try_from(rollout.wave).unwrap_or_default().min(waves.len().saturating_sub(1));
    let phase = match &rollout.failure {
        Some(_) if rollout.is_back => "Failed",
        Some(_) => "RollingBack",
        None if inputs.shape.rollout_paused => "Paused",
        None => "Progressing",
    };
    // What the newest round says of another rollout says nothing of this one.
    let watched = Some(&inputs.view.watched).filter(|watched| watched.revision.ends_with(&gateways.revision));
    let told = rollout.failure.as_ref().or(watched.and_then(|watched| watched.waits.as_ref()));
    Some(RolloutStatus {
        revision: gateways.revision.clone(),
        wave: i32::try_from(nth).unwrap_or_default().saturating_add(1),
        waves: i32::try_from(waves.len()).unwrap_or(i32::MAX),
        percent: waves.get(nth).copied().unwrap_or(100),
        phase: phase.to_owned(),
        reason: told.map(|told| told.reason.clone()),
        message: told.map(|told| told.message.chars().take(LONGEST_MESSAGE).collect()),
        started: rollout.started.map(Time),
    })
}

fn effective(cluster: &ChatCluster, default_image: &str, scaling: Option<&Decision>) -> Effective {
    let (spec, limits) = (&cluster.spec, cluster.spec.effective_limits());
    Effective {
        image: spec.image.clone().unwrap_or_else(|| default_image.to_owned()),
        replicas: wanted(cluster, scaling),
        connections_per_gateway: spec.effective_connections_per_gateway(),
        drain_seconds: spec.effective_drain_seconds(),
        messages_per_second: limits.messages_per_second,
        message_burst: limits.message_burst,
        message_bytes: limits.message_bytes,
        rooms_per_connection: limits.rooms_per_connection,
        passwords: spec.effective_passwords(),
        slots: spec.effective_slots(),
        deletion_policy: spec.effective_deletion_policy(),
    }
}
