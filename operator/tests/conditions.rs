//! The conditions as a table of states, each judged by kstatus itself (sigs.k8s.io/cli-utils), and properties that hold over
//! every sequence of states.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

#[path = "conditions/gitops.rs"]
mod gitops;
#[path = "conditions/standing.rs"]
mod standing;
mod support;

use std::collections::BTreeMap;

use chat_crds::chat_cluster::ConditionType;
use chat_gateway_config::{
    delivery::DeliveryStats,
    stats::{Component as Seen, GatewayStats, HealthCounters, MessageCounters, ShardStats, Taken},
};
use chat_operator::{
    autoscale::{Decision, Reason},
    names::Component,
    poll::ClusterView,
    reconcile::{
        BackendObserved, BrokerKind, DatabaseKind, Deadline, GatewaysObserved, Going, Inputs, Looked,
        MigrationObserved, Observed, Problem, Report, RolloutObserved, Rotation, RotationStep, Shape, TierObserved,
        Trouble, Verdict, Wanted, conditions, status,
    },
    rollout::{Failure, Watched},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use localkube::{Judgement, Kstatus};
use proptest::prelude::*;
use serde_json::{Value, json};

const GENERATION: i64 = 4;
const JOB: &str = "demo-migrate-0123456789";

/// One state of the world.
#[derive(Clone, Debug)]
struct World {
    verdict: Verdict,
    shape: Shape,
    observed: Observed,
    view: ClusterView,
}

/// The ChatCluster with these conditions, as far as kstatus looks at it.
fn object(generation: i64, conditions: &[Condition]) -> Value {
    json!({
        "apiVersion": "chatcluster.dev/v1alpha1",
        "kind": "ChatCluster",
        "metadata": { "name": "demo", "namespace": "chat", "generation": generation },
        "status": { "observedGeneration": GENERATION, "conditions": conditions },
    })
}

fn kstatus(objects: &[Value]) -> Vec<Judgement> {
    Kstatus::build(&|line| println!("{line}")).unwrap().compute(objects).unwrap()
}

fn shape() -> Shape {
    Shape {
        remarks: chat_operator::reconcile::Remarks::default(),
        joining: BTreeMap::new(),
        unbalanced: None,
        slots_looked_at: Looked::Whole,
        slots_whole: false,
        broker: Some("demo-rabbitmq".to_owned()),
        broker_kind: BrokerKind::RabbitMq,
        cache: Some("demo-redis".to_owned()),
        database_kind: DatabaseKind::Shards,
        shards: vec![("a".to_owned(), Some("demo-shard-a".to_owned()))],
        slots: 1_024,
        replicas: 2,
        waves: vec![5, 25, 50, 100],
        rollout_paused: false,
        enough: 2,
        tier: false,
        cleared: None,
        migration: Some(JOB.to_owned()),
        deadlines: Some(Vec::new()),
        rotations: Some(Vec::new()),
    }
}

fn external() -> Shape {
    Shape { broker: None, cache: None, shards: vec![("a".to_owned(), None)], ..shape() }
}

/// One gateway with everything in its own process, and how it says that it is.
fn alone(edit: impl FnOnce(&mut GatewayStats)) -> World {
    let mut gateway = stats("g1");
    gateway.shards[0].name = "embedded".to_owned();
    edit(&mut gateway);
    World {
        verdict: Verdict::Applied,
        shape: Shape::of(&support::cluster("embedded"), None, None),
        observed: Observed {
            gateways: Some(GatewaysObserved { desired: 1, replicas: 1, ..gateways(1, true) }),
            ..Observed::default()
        },
        view: ClusterView {
            gateways: [("g1".to_owned(), gateway.into())].into(),
            connections: 3,
            asked: true,
            ..ClusterView::default()
        },
    }
}

fn seen(available: bool) -> Seen {
    let reason = if available { "Connected" } else { "ConnectionRefused" };
    Seen { available, reason: reason.to_owned(), message: "said by a gateway".to_owned() }
}

fn stats(name: &str) -> GatewayStats {
    GatewayStats {
        gateway: name.to_owned(),
        connections: 3,
        rooms: 1,
        draining: false,
        cordoned: false,
        clock_ms: None,
        limit: 10_000,
        ready_seconds: Some(60),
        messages: MessageCounters::default(),
        health: HealthCounters::default(),
        delivery: Some(DeliveryStats::default()),
        broker: seen(true),
        redis: seen(true),
        issuers: Vec::new(),
        live: Some(taken()),
        shards: vec![ShardStats { name: "a".to_owned(), slots: 1_024, component: seen(true), uris: Vec::new() }],
    }
}

/// What gateways are to take while they run.
fn wanted() -> Wanted {
    Wanted { config: "new".to_owned(), keys: vec!["k1".to_owned(), "k2".to_owned()] }
}

/// What a gateway has taken that has everything.
fn taken() -> Taken {
    let keys = vec!["k2".to_owned(), "k1".to_owned()];
    Taken { config: Some("new".to_owned()), keys, signs: "k1".to_owned(), ..Taken::default() }
}

fn view() -> ClusterView {
    let gateways = ["g1", "g2"].map(|name| (name.to_owned(), stats(name).into())).into();
    ClusterView { gateways, connections: 6, asked: true, ..ClusterView::default() }
}

fn gateways(ready: i32, whole: bool) -> GatewaysObserved {
    GatewaysObserved {
        desired: 2,
        replicas: 2,
        ready,
        ready_pods: std::collections::BTreeSet::new(),
        is_of_spec: true,
        whole,
        one_revision: whole,
        stuck: false,
        revision: "r".to_owned(),
        turned_away: std::collections::BTreeSet::new(),
        rollout: None,
    }
}

fn backends() -> BTreeMap<String, BackendObserved> {
    let fine = BackendObserved { ready: true, current: true };
    ["demo-rabbitmq", "demo-redis", "demo-shard-a"].map(|name| (name.to_owned(), fine)).into()
}

/// Asked, but there is no gateway that could answer.
fn nobody() -> ClusterView {
    ClusterView { asked: true, ..ClusterView::default() }
}

/// Everything as it should be.
fn fine() -> World {
    World {
        verdict: Verdict::Applied,
        shape: shape(),
        observed: Observed {
            gateways: Some(gateways(2, true)),
            backup: None,
            tier: None,
            draining: Vec::new(),
            backends: backends(),
            migrations: [(JOB.to_owned(), MigrationObserved::Completed)].into(),
            troubles: BTreeMap::new(),
            wanted: Some(wanted()),
        },
        view: view(),
    }
}

/// The operator wants three gateways, of which two are ready; the spec asks for two at least.
fn scaled_up() -> World {
    let decision = Decision {
        desired: 3,
        reason: Reason::DemandRose,
        message: "more people".to_owned(),
        connections: 6,
        messages_per_second: 0,
        stale: 0,
        changed: None,
    };
    change(|world| {
        world.shape.replicas = 3;
        let gateways = gateways(2, false);
        world.observed.gateways = Some(GatewaysObserved { desired: 3, replicas: 3, one_revision: true, ..gateways });
        world.view.scaling = Some(decision);
    })
}

/// Somebody wants two gateways, and the third is being emptied: it is one too many, or somebody wants it replaced.
fn emptying(requested: bool) -> World {
    change(|world| {
        let gateways = gateways(2, false);
        world.observed.gateways = Some(GatewaysObserved { desired: 3, replicas: 3, one_revision: true, ..gateways });
        world.observed.draining = vec![Going { pod: "g3".to_owned(), since: Timestamp::UNIX_EPOCH, requested }];
    })
}

fn problem(reason: &'static str) -> Problem {
    Problem { reason, message: "do this".to_owned() }
}

fn trouble(reason: &str) -> Trouble {
    Trouble { reason: reason.to_owned(), message: "pod x".to_owned() }
}

fn judge(world: &World, previous: &[Condition], second: i64) -> Vec<Condition> {
    conditions(&Inputs {
        generation: GENERATION,
        now: Timestamp::from_second(second).unwrap(),
        previous,
        verdict: &world.verdict,
        shape: &world.shape,
        observed: &world.observed,
        view: &world.view,
    })
}

fn change(edit: impl FnOnce(&mut World)) -> World {
    let mut world = fine();
    edit(&mut world);
    world
}

struct Row {
    state: &'static str,
    world: World,
    kstatus: Judgement,
    ready: (&'static str, &'static str),
    also: &'static [(&'static str, &'static str, &'static str)],
}

