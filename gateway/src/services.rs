//! What the parts of a gateway share: one value, made once at start.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64},
};

use crate::{
    auth::{Tokens, oidc::Issuers},
    broker::Broker,
    delivery::Books,
    entrance::Entrance,
    hints::Hints,
    limiter::Limiter,
    live::Current,
    presence::Presence,
    store::Store,
    tally::Tally,
    timing::Timing,
    traces::Tracer,
};

/// Everything a connection needs, behind traits so that tests put fakes in.
pub struct Services {
    /// Name of this gateway, its pod's name.
    pub gateway: String,
    /// The checked configuration, which may change.
    pub config: Arc<Current>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The broker.
    pub broker: Arc<dyn Broker>,
    /// Rate limits.
    pub limiter: Arc<dyn Limiter>,
    /// Who is online.
    pub presence: Arc<dyn Presence>,
    /// Tokens.
    pub tokens: Arc<dyn Tokens>,
    /// Other issuers of tokens.
    pub issuers: Issuers,
    /// Counters of `/stats` and `/metrics`.
    pub counters: Arc<Counters>,
    /// What became of messages, slot by slot.
    pub books: Arc<Books>,
    /// Whether new clients may come in.
    pub entrance: Entrance,
    /// Which gateways have room.
    pub hints: Hints,
    /// Spans of messages.
    pub tracer: Tracer,
}

/// Counters since the start of the process; see `chat_gateway_config::stats::MessageCounters` for each one's meaning.
#[derive(Debug, Default)]
pub struct Counters {
    /// Open client connections.
    pub connections: AtomicU64,
    /// Rooms with a local session.
    pub rooms: AtomicU64,
    /// Messages acknowledged.
    pub accepted: AtomicU64,
    /// `message` events queued.
    pub delivered: AtomicU64,
    /// Messages taken from the store.
    pub backfilled: AtomicU64,
    /// Messages of other gateways that came, from the broker or the store.
    pub taken: AtomicU64,
    /// Messages dropped as repeats.
    pub duplicates: AtomicU64,
    /// Ephemeral events shed.
    pub shed: AtomicU64,
    /// Slow connections closed.
    pub slow_closed: AtomicU64,
    /// Connections closed by the gateway, by close code.
    pub closed: Tally,
    /// Requests over WebSockets that were refused, by error code.
    pub refused: Tally,
    /// Clients that signed in over a WebSocket.
    pub signed_in: AtomicU64,
    /// Clients that did not, however they were refused.
    pub sign_ins_refused: AtomicU64,
    /// Requests over WebSockets that were carried out.
    pub carried_out: AtomicU64,
    /// Requests over WebSockets that failed for reasons of the gateway or of what it needs.
    pub failed: AtomicU64,
    /// WebSockets refused, since all places were taken.
    pub turned_away: AtomicU64,
    /// Envelopes whose messages' way was timed.
    pub timed: AtomicU64,
    /// Milliseconds that they took from their commit, in sum.
    pub timed_ms: AtomicU64,
    /// The same with those that seem to take less than no time.
    pub timed_raw_ms: AtomicI64,
    /// How long acknowledgements took.
    pub acks: Timing,
    /// How long messages of other gateways took from their commit.
    pub deliveries: Timing,
    /// Spans that a collector took.
    pub spans_exported: AtomicU64,
    /// Spans that were lost: no room for them, or no collector that took them.
    pub spans_dropped: AtomicU64,
    /// Sessions ended because a used refresh token came back.
    pub reused: AtomicU64,
    /// Clients that asked where to connect: whether gateways were `named`, or only the `front` where they had asked.
    pub hints: Tally,
    /// Answers over HTTP, by status.
    pub http: Tally,
}
