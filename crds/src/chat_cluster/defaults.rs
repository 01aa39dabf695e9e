//! What absent fields mean. The schema sets no defaults but for the replicas that the scale
//! subresource reads: a default written into the spec would be a field that nobody set, and a difference for ever in GitOps.
//! The operator publishes the values in force in `status.effective`.

use super::{
    AdoptionMode, Analysis, Autoscaling, AutoscalingMode, ChatClusterSpec, DeletionPolicy, ExposeType, Gateways,
    HaProxy, Limits, LogLevel, Passwords, Prometheus, Rollback, Rollout, ScaleDownPolicy, ShardRebalancing,
    ShardRebalancingMode, Window,
};

/// `spec.gateways.replicas`.
pub const DEFAULT_REPLICAS: i32 = 2;
/// `spec.gateways.connectionsPerGateway`: half of what a process holds where the limit of open files is 20000.
pub const DEFAULT_CONNECTIONS_PER_GATEWAY: i32 = 10_000;
/// `spec.gateways.drainSeconds`: at the budget's pace a gateway of 10000 clients takes minutes.
pub const DEFAULT_DRAIN_SECONDS: i32 = 300;
/// `spec.gateways.drainSeconds` of a gateway that is alone: its clients have nowhere to go until it has ended.
pub const DEFAULT_DRAIN_SECONDS_ALONE: i32 = 5;
/// `spec.gateways.autoscaling.minReplicas`: one gateway may be lost.
const DEFAULT_MIN_REPLICAS: i32 = 2;
/// `spec.gateways.autoscaling.targetUtilization`, percent.
pub const DEFAULT_TARGET_UTILIZATION: i32 = 70;
/// `spec.gateways.autoscaling.scaleDown.windowSeconds`: the daily wave takes hours, and between two waves of an hour nothing should go.
pub const DEFAULT_SCALE_DOWN_WINDOW_SECONDS: i32 = 1_800;
/// `spec.gateways.drain.deadlineSeconds`: what autoscalers of nodes wait for a pod.
pub const DEFAULT_DRAIN_DEADLINE_SECONDS: i32 = 600;
/// `spec.gateways.rebalance.tolerancePercent`.
pub const DEFAULT_TOLERANCE_PERCENT: i32 = 15;
/// `spec.gateways.tracing.samplingRatePerMillion`: one message in a hundred.
pub const DEFAULT_SAMPLING_RATE_PER_MILLION: i32 = 10_000;
/// `spec.gateways.rebalance.minExcess`: a gateway does not notice so few.
pub const DEFAULT_MIN_EXCESS: i32 = 200;
/// `spec.gateways.rollout.waves`, percent.
const DEFAULT_WAVES: [i32; 4] = [5, 25, 50, 100];
/// `spec.gateways.rollout.analysisSeconds`.
const DEFAULT_ANALYSIS_SECONDS: i32 = 60;
/// `spec.gateways.rollout.progressDeadlineSeconds`.
const DEFAULT_PROGRESS_DEADLINE_SECONDS: i32 = 180;
/// `spec.gateways.rollout.analysis`.
const DEFAULT_ANALYSIS: EffectiveAnalysis = EffectiveAnalysis {
    max_refused_sign_ins: 5,
    max_failed_requests: 1,
    max_added_latency_ms: 250,
    max_missed_messages: 20,
    max_restarts: 1,
};
/// `spec.gateways.expose.haproxy.replicas`: one may be lost.
pub const DEFAULT_TIER_REPLICAS: i32 = 2;
/// `spec.gateways.expose.haproxy.drainSeconds`: what autoscalers of nodes wait for a pod.
pub const DEFAULT_TIER_DRAIN_SECONDS: i32 = 600;
/// `spec.database.slots`: at 32 shards a slot is a step of 3 %.
pub const DEFAULT_SLOTS: i32 = 1_024;
/// `spec.database.shards[].weight`.
pub const DEFAULT_SHARD_WEIGHT: i32 = 100;
/// `spec.gateways.limits`.
pub const DEFAULT_LIMITS: EffectiveLimits =
    EffectiveLimits { messages_per_second: 10, message_burst: 50, message_bytes: 16_384, rooms_per_connection: 500 };

/// Limits with nothing absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectiveLimits {
    /// Messages a second per user.
    pub messages_per_second: i32,
    /// Messages at once per user.
    pub message_burst: i32,
    /// Bytes of a message's text.
    pub message_bytes: i32,
    /// Rooms per connection.
    pub rooms_per_connection: i32,
}