fn ready_row(
    state: &'static str,
    world: World,
    kstatus: Judgement,
    ready: (&'static str, &'static str),
    also: &'static [(&'static str, &'static str, &'static str)],
) -> Row {
    Row { state, world, kstatus, ready, also }
}

/// Everything as it should be behind a tier of HAProxy, of which so many are ready.
fn behind_haproxy(ready: i32, edit: impl FnOnce(&mut World)) -> World {
    change(|world| {
        world.shape.tier = true;
        world.observed.tier = Some(TierObserved { desired: 2, ready, complete: ready == 2, stuck: false });
        edit(world);
    })
}

fn with_a_tier() -> Vec<Row> {
    use Judgement::{Current, Failed, InProgress};
    vec![
        ready_row(
            "HAProxy in front",
            behind_haproxy(2, |_| {}),
            Current,
            ("True", "Ready"),
            &[("GatewaysAvailable", "True", "GatewaysReady"), ("Reconciling", "False", "Settled")],
        ),
        ready_row(
            "one HAProxy is away",
            behind_haproxy(1, |_| {}),
            InProgress,
            ("False", "RollingOut"),
            &[("GatewaysAvailable", "True", "GatewaysReady"), ("RolloutHealthy", "True", "Complete")],
        ),
        ready_row(
            "no HAProxy is ready",
            behind_haproxy(0, |_| {}),
            InProgress,
            ("False", "BalancerNotReady"),
            &[("GatewaysAvailable", "False", "BalancerNotReady")],
        ),
        ready_row(
            "HAProxy has no Deployment yet",
            behind_haproxy(0, |world| world.observed.tier = None),
            InProgress,
            ("False", "BalancerNotReady"),
            &[("GatewaysAvailable", "False", "BalancerNotReady")],
        ),
        ready_row(
            "a new HAProxy does not start, the old ones go on",
            behind_haproxy(2, |world| {
                world.observed.tier = Some(TierObserved { desired: 2, ready: 2, complete: false, stuck: false });
                world.observed.troubles = [(Component::Balancer, trouble("CrashLoopBackOff"))].into();
            }),
            InProgress,
            ("False", "CrashLoopBackOff"),
            &[("GatewaysAvailable", "True", "GatewaysReady"), ("RolloutHealthy", "False", "CrashLoopBackOff")],
        ),
        ready_row(
            "a new HAProxy has not started for long",
            behind_haproxy(2, |world| {
                world.observed.tier = Some(TierObserved { desired: 2, ready: 2, complete: false, stuck: true });
            }),
            Failed,
            ("False", "RolloutStuck"),
            &[("Stalled", "True", "RolloutStuck"), ("RolloutHealthy", "False", "RolloutStuck")],
        ),
        ready_row(
            "HAProxy before no gateways",
            behind_haproxy(0, |world| {
                world.shape.replicas = 0;
                let gateways = gateways(0, true);
                world.observed.gateways = Some(GatewaysObserved { desired: 0, replicas: 0, ..gateways });
                world.view = nobody();
            }),
            Current,
            ("True", "Ready"),
            &[("GatewaysAvailable", "True", "ScaledToZero")],
        ),
        ready_row(
            "a tier that is no longer wanted",
            change(|world| world.observed.tier = Some(TierObserved { stuck: true, ..TierObserved::default() })),
            Current,
            ("True", "Ready"),
            &[("Stalled", "False", "NotStalled")],
        ),
    ]
}

