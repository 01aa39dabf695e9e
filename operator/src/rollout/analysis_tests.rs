//! Counters of old and new gateways, and what is found of them.

use super::*;
use crate::{poll::testing::stats, rollout::Query};

const LIMITS: Limits = Limits {
    most: EffectiveAnalysis {
        max_refused_sign_ins: 5,
        max_failed_requests: 1,
        max_added_latency_ms: 250,
        max_missed_messages: 5,
        max_restarts: 1,
    },
    watch: Duration::from_secs(10),
    deadline: Duration::from_secs(30),
    same_broker: true,
};

fn course() -> Course {
    let (to, revision) = (vec!["new".to_owned()], "demo-gateway-2".to_owned());
    Course { to, revision, percent: 5, canary: true, wave: 0, back: false }
}

static NOBODY: BTreeMap<String, String> = BTreeMap::new();

/// A round in which nobody is silent, and no Prometheus asked.
fn only(gateways: &BTreeMap<String, Box<GatewayStats>>) -> Round<'_> {
    Round { gateways, silent: &NOBODY, consults: false, answers: None }
}

/// Rounds in which both gateways count on, from what they had before the rollout; the steering has moved 10 clients and is done.
fn watch(rounds: u64, count: impl Fn(&mut GatewayStats, &mut GatewayStats, u64)) -> Finding {
    watch_by(LIMITS, rounds, count)
}

fn watch_by(limits: Limits, rounds: u64, count: impl Fn(&mut GatewayStats, &mut GatewayStats, u64)) -> Finding {
    let (mut analyst, mut steering, start) = (Analyst::default(), Steering::default(), Instant::now());
    let fill = |old: u32, new: u32| {
        [("old", old), ("new", new)].map(|(name, count)| (name.to_owned(), stats(name, count, &[]).into())).into()
    };
    steering.direct(Some(&course()), &fill(200, 0), 1_000, start);
    steering.moved(10, start);
    steering.direct(Some(&course()), &fill(190, 10), 1_000, start);
    for round in 0..rounds {
        let (mut old, mut new) = (stats("old", 190, &[]), stats("new", 10, &[]));
        old.health.sign_ins_refused = 1_000;
        new.health.signed_in = 10;
        count(&mut old, &mut new, round);
        let gateways = BTreeMap::from([("old".to_owned(), old.into()), ("new".to_owned(), new.into())]);
        let now = start + Duration::from_secs(2 * round);
        let round = only(&gateways);
        analyst.round(Some(&course()), round, &steering, &limits, now);
    }
    analyst.watched().finding
}