/// Limits of a rollout's analysis with nothing absent; see [`Analysis`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectiveAnalysis {
    /// Percent of sign-ins.
    pub max_refused_sign_ins: i32,
    /// Percent of requests.
    pub max_failed_requests: i32,
    /// Milliseconds.
    pub max_added_latency_ms: i32,
    /// Percent of messages.
    pub max_missed_messages: i32,
    /// Restarts.
    pub max_restarts: i32,
}

impl Autoscaling {
    /// Fewest gateways.
    #[must_use]
    pub fn effective_min_replicas(&self) -> i32 {
        self.min_replicas.unwrap_or(DEFAULT_MIN_REPLICAS)
    }
}

/// When and how fast slots move between shards, defaults included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveShardRebalancing {
    /// Who decides.
    pub mode: ShardRebalancingMode,
    /// Slots on their way at the same time.
    pub concurrent_moves: i32,
    /// Bytes that one move copies in a second; `None` for the gateway's default.
    pub bytes_per_second: Option<i64>,
    /// When moves may begin; any time where there is none.
    pub windows: Vec<Window>,
    /// Seconds in which a source keeps a slot that has moved.
    pub keep_source_seconds: i32,
    /// ShardRebalances of the past that are kept.
    pub history_limit: i32,
}

impl ChatClusterSpec {
    fn rollout(&self) -> Option<&Rollout> {
        self.gateways()?.rollout.as_ref()
    }

    /// Waves of a rollout, percent; the last is 100.
    #[must_use]
    pub fn effective_waves(&self) -> Vec<i32> {
        let given = self.rollout().and_then(|rollout| rollout.waves.clone());
        let mut waves = given.unwrap_or_else(|| DEFAULT_WAVES.to_vec());
        waves.sort_unstable();
        if waves.last() != Some(&100) {
            waves.push(100);
        }
        waves
    }

    /// Seconds that new gateways are watched after each wave but the last.
    #[must_use]
    pub fn effective_analysis_seconds(&self) -> i32 {
        self.rollout().and_then(|rollout| rollout.analysis_seconds).unwrap_or(DEFAULT_ANALYSIS_SECONDS)
    }

    /// Seconds within which a new gateway has to become ready.
    #[must_use]
    pub fn effective_progress_deadline_seconds(&self) -> i32 {
        let given = self.rollout().and_then(|rollout| rollout.progress_deadline_seconds);
        given.unwrap_or(DEFAULT_PROGRESS_DEADLINE_SECONDS)
    }

    /// What follows when new gateways fail.
    #[must_use]
    pub fn effective_rollback(&self) -> Rollback {
        self.rollout().and_then(|rollout| rollout.rollback).unwrap_or(Rollback::Automatic)
    }

    /// Whether a rollout stops where it is.
    #[must_use]
    pub fn is_rollout_paused(&self) -> bool {
        self.rollout().and_then(|rollout| rollout.paused).unwrap_or(false)
    }

    /// Limits of a rollout's analysis.
    #[must_use]
    pub fn effective_analysis(&self) -> EffectiveAnalysis {
        let given = self.rollout().and_then(|rollout| rollout.analysis.clone()).unwrap_or_default();
        let Analysis {
            max_refused_sign_ins,
            max_failed_requests,
            max_added_latency_ms,
            max_missed_messages,
            max_restarts,
            prometheus: _,
        } = given;
        EffectiveAnalysis {
            max_refused_sign_ins: max_refused_sign_ins.unwrap_or(DEFAULT_ANALYSIS.max_refused_sign_ins),
            max_failed_requests: max_failed_requests.unwrap_or(DEFAULT_ANALYSIS.max_failed_requests),
            max_added_latency_ms: max_added_latency_ms.unwrap_or(DEFAULT_ANALYSIS.max_added_latency_ms),
            max_missed_messages: max_missed_messages.unwrap_or(DEFAULT_ANALYSIS.max_missed_messages),
            max_restarts: max_restarts.unwrap_or(DEFAULT_ANALYSIS.max_restarts),
        }
    }

    /// Queries that new gateways have to pass.
    #[must_use]
    pub fn analysis_prometheus(&self) -> Option<&Prometheus> {
        self.rollout()?.analysis.as_ref()?.prometheus.as_ref()
    }

    fn gateways(&self) -> Option<&Gateways> {
        self.gateways.as_ref()
    }

    /// The autoscaling that is the operator's own.
    #[must_use]
    pub fn native_autoscaling(&self) -> Option<&Autoscaling> {
        self.gateways()?.autoscaling.as_ref().filter(|autoscaling| autoscaling.mode == AutoscalingMode::Native)
    }