/// One of the two gateways turns new clients away, since it shares out what it has too many, or for no reason that is known.
fn turning_away(rebalancing: bool) -> World {
    change(|world| {
        let turned_away = ["g2".to_owned()].into();
        world.observed.gateways = Some(GatewaysObserved { turned_away, ..gateways(1, true) });
        world.view.rebalancing = rebalancing;
        if let Some(stats) = world.view.gateways.get_mut("g2") {
            stats.cordoned = rebalancing;
        }
    })
}

fn sharing_out() -> Vec<Row> {
    use Judgement::{Current, InProgress};
    vec![
        ready_row(
            "gateways share out what they have too many",
            turning_away(true),
            Current,
            ("True", "Ready"),
            &[("GatewaysAvailable", "True", "Rebalancing"), ("RolloutHealthy", "True", "Complete")],
        ),
        ready_row(
            "a gateway's clock is an hour behind",
            change(|world| world.view.skewed = [("g1".to_owned(), -3_600)].into()),
            Current,
            ("True", "Ready"),
            &[("GatewaysAvailable", "True", "ClockSkewed")],
        ),
        ready_row(
            "a gateway is not ready, and not since the operator closed it",
            turning_away(false),
            InProgress,
            ("False", "GatewaysNotReady"),
            &[("GatewaysAvailable", "False", "GatewaysNotReady"), ("RolloutHealthy", "True", "RollingOut")],
        ),
    ]
}

