//! The configuration file of a gateway.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{ClientCertificate, Http, Oidc, Presence, SessionLimits, Tracing, kafka::Kafka};

/// The whole configuration file (JSON, camelCase).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayConfig {
    /// `namespace/name` of the ChatCluster: the issuer of tokens and the prefix of keys in Redis.
    pub cluster: String,
    /// Address for clients: page, HTTP and WebSocket.
    pub listen: SocketAddr,
    /// Address for the operator and for probes.
    pub admin_listen: SocketAddr,
    /// Address where a load balancer asks how much more this gateway takes; see [`crate::agent`]. Nowhere if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_listen: Option<SocketAddr>,
    /// File with a [`crate::LiveConfig`], which is taken while the gateway runs and goes before what stands here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_file: Option<PathBuf>,
    /// File with the bearer tokens of the admin port, one a line; each opens it, and it is followed.
    pub admin_token_file: PathBuf,
    /// Seconds that a draining gateway gives its clients to move.
    pub drain_seconds: u32,
    /// Connections this gateway accepts; more are refused with 503.
    pub max_connections: u32,
    /// Limits on each user and connection.
    pub limits: Limits,
    /// How users prove who they are.
    pub auth: Auth,
    /// The client port.
    #[serde(default, skip_serializing_if = "Http::is_default")]
    pub http: Http,
    /// How gateways reach each other.
    pub broker: Broker,
    /// Rate limits and presence, shared by gateways. Absent when the broker is `inProcess`: they are kept in the process then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<Redis>,
    /// Who is online.
    #[serde(default, skip_serializing_if = "Presence::is_default")]
    pub presence: Presence,
    /// The store.
    pub database: Database,
    /// Where spans of messages go; nowhere if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Tracing>,
}

/// Limits on each user and connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Messages a second that a user may send, over all connections.
    pub messages_per_second: u32,
    /// Messages a user may send at once before the rate counts.
    pub message_burst: u32,
    /// Bytes of a message's body.
    pub message_bytes: u32,
    /// Rooms that one connection follows.
    pub rooms_per_connection: u32,
}

/// How users prove who they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Auth {
    /// Whether sign-up and sign-in with a password are served.
    pub passwords: Passwords,
    /// PEM file (PKCS#8) of the Ed25519 keys that verify tokens, at most [`crate::SigningKeys::MAX`]; the first one signs, unless
    /// [`crate::LiveConfig::signing_key`] names another. Taken while the gateway runs.
    pub signing_key_file: PathBuf,
    /// How long sign-ins last.
    #[serde(default, skip_serializing_if = "SessionLimits::is_default")]
    pub sessions: SessionLimits,
    /// Other issuers whose access tokens are accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub oidc: Vec<Oidc>,
}

/// Whether passwords are a way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Passwords {
    /// Sign-up and sign-in are served.
    Enabled,
    /// Only tokens that were signed elsewhere are accepted: with the cluster's key, or by an issuer of `oidc`.
    Disabled,
}

/// The broker between gateways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Broker {
    /// RabbitMQ 3.10 or newer.
    Rabbitmq(RabbitMq),
    /// Redis Pub/Sub: one Redis 6 or newer, one behind sentinels, or a Redis Cluster 7 or newer.
    RedisPubSub(Redis),
    /// Apache Kafka 3.9 or newer.
    Kafka(Kafka),
    /// None: this gateway is the only one.
    InProcess(InProcess),
}

/// Nothing to set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InProcess {}

/// Where RabbitMQ is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RabbitMq {
    /// File with an `amqp://` or `amqps://` URI, credentials and vhost included.
    pub uri_file: PathBuf,
    /// For `amqps://`: PEM file of the authorities to trust besides the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// For `amqps://`: what the gateway shows to a server that asks for a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
}

impl RabbitMq {
    /// The one of this file, without certificates.
    #[must_use]
    pub fn at(uri_file: PathBuf) -> Self {
        Self { uri_file, ca_file: None, client_certificate: None }
    }
}

