//! What a person does about the reason of a condition: the one place where it stands. The reference pages take their tables from here, and `kubectl chat why`
//! its advice.

use std::fmt::Write as _;

use crate::chat_cluster::ConditionType;

/// What to do about some reasons.
#[derive(Clone, Copy, Debug)]
pub struct NextStep {
    /// The reasons.
    pub reasons: &'static [&'static str],
    /// What to do, in Markdown; links are relative to the page that has the table.
    pub step: &'static str,
}

const fn step(reasons: &'static [&'static str], step: &'static str) -> NextStep {
    NextStep { reasons, step }
}

/// For reasons of `ShardsBalanced`.
pub const SHARDS: &[NextStep] = &[
    step(
        &["ShardsJoining"],
        "nothing for some minutes; then look at what the message says of the new shard: its pod, its URI, gateways of an image that takes no shards while it runs",
    ),
    step(&["ApprovalNeeded"], "read the plan, approve of it"),
    step(
        &["Rebalancing"],
        "nothing while slots move. Where the message names a shard that does not answer, bring it back; moves between the others go on",
    ),
    step(&["WaitingForWindow"], "nothing: moves begin in the next of `spec.database.rebalance.windows`"),
    step(&["RebalancePaused"], "`kubectl chat rebalance resume` lets the ShardRebalance go on that the message names"),
    step(&["Aborting"], "nothing: slots on their way go back to where they were"),
    step(&["RebalanceFailed"], "the message is the mover's; another plan is made ten minutes later"),
    step(
        &["RebalanceAborted"],
        "nothing is planned until the shards or weights change; `kubectl chat rebalance plan` makes a plan by hand",
    ),
    step(
        &["Unbalanced"],
        "`spec.database.rebalance.mode` is Off, so that nothing is planned: `kubectl chat rebalance plan` makes a plan by hand",
    ),
    step(&["NoPlan"], "the message says what has no plan; correct `spec.database.shards` or the ShardRebalance"),
    step(&["ShardsLeaving"], "nothing: a shard that was left goes when no gateway has it"),
    step(&["SlotsUnassigned"], "put back the shard that owned them"),
];

/// For reasons of `DeliveryVerified`.
pub const DELIVERY: &[NextStep] = &[
    step(
        &[
            "AcknowledgedLost",
            "DeliveredTwice",
            "DeliveredOutOfOrder",
            "StoredOutOfOrder",
            "NotDelivered",
            "CountersDisagree",
        ],
        "a promise about a message was broken: the message names room, gateway and `seq`. Look at the gateway's image and logs, and at failovers of the database at that time; [then forgive it](../explanation/delivery.md#how-it-is-computed), or wait an hour",
    ),
    step(
        &["NotProbed", "NoGateways", "BackendAway", "GatewaysTooOld"],
        "nothing of its own: `DeliveryVerified` is found out when gateways of this version serve and their backends answer",
    ),
    step(
        &[
            "FrontDoorClosed",
            "Refused",
            "NotAnswered",
            "ConnectionLost",
            "RoomMissing",
            "DeliveredLate",
            "NoSigningKey",
            "ProbeSlow",
        ],
        "the operator's probe could not chat, twice in a row; the message says where it got stuck. May the operator's pod open connections to the gateways' Service?",
    ),
];