fn on_the_way() -> Vec<Row> {
    use Judgement::{Current, InProgress};
    vec![
        ready_row(
            "settled",
            fine(),
            Current,
            ("True", "Ready"),
            &[
                ("Reconciling", "False", "Settled"),
                ("Stalled", "False", "NotStalled"),
                ("ShardsBalanced", "True", "Balanced"),
                ("RolloutHealthy", "True", "Complete"),
            ],
        ),
        ready_row(
            "just created",
            World {
                verdict: Verdict::Waiting(problem("Starting")),
                shape: Shape { migration: None, ..shape() },
                observed: Observed::default(),
                view: nobody(),
            },
            InProgress,
            ("False", "Starting"),
            &[("GatewaysAvailable", "False", "NotCreated")],
        ),
        ready_row(
            "migrating",
            change(|world| {
                world.observed.gateways = None;
                world.observed.migrations = [(JOB.to_owned(), MigrationObserved::Running)].into();
                world.view = nobody();
            }),
            InProgress,
            ("False", "WaitingForMigration"),
            &[("RolloutHealthy", "True", "Migrating")],
        ),
        ready_row(
            "the operator adds a gateway",
            scaled_up(),
            Current,
            ("True", "Ready"),
            &[
                ("GatewaysAvailable", "True", "ScalingUp"),
                ("RolloutHealthy", "True", "Complete"),
                ("Reconciling", "False", "Settled"),
            ],
        ),
        ready_row(
            "a gateway that is one too many is emptied",
            emptying(false),
            InProgress,
            ("False", "Draining"),
            &[
                ("GatewaysAvailable", "True", "GatewaysReady"),
                ("RolloutHealthy", "True", "Complete"),
                ("Reconciling", "True", "Draining"),
            ],
        ),
        ready_row(
            "somebody has a gateway replaced",
            emptying(true),
            Current,
            ("True", "Ready"),
            &[
                ("GatewaysAvailable", "True", "GatewaysReady"),
                ("RolloutHealthy", "True", "Complete"),
                ("Reconciling", "False", "Settled"),
            ],
        ),
        ready_row(
            "the gateway that the operator adds does not start",
            {
                let mut world = scaled_up();
                world.observed.troubles = [(Component::Gateway, trouble("Unschedulable"))].into();
                world
            },
            InProgress,
            ("False", "Unschedulable"),
            &[("GatewaysAvailable", "False", "Unschedulable")],
        ),
        ready_row(
            "the operator adds a gateway, and one of the fewest is lost",
            {
                let mut world = scaled_up();
                world.observed.gateways =
                    world.observed.gateways.map(|gateways| GatewaysObserved { ready: 1, ..gateways });
                world
            },
            InProgress,
            ("False", "GatewaysNotReady"),
            &[],
        ),
        ready_row(
            "the migration is refused",
            change(|world| {
                world.shape = external();
                world.observed.backends.clear();
                world.observed.gateways = None;
                world.observed.migrations =
                    [(JOB.to_owned(), MigrationObserved::Refused(trouble("AuthenticationFailed")))].into();
                world.view = nobody();
            }),
            InProgress,
            ("False", "AuthenticationFailed"),
            &[
                ("Stalled", "False", "NotStalled"),
                ("GatewaysAvailable", "False", "AuthenticationFailed"),
                ("DatabaseAvailable", "False", "AuthenticationFailed"),
                ("RolloutHealthy", "False", "AuthenticationFailed"),
            ],
        ),
        ready_row(
            "the migration is refused while the gateways go on",
            change(|world| {
                world.observed.migrations =
                    [(JOB.to_owned(), MigrationObserved::Refused(trouble("AuthenticationFailed")))].into();
            }),
            InProgress,
            ("False", "AuthenticationFailed"),
            &[
                ("GatewaysAvailable", "True", "GatewaysReady"),
                ("DatabaseAvailable", "False", "AuthenticationFailed"),
                ("RolloutHealthy", "False", "AuthenticationFailed"),
            ],
        ),
        ready_row(
            "gateways start",
            change(|world| {
                world.observed.gateways = Some(gateways(1, false));
            }),
            InProgress,
            ("False", "GatewaysNotReady"),
            &[("RolloutHealthy", "True", "RollingOut")],
        ),
        ready_row(
            "rolling out over ready gateways",
            change(|world| {
                world.observed.gateways = Some(gateways(2, false));
            }),
            InProgress,
            ("False", "RollingOut"),
            &[("GatewaysAvailable", "True", "GatewaysReady")],
        ),
        ready_row(
            "a rollout that is paused",
            change(|world| {
                let rollout = RolloutObserved { wave: 0, failure: None, started: None, is_back: false };
                world.shape.rollout_paused = true;
                world.observed.gateways = Some(GatewaysObserved { rollout: Some(rollout), ..gateways(2, false) });
            }),
            InProgress,
            ("False", "RolloutPaused"),
            &[("Reconciling", "True", "RolloutPaused"), ("Stalled", "False", "NotStalled")],
        ),
        ready_row(
            "the Deployment has not seen the new count",
            change(|world| {
                world.shape.replicas = 1;
            }),
            InProgress,
            ("False", "RollingOut"),
            &[],
        ),
        ready_row(
            "a backend is being updated",
            change(|world| {
                world
                    .observed
                    .backends
                    .insert("demo-redis".to_owned(), BackendObserved { ready: true, current: false });
            }),
            InProgress,
            ("False", "RollingOut"),
            &[("CacheAvailable", "True", "Connected")],
        ),
        ready_row(
            "external backends that nobody has spoken of",
            change(|world| {
                world.shape = external();
                world.observed.backends.clear();
                world.view = nobody();
            }),
            InProgress,
            ("False", "NotObserved"),
            &[("BrokerAvailable", "Unknown", "NotObserved")],
        ),
        ready_row(
            "scaled to zero",
            change(|world| {
                world.shape = Shape { replicas: 0, ..external() };
                world.observed.backends.clear();
                world.observed.gateways = Some(GatewaysObserved { desired: 0, replicas: 0, ..gateways(0, true) });
                world.view = nobody();
            }),
            Current,
            ("True", "Ready"),
            &[("GatewaysAvailable", "True", "ScaledToZero")],
        ),
        ready_row(
            "a Secret is missing",
            change(|world| {
                world.verdict = Verdict::Waiting(problem("SecretNotFound"));
            }),
            InProgress,
            ("False", "SecretNotFound"),
            &[("Reconciling", "True", "SecretNotFound")],
        ),
        ready_row(
            "the API server refuses",
            change(|world| {
                world.verdict = Verdict::Failed(problem("ApplyFailed"));
            }),
            InProgress,
            ("False", "ApplyFailed"),
            &[("Reconciling", "True", "Retrying")],
        ),
        ready_row(
            "paused, nothing to do",
            change(|world| {
                world.verdict = Verdict::Paused(0);
            }),
            Current,
            ("True", "Ready"),
            &[("Reconciling", "False", "Paused")],
        ),
        ready_row(
            "paused with changes",
            change(|world| {
                world.verdict = Verdict::Paused(2);
            }),
            InProgress,
            ("False", "ChangesPending"),
            &[("Reconciling", "False", "Paused")],
        ),
    ]
}

