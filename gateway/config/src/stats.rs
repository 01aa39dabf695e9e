//! The answer of a gateway's `/stats`, which the operator polls.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::delivery::DeliveryStats;

/// What a gateway knows of itself. Small on purpose: the operator asks every gateway every few seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayStats {
    /// Name of the gateway, its pod's name.
    pub gateway: String,
    /// Open client connections, signed in or not.
    pub connections: u32,
    /// Rooms with at least one local session.
    pub rooms: u32,
    /// Whether the gateway is asking its clients to leave.
    pub draining: bool,
    /// Whether the operator has told it to take nobody new.
    #[serde(default)]
    pub cordoned: bool,
    /// Its clock at this answer, milliseconds of the Unix epoch; absent from a gateway of the version before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ms: Option<i64>,
    /// Connections that it accepts; 0 from a gateway of the version before.
    #[serde(default)]
    pub limit: u32,
    /// Seconds since everything that it needs was reachable first; absent until then, and from a gateway of the version before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_seconds: Option<u32>,
    /// Counters since the start of the process.
    pub messages: MessageCounters,
    /// Counters by which new gateways are compared with old ones; all 0 from a gateway of the version before.
    #[serde(default)]
    pub health: HealthCounters,
    /// What it counts of the messages that go through it; absent from a gateway of the version before, which says nothing of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryStats>,
    /// The broker as this gateway sees it.
    pub broker: Component,
    /// Redis as this gateway sees it.
    pub redis: Component,
    /// Every configured shard as this gateway sees it.
    pub shards: Vec<ShardStats>,
    /// Every configured issuer of tokens as this gateway sees it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issuers: Vec<IssuerStats>,
    /// What it has taken while it runs; absent from a gateway of a version that reads everything at its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Taken>,
}

/// What a gateway has taken of the files that may change while it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// [`crate::LiveConfig::digest`] of the live configuration that is in force; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Ids of the keys that verify tokens, in the order of their file.
    pub keys: Vec<String>,
    /// Id of the key that signs them.
    pub signs: String,
    /// Ids of the tokens that open the admin port, in the order of their file; none from a gateway of a version that reads it at its start. Whoever tells
    /// them reads the authorities of issuers anew, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub admin_tokens: Vec<String>,
    /// Ids of the URIs of RabbitMQ that it has and that the server takes, in the order of their file; the first is in use. None from a gateway of a version
    /// that knows one line, and where the broker is another one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rabbitmq_uris: Vec<String>,
    /// The same of the URLs of the Redis of limits and presence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redis_urls: Vec<String>,
    /// Why what stands in the files now is not in force. What was before goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What the operator asks of `POST /moves`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Moves {
    /// Clients to ask, at most.
    pub count: u32,
    /// Milliseconds over which they spread themselves.
    pub within_ms: u32,
    /// Only clients that have not come from another connection within the last half hour: who is moved for the sake of evenness is moved rarely.
    /// Left out when false, since gateways of the version before do not know it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub settled: bool,
    /// Only clients whose connections come from these addresses: those of proxies that end. All where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub through: Vec<IpAddr>,
}

/// What `POST /moves` came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Moved {
    /// Clients that were asked to connect elsewhere.
    pub asked: u32,
}

/// Counters since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageCounters {
    /// Messages acknowledged with `sent`, repeats not counted.
    pub accepted: u64,
    /// `message` events put into a connection's queue.
    pub delivered: u64,
    /// Messages fetched from the store because the broker did not bring them.
    pub backfilled: u64,
    /// Messages of the broker dropped because they had been delivered before.
    pub duplicates: u64,
    /// Ephemeral events shed because a connection was slow.
    pub shed: u64,
    /// Connections closed because their queue was full.
    pub slow_closed: u64,
}

/// Counters since the start of the process by which new gateways are compared with old ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HealthCounters {
    /// Clients that signed in over a WebSocket. The operator's probe does not count: it has its own way to sign in, and would hide that
    /// nobody else can.
    pub signed_in: u64,
    /// Clients that did not, however they were refused.
    pub sign_ins_refused: u64,
    /// Requests over WebSockets that were carried out.
    pub carried_out: u64,
    /// Requests over WebSockets that failed for reasons of the gateway or of what it needs.
    pub failed: u64,
    /// WebSockets that were refused since the gateway had all the connections that it takes.
    pub turned_away: u64,
    /// Messages of the broker, one of each envelope, whose way from their commit to the hub was timed.
    pub timed: u64,
    /// Milliseconds that they took, in sum; those that seem to take less than no time count as none.
    pub timed_ms: u64,
    /// The same with those that seem to take less than no time, since one of the two clocks is behind the other.
    pub timed_raw_ms: i64,
    /// Messages of other gateways that came, from the broker or the store, each once however many connections it went to. 0 from a gateway of an
    /// earlier version.
    pub taken: u64,
}

/// Whether something the gateway needs answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Component {
    /// True after a success that no failure followed.
    pub available: bool,
    /// One CamelCase word: `Connected`, `ConnectionRefused`, `AuthenticationFailed`, `Timeout`, `SchemaOutdated`, `ProtocolError`.
    pub reason: String,
    /// A sentence for a person, without credentials.
    pub message: String,
}

/// A shard as one gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShardStats {
    /// The shard's name.
    pub name: String,
    /// Slots that this shard owned when last asked.
    pub slots: u32,
    /// Whether it answers.
    #[serde(flatten)]
    pub component: Component,
    /// Ids of the URIs in its file that are known to be good, in their order: the first if connections are made by it, further ones if the shard let them in.
    /// None from a gateway of a version that knows one line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uris: Vec<String>,
}

/// An issuer of tokens as one gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuerStats {
    /// The issuer.
    pub issuer: String,
    /// Whether its keys could be fetched when last asked for. Known keys go on working while not.
    #[serde(flatten)]
    pub component: Component,
}
