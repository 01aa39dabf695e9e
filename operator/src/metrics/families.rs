//! What the operator shows on `/metrics`. Labels come from closed sets, or name a ChatCluster or its namespace; never anything that a client chooses.

use chat_gateway_config::metrics::Family;

/// What every name begins with.
pub(super) const PREFIX: &str = "chat_operator_";
/// Labels of what is told of each ChatCluster.
pub const CLUSTER: &[&str] = &["namespace", "name"];

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family::counter(name, labels, help)
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family::gauge(name, labels, help)
}

/// Why the autoscaler decided as it did.
pub const AUTOSCALER_REASON: Family = gauge(
    "chat_operator_autoscaler_reason",
    &["namespace", "name", "reason"],
    "1 for the reason of the operator's own autoscaler; absent where somebody else decides",
);
/// What another operator would change.
pub const CHANGES_PENDING: Family = gauge(
    "chat_operator_changes_pending",
    CLUSTER,
    "Objects whose pods this operator would change, and does not until spec.adoption allows it",
);
/// When a backup was begun.
pub const BACKUP_SCHEDULE: Family = gauge(
    "chat_operator_backup_last_schedule_timestamp_seconds",
    CLUSTER,
    "When a backup of the managed shards was begun last, in seconds since 1970; absent before the first, and where none are wanted",
);
/// When a backup was whole.
pub const BACKUP_SUCCESS: Family = gauge(
    "chat_operator_backup_last_success_timestamp_seconds",
    CLUSTER,
    "When a backup of the managed shards was whole last, in seconds since 1970; 0 if one was begun and none ever was",
);
/// When certificates end.
pub const CERTIFICATE_EXPIRY: Family = gauge(
    "chat_operator_certificate_expiry_timestamp_seconds",
    &["namespace", "name", "secret"],
    "When the first certificate ends of a Secret that the spec names, in seconds since 1970: HAProxy's, those for shards, RabbitMQ, Redis and Kafka by Secrets, and authorities of issuers",
);
/// How many ChatClusters there are.
pub const CLUSTERS: Family = gauge("chat_operator_clusters", &["ready"], "ChatClusters by the status of Ready");
/// Every condition.
pub const CONDITION: Family = gauge(
    "chat_operator_condition",
    &["namespace", "name", "type"],
    "Status of each condition of each ChatCluster: 1 is True, 0 is False, -1 is Unknown",
);
/// Clients.
pub const CONNECTIONS: Family =
    gauge("chat_operator_connections", CLUSTER, "Open connections over all gateways; absent while not known");
/// Whether what is promised is kept.
pub const DELIVERY_VERIFIED: Family = gauge(
    "chat_operator_delivery_verified",
    CLUSTER,
    "1 while delivery is verified, 0 while there is evidence of a broken promise; absent while nobody knows",
);
/// Events.
pub const EVENTS: Family = counter("chat_operator_events_total", &["type"], "Events published: Normal, Warning");
/// Gateways that there should be.
pub const GATEWAYS_DESIRED: Family =
    gauge("chat_operator_gateways_desired", CLUSTER, "Gateways wanted, by whoever decides");
/// Gateways that there are.
pub const GATEWAYS_READY: Family = gauge("chat_operator_gateways_ready", CLUSTER, "Gateways that are ready and stay");
/// Gateways that say nothing.
pub const GATEWAYS_STALE: Family =
    gauge("chat_operator_gateways_stale", CLUSTER, "Gateways that have not answered for 10 s");
/// Who leads.
pub const LEADER: Family = gauge("chat_operator_leader", &[], "1 while this replica holds the Lease");
/// Messages.
pub const MESSAGES_PER_SECOND: Family = gauge(
    "chat_operator_messages_per_second",
    CLUSTER,
    "Messages that all gateways take in a second, over 30 s; absent while not known",
);
/// Moves of clients.
pub const MOVES: Family =
    counter("chat_operator_moves_total", &["namespace"], "Clients asked to connect to another gateway");
/// Questions to gateways.
pub const POLLS: Family = counter("chat_operator_polls_total", &["result"], "Questions to gateways: answered, failed");
/// Probes.
pub const PROBES: Family = counter(
    "chat_operator_probes_total",
    &["result"],
    "Probes of delivery through a front door: verified, violated (something acknowledged was lost, came twice or out of order), failed (it could not chat)",
);
/// Passes that failed.
pub const RECONCILE_ERRORS: Family =
    counter("chat_operator_reconcile_errors_total", &["reason"], "Failed passes, by the reason of the condition");
/// How long passes take.
pub const RECONCILE_SECONDS: Family = Family::histogram("chat_operator_reconcile_seconds", &[], "Seconds of a pass");
/// Passes.
pub const RECONCILES: Family = counter(
    "chat_operator_reconciles_total",
    &["outcome"],
    "Passes over ChatClusters: settled, waiting, paused, deleting, failed",
);
/// Secrets that are being replaced.
pub const ROTATION_PENDING: Family = gauge(
    "chat_operator_rotation_pending",
    &["namespace", "name", "secret"],
    "1 while a token or password is to be replaced that the operator made, and the old one has not gone",
);
/// Writes of a status.
pub const STATUS_WRITES: Family = counter(
    "chat_operator_status_writes_total",
    &["namespace"],
    "Writes of a ChatCluster's status; flat while nothing changes",
);
/// Watches that broke.
pub const WATCH_ERRORS: Family =
    counter("chat_operator_watch_errors_total", &[], "Watches that ended with an error and were begun again");
/// Writes to children.
pub const WRITES: Family = counter(
    "chat_operator_writes_total",
    &["namespace", "kind", "verb"],
    "Writes to children, and marks on gateways' pods; flat while nothing changes",
);

/// All of them, without those of the process.
pub const FAMILIES: &[Family] = &[
    AUTOSCALER_REASON,
    BACKUP_SCHEDULE,
    BACKUP_SUCCESS,
    CERTIFICATE_EXPIRY,
    CHANGES_PENDING,
    CLUSTERS,
    CONDITION,
    CONNECTIONS,
    DELIVERY_VERIFIED,
    EVENTS,
    GATEWAYS_DESIRED,
    GATEWAYS_READY,
    GATEWAYS_STALE,
    LEADER,
    MESSAGES_PER_SECOND,
    MOVES,
    POLLS,
    PROBES,
    RECONCILE_ERRORS,
    RECONCILE_SECONDS,
    RECONCILES,
    ROTATION_PENDING,
    STATUS_WRITES,
    WATCH_ERRORS,
    WRITES,
];