fn broken() -> Vec<Row> {
    use Judgement::{Current, Failed, InProgress};
    vec![
        ready_row(
            "the spec is wrong",
            change(|world| {
                world.verdict = Verdict::Refused(problem("InvalidSpec"));
            }),
            Failed,
            ("False", "InvalidSpec"),
            &[("Stalled", "True", "InvalidSpec")],
        ),
        ready_row(
            "a foreign object is in the way",
            change(|world| {
                world.verdict = Verdict::Refused(problem("NameConflict"));
            }),
            Failed,
            ("False", "NameConflict"),
            &[("Reconciling", "False", "Stalled")],
        ),
        ready_row(
            "the migration gave up",
            change(|world| {
                world.observed.migrations =
                    [(JOB.to_owned(), MigrationObserved::Failed("BackoffLimitExceeded".to_owned()))].into();
            }),
            Failed,
            ("False", "MigrationFailed"),
            &[("DatabaseAvailable", "False", "MigrationFailed"), ("RolloutHealthy", "False", "MigrationFailed")],
        ),
        ready_row(
            "the rollout is stuck",
            change(|world| {
                world.observed.gateways = Some(GatewaysObserved { stuck: true, ..gateways(2, false) });
            }),
            Failed,
            ("False", "RolloutStuck"),
            &[("RolloutHealthy", "False", "RolloutStuck")],
        ),
        ready_row(
            "the image cannot be pulled",
            change(|world| {
                world.observed.gateways = Some(gateways(2, false));
                world.observed.troubles = [(Component::Gateway, trouble("ImagePullBackOff"))].into();
            }),
            InProgress,
            ("False", "ImagePullBackOff"),
            &[("RolloutHealthy", "False", "ImagePullBackOff")],
        ),
        ready_row(
            "managed RabbitMQ is away",
            change(|world| {
                world
                    .observed
                    .backends
                    .insert("demo-rabbitmq".to_owned(), BackendObserved { ready: false, current: true });
            }),
            InProgress,
            ("False", "PodNotReady"),
            &[("BrokerAvailable", "False", "PodNotReady")],
        ),
        ready_row(
            "Redis crashes again and again",
            change(|world| {
                world
                    .observed
                    .backends
                    .insert("demo-redis".to_owned(), BackendObserved { ready: false, current: true });
                world.observed.troubles = [(Component::Cache, trouble("CrashLoopBackOff"))].into();
            }),
            InProgress,
            ("False", "CrashLoopBackOff"),
            &[("CacheAvailable", "False", "CrashLoopBackOff")],
        ),
        ready_row(
            "the Redis that carries messages is away",
            change(|world| {
                world.shape.broker = world.shape.cache.clone();
                world.shape.broker_kind = BrokerKind::Redis;
                world
                    .observed
                    .backends
                    .insert("demo-redis".to_owned(), BackendObserved { ready: false, current: true });
            }),
            InProgress,
            ("False", "PodNotReady"),
            &[("BrokerAvailable", "False", "PodNotReady"), ("CacheAvailable", "False", "PodNotReady")],
        ),
        ready_row(
            "one gateway does not reach an external broker",
            change(|world| {
                world.shape = external();
                world.observed.backends.clear();
                if let Some(gateway) = world.view.gateways.get_mut("g2") {
                    gateway.broker = seen(false);
                }
            }),
            InProgress,
            ("False", "ConnectionRefused"),
            &[("BrokerAvailable", "False", "ConnectionRefused"), ("Reconciling", "False", "Applied")],
        ),
        ready_row(
            "Kafka has no topic",
            change(|world| {
                world.shape = Shape { broker_kind: BrokerKind::Kafka, ..external() };
                world.observed.backends.clear();
                for gateway in world.view.gateways.values_mut() {
                    gateway.broker = Seen { reason: "TopicMissing".to_owned(), ..seen(false) };
                }
            }),
            InProgress,
            ("False", "TopicMissing"),
            &[("BrokerAvailable", "False", "TopicMissing"), ("CacheAvailable", "True", "Connected")],
        ),
        ready_row(
            "a shard does not answer",
            change(|world| {
                for gateway in world.view.gateways.values_mut() {
                    gateway.shards[0].component = seen(false);
                }
            }),
            InProgress,
            ("False", "ConnectionRefused"),
            &[("DatabaseAvailable", "False", "ConnectionRefused")],
        ),
        ready_row(
            "a shard that was added later is empty, and slots are on their way to it",
            change(|world| {
                world.shape.unbalanced = Some(("Rebalancing", "3 of 512 slots have moved".to_owned()));
                world.shape.shards.push(("b".to_owned(), None));
                for gateway in world.view.gateways.values_mut() {
                    gateway.shards.push(ShardStats {
                        name: "b".to_owned(),
                        slots: 0,
                        component: seen(true),
                        uris: Vec::new(),
                    });
                }
            }),
            Current,
            ("True", "Ready"),
            &[("ShardsBalanced", "False", "Rebalancing")],
        ),
        ready_row(
            "gateways count fewer slots than there are, while slots move",
            change(|world| {
                world.shape.unbalanced = Some(("Rebalancing", "3 of 512 slots have moved".to_owned()));
                world.shape.slots_whole = true;
                for gateway in world.view.gateways.values_mut() {
                    gateway.shards[0].slots = 1_000;
                }
            }),
            Current,
            ("True", "Ready"),
            &[("ShardsBalanced", "False", "Rebalancing")],
        ),
        ready_row(
            "a shard joins, and its pod and its migration have yet to come up",
            change(|world| {
                world.shape.joining.insert("b".to_owned(), "its schema is being made".to_owned());
                world.shape.unbalanced = Some(("ShardsJoining", "shard b is not there yet".to_owned()));
                world.shape.shards.push(("b".to_owned(), Some("demo-shard-b".to_owned())));
                world.observed.backends.insert("demo-shard-b".to_owned(), BackendObserved::default());
                world.observed.migrations.insert(JOB.to_owned(), MigrationObserved::Running);
            }),
            Current,
            ("True", "Ready"),
            &[("ShardsBalanced", "False", "ShardsJoining"), ("DatabaseAvailable", "True", "ShardsReady")],
        ),
        ready_row(
            "slots without an owner",
            change(|world| {
                for gateway in world.view.gateways.values_mut() {
                    gateway.shards[0].slots = 1_000;
                }
            }),
            InProgress,
            ("False", "SlotsUnassigned"),
            &[("ShardsBalanced", "False", "SlotsUnassigned")],
        ),
        ready_row(
            "a gateway does not answer the operator",
            change(|world| {
                world.view.gateways.remove("g2");
                world.view.silent.insert("g2".to_owned(), "no answer".to_owned());
            }),
            Current,
            ("True", "Ready"),
            &[("GatewaysAvailable", "True", "GatewaySilent")],
        ),
    ]
}

/// A world in which the second gateway has taken something else.
fn taken_by_g2(edit: impl FnOnce(&mut Taken)) -> World {
    change(|world| edit(world.view.gateways.get_mut("g2").unwrap().live.as_mut().unwrap()))
}