/// Where a Redis is: the one of limits and presence, or the one that brings messages from gateway to gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Redis {
    /// File with a URL that [`crate::RedisUrl`] reads; a cluster's is for messages alone.
    pub url_file: PathBuf,
    /// For `rediss` URLs: PEM file of the authorities to trust instead of the public ones; read again for every connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// For `rediss` URLs: what the gateway shows to servers that ask for a certificate, sentinels and nodes of a cluster among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
}

impl Redis {
    /// The one of this file, without certificates.
    #[must_use]
    pub fn at(url_file: PathBuf) -> Self {
        Self { url_file, ca_file: None, client_certificate: None }
    }
}

/// The store: slots over PostgreSQL shards, or one SQLite file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Database {
    /// Number of slots; never changes in the life of a cluster. An embedded store has 1024 and ignores it.
    #[serde(default = "default_slots")]
    pub slots: u32,
    /// The shards, at least one unless `embedded` is set, with distinct names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<Shard>,
    /// One file instead of shards; for a gateway that is alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedded: Option<Embedded>,
}

fn default_slots() -> u32 {
    1024
}

/// A store in the gateway itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Embedded {
    /// The SQLite file; made when absent. Its folder must be on a local disk: SQLite's log does not work over a network.
    pub file: PathBuf,
    /// Seconds to wait at the start for another process that still has the file, such as a predecessor that drains; 0 if absent.
    #[serde(default)]
    pub wait_seconds: u32,
}

impl Embedded {
    /// Name under which the file stands among the shards of the statistics.
    pub const SHARD: &str = "embedded";
}

/// One PostgreSQL database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Shard {
    /// Name, unique in the cluster.
    pub name: String,
    /// File with the `postgresql://` URI that gateways use (role `chat_gateway`).
    pub uri_file: PathBuf,
    /// File with the URI of the role that owns the schema; read by `chat-gateway migrate` only, absent in gateway pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration_uri_file: Option<PathBuf>,
}

/// A value in the configuration that a gateway cannot run with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Path of the field, such as `database.shards`.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub message: String,
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl std::error::Error for ConfigError {}

impl GatewayConfig {
    /// Checks what the types cannot say, before any socket opens.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let fail = |field, message: &str| Err(ConfigError { field, message: message.to_owned() });
        if self.cluster.is_empty() {
            return fail("cluster", "must not be empty; use namespace/name");
        }
        if self.max_connections == 0 {
            return fail("maxConnections", "must be at least 1");
        }
        if self.limits.messages_per_second == 0 || self.limits.message_burst == 0 {
            return fail("limits", "messagesPerSecond and messageBurst must be at least 1");
        }
        if self.limits.message_bytes == 0 || self.limits.message_bytes > 49_152 {
            return fail("limits.messageBytes", "must be 1 to 49152, so that a message fits a frame of 64 KiB");
        }
        if self.limits.rooms_per_connection == 0 {
            return fail("limits.roomsPerConnection", "must be at least 1");
        }
        self.auth.sessions.validate()?;
        self.presence.validate()?;
        Oidc::check(&self.auth.oidc)?;
        self.http.validate()?;
        self.tracing.as_ref().map_or(Ok(()), Tracing::validate)?;
        if !(1..=65_536).contains(&self.database.slots) {
            return fail("database.slots", "must be 1 to 65536");
        }
        match (&self.database.embedded, self.database.shards.is_empty()) {
            (None, true) => {
                return fail("database.shards", "needs at least one shard, unless database.embedded is set");
            }
            (Some(_), false) => {
                return fail("database", "has both shards and embedded; remove one of them");
            }
            (Some(_), true) if !matches!(self.broker, Broker::InProcess(_)) => {
                return fail(
                    "database.embedded",
                    "is for one gateway that is alone; set broker to {\"inProcess\": {}}, or use database.shards",
                );
            }
            _ => {}
        }
        if let Broker::Kafka(kafka) = &self.broker {
            kafka.validate(&self.cluster)?;
        }
        if self.redis.is_none() && !matches!(self.broker, Broker::InProcess(_)) {
            return fail("redis", "is needed by gateways that share a broker; set redis.urlFile");
        }
        let mut names: Vec<&str> = self.database.shards.iter().map(|s| s.name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return fail("database.shards", "two shards have the same name; names must be distinct");
        }
        Ok(())
    }
}
