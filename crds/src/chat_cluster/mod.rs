//! The ChatCluster resource, version v1alpha1.

mod adoption;
mod auth;
mod autoscaling;
mod backend_tls;
mod backup;
mod database;
mod defaults;
mod engines;
mod expose;
mod gateways;
mod kafka;
mod prometheus;
mod references;
mod rollout;
mod spec;
mod status;

pub use adoption::{Adoption, AdoptionMode, FieldChange, PendingChanges, PendingObject};
pub use auth::Oidc;
pub use autoscaling::{Autoscaling, AutoscalingMode, ScaleDown, ScaleDownPolicy, Schedule};
pub use backend_tls::{RabbitMqTls, RedisTls};
pub use backup::{BackupStatus, BackupVolume, ShardBackup, ShardRestore};
pub use database::{
    Database, DeletionPolicy, Embedded, ManagedShard, Shard, ShardRebalancing, ShardRebalancingMode, ShardTls, Storage,
    Window,
};
pub use defaults::{
    DEFAULT_CONNECTIONS_PER_GATEWAY, DEFAULT_DRAIN_DEADLINE_SECONDS, DEFAULT_DRAIN_SECONDS,
    DEFAULT_DRAIN_SECONDS_ALONE, DEFAULT_LIMITS, DEFAULT_MIN_EXCESS, DEFAULT_REPLICAS,
    DEFAULT_SAMPLING_RATE_PER_MILLION, DEFAULT_SCALE_DOWN_WINDOW_SECONDS, DEFAULT_SHARD_WEIGHT, DEFAULT_SLOTS,
    DEFAULT_TARGET_UTILIZATION, DEFAULT_TIER_DRAIN_SECONDS, DEFAULT_TIER_REPLICAS, DEFAULT_TOLERANCE_PERCENT,
    EffectiveAnalysis, EffectiveLimits, EffectiveShardRebalancing,
};
pub use engines::{CloudNativePg, EngineRef};
pub use expose::{
    Expose, ExposeType, HaProxy, Hints, HttpRoute, Ingress, LoadBalancer, ParentRef, TierService, TierServiceType,
};
pub use gateways::{Drain, Gateways, Limits, LogLevel, PodTemplate, Rebalance, RebalanceMode, Tracing};
pub use kafka::{Kafka, KafkaObjectRef, Sasl, SaslMechanism, SecurityProtocol};
pub use prometheus::{Prometheus, Query};
pub use references::{
    CaSecretRef, LoginSecretRef, PasswordSecretRef, RabbitMqSecretRef, RedisSecretRef, ShardSecretRef,
    SigningKeySecretRef, TlsSecretRef, TokenSecretRef,
};
pub use rollout::{Analysis, Rollback, Rollout, RolloutStatus};
pub use spec::{
    Auth, Broker, ChatCluster, ChatClusterSpec, InProcess, Managed, Passwords, RabbitMq, Redis, RedisPubSub,
};
pub use status::{
    AutoscalingStatus, ChatClusterStatus, ConditionType, DrainingGateway, Effective, ShardPhase, ShardStatus,
};