fn live_configuration() -> Vec<Row> {
    use Judgement::{Current, InProgress};
    const TAKING: &str = "GatewaysTakeConfiguration";
    let waits = |what, world| {
        ready_row(
            what,
            world,
            InProgress,
            ("False", TAKING),
            &[("Reconciling", "True", TAKING), ("GatewaysAvailable", "True", "GatewaysReady")],
        )
    };
    let fine = |what, world| ready_row(what, world, Current, ("True", "Ready"), &[("Reconciling", "False", "Settled")]);
    vec![
        waits("one gateway has the limits of before", taken_by_g2(|taken| taken.config = Some("old".to_owned()))),
        waits("one gateway has no live configuration", taken_by_g2(|taken| taken.config = None)),
        waits("one gateway does not know the new key", taken_by_g2(|taken| drop(taken.keys.remove(0)))),
        waits("one gateway takes a key that was removed", taken_by_g2(|taken| taken.keys.push("k0".to_owned()))),
        waits("one gateway signs with the key of before", taken_by_g2(|taken| taken.signs = "k2".to_owned())),
        ready_row(
            "a gateway fell silent before it took what is new",
            change(|world| {
                world.view.gateways.remove("g2");
                world.view.silent.insert("g2".to_owned(), "no answer".to_owned());
                world.view.last_words.insert("g2".to_owned(), Taken { config: None, ..taken() });
            }),
            InProgress,
            ("False", TAKING),
            &[("GatewaysAvailable", "True", "GatewaySilent")],
        ),
        waits(
            "the operator has just started, and the spec is a new one",
            change(|world| world.view = ClusterView::default()),
        ),
        fine("a gateway that ends takes nothing any more", {
            let mut world = taken_by_g2(|taken| taken.config = Some("old".to_owned()));
            world.view.gateways.get_mut("g2").unwrap().draining = true;
            world
        }),
        fine(
            "a gateway of a version that says nothing of it",
            change(|world| world.view.gateways.get_mut("g2").unwrap().live = None),
        ),
    ]
}

fn embedded() -> Vec<Row> {
    use Judgement::{Current, InProgress};
    vec![
        ready_row(
            "one gateway with everything in its process",
            alone(|_| {}),
            Current,
            ("True", "Ready"),
            &[
                ("BrokerAvailable", "True", "InProcess"),
                ("CacheAvailable", "True", "InProcess"),
                ("DatabaseAvailable", "True", "InProcess"),
                ("ShardsBalanced", "True", "Balanced"),
                ("RolloutHealthy", "True", "Complete"),
            ],
        ),
        ready_row(
            "its Deployment has just been made",
            World {
                observed: Observed { gateways: Some(gateways(0, false)), ..Observed::default() },
                view: nobody(),
                ..alone(|_| {})
            },
            InProgress,
            ("False", "GatewaysNotReady"),
            &[("DatabaseAvailable", "Unknown", "NotObserved"), ("RolloutHealthy", "True", "RollingOut")],
        ),
        ready_row(
            "its Deployment waits for a write",
            World { observed: Observed::default(), view: nobody(), ..alone(|_| {}) },
            InProgress,
            ("False", "NotCreated"),
            &[("BrokerAvailable", "Unknown", "NotObserved")],
        ),
        ready_row(
            "its disk is full",
            alone(|gateway| {
                let reason = "WriteFailed".to_owned();
                gateway.shards[0].component = Seen { reason, ..seen(false) };
            }),
            InProgress,
            ("False", "WriteFailed"),
            &[("DatabaseAvailable", "False", "WriteFailed"), ("BrokerAvailable", "True", "InProcess")],
        ),
        ready_row(
            "its volume fits no node",
            World {
                observed: Observed {
                    gateways: Some(gateways(0, false)),
                    troubles: [(Component::Gateway, trouble("Unschedulable"))].into(),
                    ..Observed::default()
                },
                view: nobody(),
                ..alone(|_| {})
            },
            InProgress,
            ("False", "Unschedulable"),
            &[("GatewaysAvailable", "False", "Unschedulable")],
        ),
    ]
}

const DAY: i64 = 24 * 3_600;

/// Certificates that end so many seconds after 1970; rows are judged at 100.
fn with_certificates(ends: &[i64]) -> World {
    change(|world| {
        let deadline = |(nth, ends): (usize, &i64)| Deadline {
            what: "the certificate of HAProxy",
            secret: format!("tls-{nth}"),
            ends: *ends,
        };
        world.shape.deadlines = Some(ends.iter().enumerate().map(deadline).collect());
    })
}

/// Nothing of it makes a ChatCluster unready in which people chat.
fn certificates() -> Vec<Row> {
    let row = |state, world, also| ready_row(state, world, Judgement::Current, ("True", "Ready"), also);
    vec![
        row("no certificate", with_certificates(&[]), &[("CertificatesValid", "True", "NoCertificates")]),
        row(
            "certificates that last",
            with_certificates(&[30 * DAY, 15 * DAY]),
            &[("CertificatesValid", "True", "CertificatesGood")],
        ),
        row(
            "one that ends within two weeks",
            with_certificates(&[30 * DAY, 13 * DAY]),
            &[("CertificatesValid", "False", "CertificateExpires")],
        ),
        row(
            "one that has ended",
            with_certificates(&[100, 13 * DAY]),
            &[("CertificatesValid", "False", "CertificateExpired")],
        ),
        row(
            "nothing was read",
            change(|world| world.shape.deadlines = None),
            &[("CertificatesValid", "Unknown", "CertificatesUnread")],
        ),
    ]
}