fn reason(finding: Finding) -> String {
    match finding {
        Finding::Failed(failure) => failure.reason,
        other => format!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_well_for_long_enough_passes() {
    assert_eq!(watch(4, |_, _, _| {}), Finding::Waiting);
    assert_eq!(watch(7, |_, _, _| {}), Finding::Passed);
    let users_are_like_that = |old: &mut GatewayStats, new: &mut GatewayStats, round| {
        old.health.sign_ins_refused += 20 * round;
        new.health.sign_ins_refused = round;
    };
    assert_eq!(watch(7, users_are_like_that), Finding::Passed, "no worse than the old ones");
}

#[tokio::test(start_paused = true)]
async fn who_refuses_fails_drops_or_delays_does_not() {
    let refuses = |_: &mut GatewayStats, new: &mut GatewayStats, round| new.health.sign_ins_refused = round;
    assert_eq!(reason(watch(7, refuses)), "SignInsRefused");
    let nobody = |_: &mut GatewayStats, new: &mut GatewayStats, _| new.health.signed_in = 4;
    assert_eq!(reason(watch(7, nobody)), "ReconnectsFailed");
    let fails = |old: &mut GatewayStats, new: &mut GatewayStats, round| {
        old.health.carried_out = 100 * round;
        (new.health.carried_out, new.health.failed) = (98 * round, 2 * round);
    };
    assert_eq!(reason(watch(7, fails)), "RequestsFailed");
    let misses = |old: &mut GatewayStats, new: &mut GatewayStats, round| {
        old.health.taken = 1_000 * round;
        (new.health.taken, new.messages.backfilled) = (200 * round, 20 * round);
    };
    assert_eq!(reason(watch(8, misses)), "MessagesMissed");
    assert_eq!(watch(7, misses), Finding::Passed, "not yet for long enough");
    let all_at_once = |_: &mut GatewayStats, new: &mut GatewayStats, round| {
        (new.health.taken, new.messages.backfilled) = (500 + round, if round == 0 { 0 } else { 400 });
    };
    assert_eq!(watch(60, all_at_once), Finding::Passed, "its connection broke once");
    let other_broker = Limits { same_broker: false, ..LIMITS };
    assert_eq!(watch_by(other_broker, 9, misses), Finding::Passed, "old and new ones miss each other's");
    let all_miss = |old: &mut GatewayStats, new: &mut GatewayStats, round| {
        (old.health.taken, old.messages.backfilled) = (1_000 * round, 60 * round);
        (new.health.taken, new.messages.backfilled) = (200 * round, 20 * round);
    };
    assert_eq!(watch(9, all_miss), Finding::Passed, "the broker's fault");
    let of_the_version_before = |_: &mut GatewayStats, new: &mut GatewayStats, round| {
        new.messages.backfilled = 20 * round;
    };
    assert_eq!(watch(9, of_the_version_before), Finding::Passed, "it does not say of how many");
    let delays = |old: &mut GatewayStats, new: &mut GatewayStats, round| {
        (old.health.timed, old.health.timed_ms) = (100 * round, 500 * round);
        (new.health.timed, new.health.timed_ms) = (100 * round, 30_000 * round);
    };
    assert_eq!(reason(watch(9, delays)), "DeliverySlow");
    let a_slow_machine = |old: &mut GatewayStats, new: &mut GatewayStats, round| {
        (old.health.timed, old.health.timed_ms) = (100 * round, 30_000 * round);
        (new.health.timed, new.health.timed_ms) = (100 * round, 40_000 * round);
    };
    assert_eq!(watch(9, a_slow_machine), Finding::Passed);
}

/// Rounds in which the new gateway is ready and says nothing; `old` is whether the old one answers after the first.
fn hush(rounds: u64, old: bool) -> Finding {
    let (mut analyst, steering, start) = (Analyst::default(), Steering::default(), Instant::now());
    let silence = |pod: &str| (pod.to_owned(), "no answer within 2 s".to_owned());
    for round in 0..rounds {
        let gateways =
            BTreeMap::from_iter((old || round == 0).then(|| ("old".to_owned(), Box::new(stats("old", 190, &[])))));
        let silent = BTreeMap::from([silence("new")]);
        let now = start + Duration::from_secs(2 * round);
        // Another wave does not begin the time anew.
        let course = Course { wave: usize::from(old && round > 7), ..course() };
        analyst.round(Some(&course), Round { silent: &silent, ..only(&gateways) }, &steering, &LIMITS, now);
    }
    analyst.watched().finding
}

#[tokio::test(start_paused = true)]
async fn who_never_answers_fails_within_the_deadline_unless_nobody_does() {
    assert_eq!(hush(15, true), Finding::Waiting);
    let Finding::Failed(failure) = hush(16, true) else { panic!("it waits for ever") };
    assert_eq!(failure.reason, "ProgressDeadlineExceeded");
    assert!(failure.message.ends_with("new (no answer within 2 s)"), "{}", failure.message);
    assert_eq!(hush(60, false), Finding::Waiting, "it may be the operator that cannot reach them");
}

/// Rounds in which the gateways do well, and a Prometheus says this every fifth time.
fn consulted(rounds: u64, answer: Option<Result<f64, &str>>) -> Watched {
    consulted_by(&course(), rounds, answer)
}

fn consulted_by(course: &Course, rounds: u64, answer: Option<Result<f64, &str>>) -> Watched {
    let (mut analyst, mut steering, start) = (Analyst::default(), Steering::default(), Instant::now());
    let query = Query { name: "errors".to_owned(), text: "x".to_owned(), min: None, max: Some(1.0) };
    let gateways = BTreeMap::from([("new".to_owned(), stats("new", 10, &[]).into())]);
    steering.direct(Some(course), &gateways, 1_000, start);
    for round in 0..rounds {
        let answers = answer.map(|answer| vec![(query.clone(), answer.map_err(str::to_owned))]);
        let answers = answers.as_deref().filter(|_| round % 5 == 0);
        let now = start + Duration::from_secs(2 * round);
        analyst.round(Some(course), Round { consults: true, answers, ..only(&gateways) }, &steering, &LIMITS, now);
    }
    analyst.watched()
}

#[tokio::test(start_paused = true)]
async fn a_wave_waits_for_the_answers_of_a_prometheus() {
    assert_eq!(consulted(20, None).finding, Finding::Waiting, "it was not asked yet");
    assert_eq!(consulted(5, Some(Ok(0.5))).finding, Finding::Waiting, "they are watched for ten seconds all the same");
    assert_eq!(consulted(6, Some(Ok(0.5))).finding, Finding::Passed);
    let waits = consulted(15, Some(Err("no connection")));
    assert_eq!((waits.finding, waits.waits.unwrap().reason.as_str()), (Finding::Waiting, "AnalysisInconclusive"));
    assert_eq!(reason(consulted(16, Some(Err("no connection"))).finding), "AnalysisInconclusive");
    assert_eq!(reason(consulted(6, Some(Ok(2.0))).finding), "QueryOutOfBounds");
    let last = Course { percent: 100, canary: false, wave: 3, ..course() };
    assert_eq!(consulted_by(&last, 60, Some(Err("no connection"))).finding, Finding::Waiting, "nothing waits for it");
    assert_eq!(reason(consulted_by(&last, 6, Some(Ok(2.0))).finding), "QueryOutOfBounds");
}