/// For reasons of all other conditions.
pub const GENERAL: &[NextStep] = &[
    step(
        &["SecretNotFound", "SecretKeyNotFound", "SecretInvalid"],
        "the message names field, Secret and key; the operator goes on by itself when the Secret is right",
    ),
    step(
        &["ClusterNotFound"],
        "the message names the Cluster, RabbitmqCluster, Kafka, KafkaUser or KafkaTopic that the spec refers to and that is not in this namespace: make it, or correct the name; the operator goes on by itself when it is there",
    ),
    step(
        &["ClusterNotReady"],
        "the Cluster, RabbitmqCluster, Kafka, KafkaUser or KafkaTopic that the spec refers to has not come so far that one could connect to it: the message has what its own operator says of it, and that operator's logs say more",
    ),
    step(&["InvalidSpec"], "correct the field that the message names"),
    step(
        &["KindNotServed"],
        "install the kind that the message names: the Gateway API, CloudNativePG, the RabbitMQ Cluster Operator or Strimzi; or correct the spec. The operator looks again every 15 s, and what runs goes on",
    ),
    step(&["BalancerNotReady"], "no HAProxy is ready: the message says why, or its pods' logs do"),
    step(&["NameConflict"], "rename or delete the object that the message names"),
    step(&["CredentialsLost"], "put the Secret back, or delete the PersistentVolumeClaim to start without the data"),
    step(&["PredecessorLeaving"], "nothing: objects of a deleted ChatCluster of the same name are still going"),
    step(
        &["ChildLeaving"],
        "nothing, as a rule: somebody deletes the object that the message names, and it is made again when it is gone; where it stays, `kubectl get` shows its finalizers, and whose they are",
    ),
    step(&["MigrationFailed"], "read the Job's logs; change the spec, or delete the Job to try again"),
    step(
        &[
            "RolloutStuck",
            "CrashLoopBackOff",
            "RunContainerError",
            "CreateContainerError",
            "CreateContainerConfigError",
        ],
        "read the logs or the object that the message names, then correct the spec; a spec that is put back applies at once",
    ),
    step(
        &["ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName"],
        "correct the image, or let the nodes reach its registry; a spec that is put back applies at once",
    ),
    step(
        &["Unschedulable"],
        "no node takes the pod, and the message is the scheduler's: add nodes, or correct what the pods ask for; a spec that is put back applies at once",
    ),
    step(
        &[
            "SignInsRefused",
            "ReconnectsFailed",
            "RequestsFailed",
            "DeliverySlow",
            "MessagesMissed",
            "GatewaysCrash",
            "ProgressDeadlineExceeded",
            "QueryOutOfBounds",
            "AnalysisInconclusive",
        ],
        "the newest revision was worse than the one before, and the message has the figures ([what counts](../how-to/roll-out-gateways.md#what-counts-against-new-gateways)). Correct the spec, or put it back: [how to go on](../how-to/roll-out-gateways.md#when-they-fail)",
    ),
    step(
        &["RollingOut", "GatewaysNotReady", "WaitingForMigration", "Migrating", "NotCreated", "NotStarted", "Starting"],
        "nothing for a minute or two: it is under way. After that the Events of the ChatCluster and of its pods say what it waits for",
    ),
    step(&["RolloutPaused"], "set `spec.gateways.rollout.paused` to false; until then both revisions serve"),
    step(&["WriteFailed"], "the disk of an embedded database is full or broken; the message is SQLite's"),
    step(
        &["PodNotReady"],
        "a managed backend does not run: `kubectl describe pod` of the one that the message names says why, or its logs do",
    ),
    step(
        &[
            "ConnectionRefused",
            "ConnectionFailed",
            "ConnectionLost",
            "Connecting",
            "NameNotResolved",
            "Timeout",
            "Unavailable",
        ],
        "a backend is away; the message says for whom and why. Does it run, is the host in its Secret right, and may the gateways' pods reach it? Gateways connect again by themselves",
    ),
    step(
        &["AuthenticationFailed", "AuthorizationFailed"],
        "the backend refuses user or password, or does not let the user do what gateways do: correct the Secret that the spec names, or the user's rights. Of a managed backend, put back what was in the Secret that the operator made",
    ),
    step(
        &["TlsFailed"],
        "the certificate of the backend is not trusted: put its authority into the Secret that the spec names, or correct the host; or, where the message says so, the backend refuses the certificate that gateways show, or is shown none: correct or set the one that the message names",
    ),
    step(&["SchemaOutdated"], "the migration of the shard has not run: look at its Job and the Job's logs"),
    step(
        &["InvalidUri", "InvalidUrl", "InvalidSettings", "SecretMissing"],
        "correct the Secret that the spec names; the message says what is wrong with it, without what is secret. `InvalidSettings` of a shard: [a pooler](../how-to/external-backends.md#a-pooler-before-postgresql) before it lacks the setting that the message names",
    ),
    step(
        &["Blocked"],
        "RabbitMQ is short of memory or disk and takes nothing: give it more, or take away what fills it",
    ),
    step(
        &["Refused", "ProtocolError"],
        "the backend answers with an error, which the message has; its own logs say more. Is it of a version that [gateways take](gateway.md#reasons)?",
    ),
    step(
        &["TopicMissing", "NoLeader", "FellBehind"],
        "of Kafka: the message says how to make the topic, or which partition nobody leads. A gateway that fell behind catches up by itself",
    ),
    step(
        &["UnknownService", "NotPrimary", "SlotsUncovered", "TooOld", "ClusterUnsupported"],
        "of Redis: the message says what the sentinels or nodes answer. A failover passes by itself; otherwise correct the Redis, or the URL in its Secret ([how](../how-to/external-backends.md))",
    ),
    step(
        &["CertificateExpires", "CertificateExpired"],
        "renew the certificate in the Secret that the message names, or find out why whoever renews it (cert-manager, for instance) has stopped; the operator [takes a new one by itself](../how-to/rotate-credentials.md)",
    ),
    step(
        &["CertificatesUnread", "RotationsUnread"],
        "nothing of its own: something else is in the way of a pass, and `Ready` says what",
    ),
    step(
        &["Rotating"],
        "nothing: a token or password [is replaced](../how-to/rotate-credentials.md), old and new are good",
    ),
    step(
        &["RotationStuck"],
        "a token or password has been on its way for an hour; the message says what it waits for, and [this page](../runbooks/ChatRotationStuck.md) what to look at",
    ),
    step(&["NotObserved"], "nothing of its own: no gateway has said yet how it is; look at `GatewaysAvailable`"),
    step(
        &["Draining"],
        "nothing: gateways that are one too many [go when their clients have](../how-to/autoscale-gateways.md#how-a-gateway-goes); `status.draining` names them",
    ),
    step(
        &["GatewaySilent"],
        "the operator does not reach the admin port of the gateway that the message names: does a NetworkPolicy keep it out, or is the node in trouble?",
    ),
    step(
        &["Rebalancing"],
        "nothing: gateways with many more connections than others [share them out](../how-to/autoscale-gateways.md#when-gateways-were-added)",
    ),
    step(
        &["ClockSkewed"],
        "set the clocks of the nodes: one differs by 5 s or more, and gateways refuse tokens that seem to have ended; how long messages take is compared in a rollout with such differences taken out",
    ),
    step(
        &["GatewaysTakeConfiguration"],
        "nothing: changed limits, log level or keys are on their way into the running gateways, within the time in which the kubelet brings a ConfigMap or Secret; where the message says why one refuses them, that",
    ),
    step(&["ScalingUp"], "nothing: a gateway that the autoscaler added starts"),
    step(&["ChangesPending", "Paused"], "the cluster is paused; set `spec.paused` to false"),
    step(&["ApplyRefused"], "the API server refuses a child for what it says; the message names the field"),
    step(
        &["ApplyFailed", "ReadFailed", "RebalanceFailed", "StatusFailed", "Retrying"],
        "the API server refuses or does not answer; tried again with growing pauses up to 2 min",
    ),
    step(
        &["BuildFailed", "CredentialsFailed"],
        "the operator cannot make an object or a password, which is a defect or its node's: its logs say more; tried again with growing pauses up to 2 min",
    ),
];