#[test]
fn certificates_that_end_are_named_with_their_end_and_the_way_out() {
    let world = with_certificates(&[10 * DAY, 100, 40 * DAY]);
    let told = said(&world, &[], 200, ConditionType::CertificatesValid);
    for part in ["tls-1, which ended at 1970-01-01T00:01:40Z", "tls-0, which ends at 1970-01-11T00:00:00Z", "new one"] {
        assert!(told.message.contains(part), "{told:?}");
    }
    assert!(!told.message.contains("tls-2"), "{told:?}");
    // The message is no clock: a pass a minute later writes nothing.
    let before = judge(&world, &[], 200);
    assert_eq!(judge(&world, &before, 260), before);
    // What was said stands where a pass does not come to the Secrets.
    let unread = change(|world| world.shape.deadlines = None);
    assert_eq!(said(&unread, &before, 320, ConditionType::CertificatesValid).message, told.message);
}

fn said(world: &World, previous: &[Condition], now: i64, type_: ConditionType) -> Condition {
    judge(world, previous, now).into_iter().find(|condition| condition.type_ == type_.as_str()).unwrap()
}

fn with_rotations(rotations: &[(&str, RotationStep)]) -> World {
    let rotations = rotations.iter().map(|&(secret, step)| Rotation { secret: secret.to_owned(), step }).collect();
    change(|world| world.shape.rotations = Some(rotations))
}

/// People chat meanwhile.
fn rotations() -> Vec<Row> {
    let row = |state, world, also| ready_row(state, world, Judgement::Current, ("True", "Ready"), also);
    let under_way = with_rotations(&[("demo-redis", RotationStep::Shown)]);
    let unread = change(|world| world.shape.rotations = None);
    vec![
        row("nothing is replaced", with_rotations(&[]), &[("CredentialsRotated", "True", "NothingRotates")]),
        row("a password is replaced", under_way, &[("CredentialsRotated", "False", "Rotating")]),
        row("no Secret was read", unread, &[("CredentialsRotated", "Unknown", "RotationsUnread")]),
    ]
}

#[test]
fn a_rotation_that_takes_an_hour_is_told_of_as_stuck_with_what_it_waits_for() {
    let says =
        |world: &World, previous: &[Condition], now| said(world, previous, now, ConditionType::CredentialsRotated);
    let world = with_rotations(&[("demo-redis", RotationStep::Waiting), ("demo-rabbitmq", RotationStep::Announced)]);
    let begun = judge(&world, &judge(&with_rotations(&[]), &[], 100), 200);
    let first = says(&world, &begun, 3_799);
    assert_eq!((first.status.as_str(), first.reason.as_str()), ("False", "Rotating"));
    for part in ["demo-redis is Waiting", "status.pendingChanges", "demo-rabbitmq is Announced", "is taken"] {
        assert!(first.message.contains(part), "{first:?}");
    }
    assert_eq!(says(&world, &begun, 3_800).reason, "RotationStuck");
    // The next step alone does not begin the hour anew.
    let later = with_rotations(&[("demo-rabbitmq", RotationStep::Shown)]);
    assert_eq!(says(&later, &judge(&world, &begun, 3_000), 3_800).reason, "RotationStuck");
    assert_eq!(says(&with_rotations(&[]), &begun, 3_800).status, "True");
}

fn every_row() -> Vec<Row> {
    let chained = on_the_way().into_iter().chain(sharing_out()).chain(with_a_tier()).chain(broken());
    chained.chain(embedded()).chain(live_configuration()).chain(certificates()).chain(rotations()).collect()
}

#[test]
fn shapes_of_a_gateway_that_is_alone() {
    let nothing = Shape {
        replicas: 1,
        enough: 1,
        slots: 1_024,
        waves: vec![5, 25, 50, 100],
        broker_kind: BrokerKind::InProcess,
        ..Shape::default()
    };
    let embedded = Shape {
        database_kind: DatabaseKind::Embedded,
        shards: vec![(chat_gateway_config::Embedded::SHARD.to_owned(), None)],
        ..nothing.clone()
    };
    assert_eq!(Shape::of(&support::cluster("embedded"), None, None), embedded);
    let over_shards = Shape {
        shards: vec![("a".to_owned(), Some("demo-shard-a".to_owned()))],
        migration: Some(JOB.to_owned()),
        ..nothing
    };
    assert_eq!(Shape::of(&support::cluster("in-process"), Some(JOB.to_owned()), None), over_shards);
}

#[test]
fn what_is_in_the_gateways_process_is_told_in_words() {
    let conditions = judge(&alone(|_| {}), &[], 1);
    for type_ in ["BrokerAvailable", "CacheAvailable", "DatabaseAvailable"] {
        let condition = conditions.iter().find(|condition| condition.type_ == type_).unwrap();
        assert!(condition.message.contains("gateway"), "{condition:?}");
        for absent in ["RabbitMQ", "Redis", "shard"] {
            assert!(!condition.message.contains(absent), "there is none: {condition:?}");
        }
    }
}

#[test]
fn conditions_of_every_state() {
    let rows = every_row();
    assert!(rows.len() >= 12);
    let judged: Vec<Vec<Condition>> = rows.iter().map(|row| judge(&row.world, &[], 100)).collect();
    let judgements = kstatus(&judged.iter().map(|conditions| object(GENERATION, conditions)).collect::<Vec<_>>());
    for ((Row { state, kstatus: expected, ready, also, .. }, conditions), judgement) in
        rows.into_iter().zip(judged).zip(judgements)
    {
        let find = |type_: &str| conditions.iter().find(|condition| condition.type_ == type_).unwrap();
        let now = (find("Ready").status.as_str(), find("Ready").reason.as_str());
        assert_eq!(now, ready, "{state}: {conditions:#?}");
        assert_eq!(judgement, expected, "{state}: {conditions:#?}");
        for (type_, status, reason) in also {
            let condition = find(type_);
            assert_eq!((condition.status.as_str(), condition.reason.as_str()), (*status, *reason), "{state}: {type_}");
        }
    }
}

