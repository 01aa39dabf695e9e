//! What a gateway shows on `/metrics`. Labels come from closed sets, or name a backend of the configuration; never anything that a client chooses.

use super::Family;

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family::counter(name, labels, help)
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family::gauge(name, labels, help)
}

/// Acknowledgements by how long they took.
pub const ACK_SECONDS: Family = Family::histogram(
    "chat_gateway_ack_seconds",
    &[],
    "Seconds from taking up a message to its acknowledgement, which follows its commit; those that were acknowledged for the first time, the probe's not",
);
/// Which backends answer.
pub const BACKEND_AVAILABLE: Family = gauge(
    "chat_gateway_backend_available",
    &["backend"],
    "1 while the backend answers, else 0; the backend is broker, redis, shard:NAME or issuer:URL",
);
/// Clients that asked for hints.
pub const CONNECT_HINTS: Family = counter(
    "chat_gateway_connect_hints_total",
    &["answer"],
    "Clients that asked where to connect: gateways were named, or only the front where they had asked",
);
/// Open connections.
pub const CONNECTIONS: Family = gauge("chat_gateway_connections", &[], "Open client connections, the probe's not");
/// Closed connections.
pub const CONNECTIONS_CLOSED: Family = counter(
    "chat_gateway_connections_closed_total",
    &["code"],
    "Connections closed by the gateway, by close code, of the protocol or of Centrifuge",
);
/// Places.
pub const CONNECTIONS_LIMIT: Family =
    gauge("chat_gateway_connections_limit", &[], "Client connections that the gateway takes at most");
/// Connections that were too slow.
pub const CONNECTIONS_SLOW_CLOSED: Family =
    counter("chat_gateway_connections_slow_closed_total", &[], "Connections closed because their queue was full");
/// Deliveries by how long they took.
pub const DELIVERY_SECONDS: Family = Family::histogram(
    "chat_gateway_delivery_seconds",
    &[],
    "Seconds from a message's commit until the broker brought it to this gateway, of those that came from other gateways; by the clocks of two machines, and 0 where these differ by more than that",
);
/// Broken promises.
pub const DELIVERY_VIOLATIONS: Family = counter(
    "chat_gateway_delivery_violations_total",
    &[],
    "Promises about messages that were certainly broken; GET /delivery names them",
);
/// Whether it drains.
pub const DRAINING: Family =
    gauge("chat_gateway_draining", &[], "1 while the gateway asks its clients to leave, else 0");
/// Ephemeral events that were dropped.
pub const EVENTS_SHED: Family =
    counter("chat_gateway_events_shed_total", &[], "Ephemeral events dropped for slow connections");
/// Answers over HTTP.
pub const HTTP_RESPONSES: Family = counter(
    "chat_gateway_http_responses_total",
    &["status"],
    "Answers on the client port, by status; 101 is a WebSocket, 503 one that was refused or a full hash pool",
);
/// Acknowledged messages.
pub const MESSAGES_ACCEPTED: Family =
    counter("chat_gateway_messages_accepted_total", &[], "Messages acknowledged after their commit, the probe's not");
/// Messages that the broker did not bring.
pub const MESSAGES_BACKFILLED: Family = counter(
    "chat_gateway_messages_backfilled_total",
    &[],
    "Messages read from the store because the broker did not bring them",
);
/// Messages that were written.
pub const MESSAGES_COMMITTED: Family = counter(
    "chat_gateway_messages_committed_total",
    &[],
    "Messages that the store wrote for this gateway, the probe's included",
);
/// Messages for connections.
pub const MESSAGES_DELIVERED: Family =
    counter("chat_gateway_messages_delivered_total", &[], "Message events queued for a connection");
/// Repeats.
pub const MESSAGES_DUPLICATE: Family =
    counter("chat_gateway_messages_duplicate_total", &[], "Messages of the broker dropped as delivered before");
/// Messages that were published.
pub const MESSAGES_PUBLISHED: Family = counter(
    "chat_gateway_messages_published_total",
    &[],
    "Messages that the broker confirmed to this gateway, those included that another one left in its outbox",
);
/// Stolen tokens.
pub const REFRESH_TOKENS_REUSED: Family = counter(
    "chat_gateway_refresh_tokens_reused_total",
    &[],
    "Sessions ended because a used refresh token came back: it was stolen, or a client keeps old ones",
);
/// Refused requests.
pub const REQUESTS_REFUSED: Family = counter(
    "chat_gateway_requests_refused_total",
    &["code"],
    "Requests over WebSockets that were refused, by error code of the protocol",
);
/// Rooms.
pub const ROOMS: Family = gauge("chat_gateway_rooms", &[], "Rooms with a session on this gateway");

/// Lost spans.
pub const SPANS_DROPPED: Family = counter(
    "chat_gateway_spans_dropped_total",
    &[],
    "Spans of traced messages that were lost: no room for them, or no collector that took them",
);
/// Exported spans.
pub const SPANS_EXPORTED: Family =
    counter("chat_gateway_spans_exported_total", &[], "Spans of traced messages that the collector took");

/// All of them, without [those of the process](super::process::FAMILIES).
pub const FAMILIES: &[Family] = &[
    ACK_SECONDS,
    BACKEND_AVAILABLE,
    CONNECT_HINTS,
    CONNECTIONS,
    CONNECTIONS_CLOSED,
    CONNECTIONS_LIMIT,
    CONNECTIONS_SLOW_CLOSED,
    DELIVERY_SECONDS,
    DELIVERY_VIOLATIONS,
    DRAINING,
    EVENTS_SHED,
    HTTP_RESPONSES,
    MESSAGES_ACCEPTED,
    MESSAGES_BACKFILLED,
    MESSAGES_COMMITTED,
    MESSAGES_DELIVERED,
    MESSAGES_DUPLICATE,
    MESSAGES_PUBLISHED,
    REFRESH_TOKENS_REUSED,
    REQUESTS_REFUSED,
    ROOMS,
    SPANS_DROPPED,
    SPANS_EXPORTED,
];