    /// How a gateway goes that is one too many.
    #[must_use]
    pub fn effective_scale_down_policy(&self) -> ScaleDownPolicy {
        let autoscaling = self.gateways().and_then(|gateways| gateways.autoscaling.as_ref());
        autoscaling.and_then(|autoscaling| autoscaling.scale_down?.policy).unwrap_or(ScaleDownPolicy::Drain)
    }

    /// Gateways wanted by whoever writes the spec.
    #[must_use]
    pub fn effective_replicas(&self) -> i32 {
        self.gateways().and_then(|gateways| gateways.replicas).unwrap_or(DEFAULT_REPLICAS)
    }

    /// Connections per gateway.
    #[must_use]
    pub fn effective_connections_per_gateway(&self) -> i32 {
        self.gateways().and_then(|gateways| gateways.connections_per_gateway).unwrap_or(DEFAULT_CONNECTIONS_PER_GATEWAY)
    }

    /// Seconds to drain.
    #[must_use]
    pub fn effective_drain_seconds(&self) -> i32 {
        let default =
            if self.broker.in_process.is_some() { DEFAULT_DRAIN_SECONDS_ALONE } else { DEFAULT_DRAIN_SECONDS };
        self.gateways().and_then(|gateways| gateways.drain_seconds).unwrap_or(default)
    }

    /// What stands in front of the gateways.
    #[must_use]
    pub fn effective_expose_type(&self) -> ExposeType {
        let expose = self.gateways().and_then(|gateways| gateways.expose.as_ref());
        expose.map_or(ExposeType::ClusterIP, |expose| expose.type_)
    }

    /// The tier of HAProxy, if there is one; a block that is absent is one with nothing set.
    #[must_use]
    pub fn haproxy(&self) -> Option<HaProxy> {
        let expose = self.gateways()?.expose.as_ref().filter(|expose| expose.type_ == ExposeType::HAProxy)?;
        Some(expose.haproxy.clone().unwrap_or_default())
    }

    /// Limits.
    #[must_use]
    pub fn effective_limits(&self) -> EffectiveLimits {
        let Limits { messages_per_second, message_burst, message_bytes, rooms_per_connection } =
            self.gateways().and_then(|gateways| gateways.limits).unwrap_or_default();
        EffectiveLimits {
            messages_per_second: messages_per_second.unwrap_or(DEFAULT_LIMITS.messages_per_second),
            message_burst: message_burst.unwrap_or(DEFAULT_LIMITS.message_burst),
            message_bytes: message_bytes.unwrap_or(DEFAULT_LIMITS.message_bytes),
            rooms_per_connection: rooms_per_connection.unwrap_or(DEFAULT_LIMITS.rooms_per_connection),
        }
    }

    /// How much gateways log.
    #[must_use]
    pub fn effective_log_level(&self) -> LogLevel {
        self.gateways().and_then(|gateways| gateways.log_level).unwrap_or(LogLevel::Info)
    }

    /// Whether passwords are a way in.
    #[must_use]
    pub fn effective_passwords(&self) -> Passwords {
        self.auth.as_ref().and_then(|auth| auth.passwords).unwrap_or(Passwords::Enabled)
    }

    /// Number of slots.
    #[must_use]
    pub fn effective_slots(&self) -> i32 {
        self.database.slots.unwrap_or(DEFAULT_SLOTS)
    }

    /// When and how fast slots move.
    #[must_use]
    pub fn effective_shard_rebalancing(&self) -> EffectiveShardRebalancing {
        let ShardRebalancing { mode, concurrent_moves, bytes_per_second, windows, keep_source_seconds, history_limit } =
            self.database.rebalance.clone().unwrap_or_default();
        EffectiveShardRebalancing {
            mode: mode.unwrap_or(ShardRebalancingMode::Automatic),
            concurrent_moves: concurrent_moves.unwrap_or(4),
            bytes_per_second,
            windows,
            keep_source_seconds: keep_source_seconds.unwrap_or(3_600),
            history_limit: history_limit.unwrap_or(10),
        }
    }

    /// When pods are replaced because the operator is another one.
    #[must_use]
    pub fn effective_adoption(&self) -> (AdoptionMode, &[Window]) {
        let adoption = self.adoption.as_ref();
        let mode = adoption.and_then(|adoption| adoption.mode).unwrap_or(AdoptionMode::Approve);
        (mode, adoption.map_or(&[], |adoption| &adoption.windows))
    }

    /// What becomes of data.
    #[must_use]
    pub fn effective_deletion_policy(&self) -> DeletionPolicy {
        self.database.deletion_policy.unwrap_or(DeletionPolicy::Retain)
    }

    /// Whether the operator keeps its hands off.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.unwrap_or(false)
    }
}