/// Reasons of conditions that are as they should be.
pub const GOOD: &[&str] = &[
    "Ready",
    "Settled",
    "Applied",
    "NotStalled",
    "Stalled",
    "GatewaysReady",
    "ScaledToZero",
    "InProcess",
    "Connected",
    "PodReady",
    "ShardsReady",
    "Balanced",
    "Complete",
    "Verified",
    "CertificatesGood",
    "NoCertificates",
    "NothingRotates",
];

/// What to do about the reason of a condition, in Markdown; `None` for a reason that needs nobody, or that a backend has made up.
#[must_use]
pub fn next_step(condition: &str, reason: &str) -> Option<&'static str> {
    // Ready and Stalled repeat the reason of whatever condition is in the way.
    let order = match condition {
        own if own == ConditionType::ShardsBalanced.as_str() => [SHARDS, GENERAL, DELIVERY],
        own if own == ConditionType::DeliveryVerified.as_str() => [DELIVERY, GENERAL, SHARDS],
        _ => [GENERAL, SHARDS, DELIVERY],
    };
    order.into_iter().flatten().find(|step| step.reasons.contains(&reason)).map(|step| step.step)
}

/// A table for a page: its head, and a row for each step.
fn table(head: &str, steps: &[&[NextStep]]) -> String {
    let mut table = format!("| {head} | what to do |\n| --- | --- |\n");
    for NextStep { reasons, step } in steps.iter().copied().flatten() {
        let reasons: Vec<String> = reasons.iter().map(|reason| format!("`{reason}`")).collect();
        let _ = writeln!(table, "| {} | {step} |", reasons.join(", "));
    }
    table
}

const BEGIN: &str = "<!-- Generated from crds/src/next_steps.rs; write it anew with: cargo xtask codegen -->\n";
const END: &str = "<!-- End of what is generated -->\n";

/// Pages that have a table of these, by their path in the repository, each with what stands between the marks on it.
#[must_use]
pub fn tables() -> [(&'static str, String); 2] {
    [
        ("docs/reference/operator.md", table("reason", &[GENERAL, DELIVERY])),
        ("docs/how-to/rebalance-shards.md", table("`ShardsBalanced` says", &[SHARDS])),
    ]
}

/// The page with what is between its marks replaced; `None` where it has no marks.
#[must_use]
pub fn with_table(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_read_by_its_condition() {
        let of = |condition: &str| next_step(condition, "Rebalancing").unwrap();
        assert!(of("ShardsBalanced").starts_with("nothing while slots move"));
        assert!(of("GatewaysAvailable").starts_with("nothing: gateways with many more"));
        assert!(next_step("Ready", "SlotsUnassigned").is_some());
        assert_eq!(next_step("Ready", "Ready"), None);
    }

    #[test]
    fn no_reason_of_a_group_has_two_steps_and_no_good_one_has_one() {
        for group in [GENERAL, DELIVERY, SHARDS] {
            let mut all: Vec<&str> = group.iter().flat_map(|step| step.reasons).copied().collect();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count);
            assert!(all.iter().all(|reason| !GOOD.contains(reason)));
        }
    }

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let page = format!("a\n{BEGIN}old\n{END}b\n");
        assert_eq!(with_table(&page, "new\n").unwrap(), format!("a\n{BEGIN}\nnew\n\n{END}b\n"));
        assert_eq!(with_table("a page", "new\n"), None);
    }
}