#[test]
fn kstatus_waits_for_a_generation_and_sees_the_end() {
    let fine = judge(&fine(), &[], 1);
    let mut leaving = object(GENERATION, &fine);
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let judgements = kstatus(&[object(GENERATION + 1, &fine), object(GENERATION, &fine), leaving]);
    assert_eq!(judgements, [Judgement::InProgress, Judgement::Current, Judgement::Terminating]);
}

#[test]
fn a_restart_of_the_operator_changes_nothing_before_the_gateways_are_asked() {
    for managed in [true, false] {
        let world = change(|world| {
            if !managed {
                world.shape = external();
                world.observed.backends.clear();
            }
        });
        let before = judge(&world, &[], 1);
        let restarted = World { view: ClusterView::default(), ..world.clone() };
        assert_eq!(judge(&restarted, &before, 2), before, "managed: {managed}");
        // What the operator sees by itself needs no answer.
        let mut broken = restarted;
        broken.observed.backends.insert("demo-redis".to_owned(), BackendObserved { ready: false, current: true });
        if managed {
            assert!(judge(&broken, &before, 3).iter().any(|c| c.type_ == "CacheAvailable" && c.status == "False"));
        }
    }
}

#[test]
fn a_rollout_that_waits_for_an_answer_says_for_which() {
    let waits = Failure { reason: "AnalysisInconclusive".to_owned(), message: "query a has no answer".to_owned() };
    let mut world = fine();
    let rollout = RolloutObserved { wave: 0, failure: None, started: None, is_back: false };
    world.observed.gateways = Some(GatewaysObserved { rollout: Some(rollout), ..gateways(2, false) });
    let told = |world: &World| {
        let cluster = support::cluster("minimal");
        let World { verdict, shape, observed, view } = world;
        let report = Report {
            seen: None,
            cluster: &cluster,
            default_image: "image",
            pending: None,
            verdict,
            shape,
            observed,
            view,
            now: Timestamp::UNIX_EPOCH,
        };
        let rollout = status(&report).rollout.unwrap();
        (rollout.phase, rollout.reason, rollout.message)
    };
    let watched =
        |revision: &str| Watched { revision: revision.to_owned(), waits: Some(waits.clone()), ..Watched::default() };
    world.view.watched = watched("demo-gateway-before");
    assert_eq!(told(&world), ("Progressing".to_owned(), None, None), "that is about another one");
    world.view.watched = watched("demo-gateway-r");
    let expected = ("Progressing".to_owned(), Some(waits.reason.clone()), Some(waits.message.clone()));
    assert_eq!(told(&world), expected);
}

#[test]
fn why_a_gateway_keeps_to_what_it_had_is_told() {
    let refused = taken_by_g2(|taken| {
        taken.config = Some("old".to_owned());
        taken.error = Some("limits.messageBytes: must be 1 to 49152".to_owned());
    });
    let ready = judge(&refused, &[], 1).remove(0);
    assert!(
        ready.message.contains("1 of 2 gateways") && ready.message.contains("g2: limits.messageBytes"),
        "{ready:?}"
    );
}

#[test]
fn an_operator_that_starts_knows_no_more_than_what_was_said() {
    let late = taken_by_g2(|taken| taken.config = None);
    let before = judge(&late, &[], 1);
    let restarted = World { view: ClusterView::default(), ..late };
    assert_eq!(judge(&restarted, &before, 2), before, "it was not taken, and nobody has said anything else");
}

fn worlds() -> impl Strategy<Value = World> {
    let rows: Vec<World> = every_row().into_iter().map(|row| row.world).collect();
    proptest::sample::select(rows)
}

proptest! {
    #[test]
    fn transition_times_move_with_the_status_and_only_with_it(sequence in prop::collection::vec(worlds(), 1..24)) {
        let mut previous: Vec<Condition> = Vec::new();
        for (second, world) in (1..).zip(&sequence) {
            let now = judge(world, &previous, second);
            for condition in &now {
                match previous.iter().find(|before| before.type_ == condition.type_) {
                    Some(before) if before.status == condition.status => {
                        prop_assert_eq!(&before.last_transition_time, &condition.last_transition_time);
                    }
                    _ => prop_assert_eq!(condition.last_transition_time.0, Timestamp::from_second(second).unwrap()),
                }
            }
            previous = now;
        }
    }

    #[test]
    fn every_status_is_complete_and_consistent(world in worlds()) {
        let now = judge(&world, &[], 1);
        let types: Vec<&str> = now.iter().map(|condition| condition.type_.as_str()).collect();
        let all: Vec<&str> = ConditionType::ALL.iter().map(|type_| type_.as_str()).collect();
        prop_assert_eq!(types, all);
        let is = |type_: &str| now.iter().any(|condition| condition.type_ == type_ && condition.status == "True");
        prop_assert!(!(is("Reconciling") && is("Stalled")));
        prop_assert!(!(is("Ready") && (is("Reconciling") || is("Stalled"))));
        for condition in &now {
            prop_assert_eq!(condition.observed_generation, Some(GENERATION));
            prop_assert!(condition.reason.chars().all(|c| c.is_ascii_alphanumeric()));
            prop_assert!(condition.reason.starts_with(|c: char| c.is_ascii_uppercase()));
            prop_assert!(!condition.message.is_empty());
        }
    }
}
