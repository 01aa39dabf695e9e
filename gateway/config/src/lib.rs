//! What the operator and the gateway tell each other, as types: the configuration files that the operator writes
//! ([`GatewayConfig`], [`LiveConfig`]), the statistics that the gateway answers on its admin port ([`stats::GatewayStats`]), what the shards say
//! of their slots ([`slots::SlotsAnswer`]), and why a migration gave up ([`Farewell`]).
//!
//! No I/O happens here. Secret values never stand in the configuration, only the paths of files that hold them.

mod access;
mod admin_tokens;
pub mod agent;
pub mod audit;
mod client_certificate;
mod config;
pub mod delivery;
mod farewell;
pub mod hints;
mod http;
mod kafka;
mod live;
pub mod metrics;
mod origins;
mod presence;
pub mod probe;
mod redis_url;
pub mod rooms;
mod secret_lines;
mod signing_keys;
mod slot_list;
pub mod slots;
pub mod stats;
mod timeouts;
mod tracing;

pub use access::{MAX_ISSUERS, Oidc, SessionLimits};
pub use admin_tokens::{AdminTokens, AdminTokensError};
pub use client_certificate::ClientCertificate;
pub use config::{
    Auth, Broker, ConfigError, Database, Embedded, GatewayConfig, InProcess, Limits, Passwords, RabbitMq, Redis, Shard,
};
pub use farewell::Farewell;
pub use http::{Bucket, Cidr, CidrError, Http, Rates};
pub use kafka::{Kafka, Sasl, SaslMechanism, SecurityProtocol, is_address};
pub use live::{LiveConfig, LogLevel};
pub use origins::{AllowedOrigin, MAX_ORIGINS, Origin, OriginError};
pub use presence::Presence;
pub use redis_url::{Credentials, HostPort, RedisUrl, RedisUrlError, Seeds, Sentinels};
pub use secret_lines::{SecretLines, SecretLinesError};
pub use signing_keys::{KeyError, SigningKey, SigningKeys};
pub use slot_list::{SlotList, SlotListError};
pub use timeouts::Timeouts;
pub use tracing::{DEFAULT_SAMPLING_RATE_PER_MILLION, OtlpEndpoint, OtlpEndpointError, Tracing};
