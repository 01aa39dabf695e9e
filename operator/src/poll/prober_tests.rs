//! What follows from probes and from the books of gateways, without any of either.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use chat_gateway_config::delivery::{DeliveryCounters, DeliveryStats};

use super::*;
use crate::{
    poll::testing::{component, stats, view},
    sensitive::Sensitive,
};

/// The time at which all begins.
const START: &str = "2026-11-27T02:00:00Z";

struct Bench {
    prober: Prober,
    view: ClusterView,
    places: Places,
    clusters: usize,
    wall: Timestamp,
}

impl Bench {
    fn new() -> Self {
        let view = ClusterView { ready: ["g1".to_owned()].into(), ..view(&[stats("g1", 1, &[("a", 16)])]) };
        let wall = START.parse().unwrap();
        Self { prober: Prober::default(), view, places: Places::default(), clusters: 1, wall }
    }

    fn round(&mut self, ended: Option<Result<(), Failure>>) -> Option<Delivery> {
        let Self { prober, view, places, clusters, wall } = self;
        let round = Round { view, clusters: *clusters, places, now: Instant::now(), wall: *wall };
        prober.round(&round, ended).map(|delivery| *delivery)
    }

    fn told(&mut self, ended: Option<Result<(), Failure>>) -> (Verified, &'static str) {
        let Delivery { verified, told } = self.round(ended).unwrap();
        (verified, told.reason)
    }

    fn pass(&mut self, time: Duration) {
        self.wall += jiff::SignedDuration::try_from(time).unwrap();
    }

    fn gateway(&mut self) -> &mut GatewayStats {
        self.view.gateways.get_mut("g1").unwrap()
    }
}

fn trouble() -> Option<Result<(), Failure>> {
    let message = "closed".into();
    Some(Err(Failure::Trouble(Told { reason: "ConnectionLost", message })))
}

fn violation(reason: &'static str) -> Option<Result<(), Failure>> {
    Some(Err(Failure::Violation(Told { reason, message: "room r".into() })))
}

fn front(cleared: Option<Timestamp>) -> Front {
    let text = String::new;
    Front { address: "127.0.0.1:1".to_owned(), issuer: text(), keys: Sensitive::new(""), signer: text(), cleared }
}

#[tokio::test(start_paused = true)]
async fn one_probe_may_come_to_nothing_and_two_may_not() {
    let mut bench = Bench::new();
    assert_eq!(bench.round(None), None, "nothing was found out yet");
    assert_eq!(bench.round(trouble()), None);
    assert_eq!(bench.told(Some(Ok(()))), (Verified::Yes, "Verified"));
    assert_eq!(bench.told(trouble()), (Verified::Yes, "Verified"), "a gateway that goes takes a probe along");
    assert_eq!(bench.told(trouble()), (Verified::Unknown, "ConnectionLost"));
    assert_eq!(bench.told(None), (Verified::Unknown, "ConnectionLost"));
    assert_eq!(bench.told(Some(Ok(()))), (Verified::Yes, "Verified"));
}

#[tokio::test(start_paused = true)]
async fn evidence_stands_for_an_hour_after_the_last_and_names_the_first() {
    let mut bench = Bench::new();
    let Delivery { verified, told } = bench.round(violation("DeliveredTwice")).unwrap();
    assert_eq!((verified, told.reason), (Verified::No, "DeliveredTwice"));
    assert_eq!(told.message, format!("{START}: room r"));
    bench.pass(STANDS / 2);
    assert_eq!(bench.round(violation("AcknowledgedLost")).unwrap().told, told, "no write for each one");
    bench.pass(STANDS - Duration::from_secs(1));
    assert_eq!(bench.told(Some(Ok(()))), (Verified::No, "DeliveredTwice"));
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.told(None), (Verified::Yes, "Verified"));
}

#[tokio::test(start_paused = true)]
async fn a_person_forgives_what_was_seen_before() {
    let mut bench = Bench::new();
    bench.told(violation("DeliveredTwice"));
    bench.prober.instruct(Some(front(Some(bench.wall - jiff::SignedDuration::from_secs(1)))));
    assert_eq!(bench.told(None).0, Verified::No, "it was before");
    bench.prober.instruct(Some(front(Some(bench.wall))));
    assert_eq!(bench.told(None).0, Verified::Yes);
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.told(violation("DeliveredTwice")).0, Verified::No, "and once more");
}

#[tokio::test(start_paused = true)]
async fn without_gateways_or_backends_nothing_is_known_and_late_is_not_lost() {
    let mut bench = Bench::new();
    assert_eq!(bench.told(Some(Ok(()))).0, Verified::Yes);
    bench.gateway().broker = component(false);
    assert_eq!(bench.told(violation("NotDelivered")), (Verified::Unknown, "BackendAway"));
    bench.gateway().broker = component(true);
    assert_eq!(bench.round(None), None, "what was found before is of another time");
    bench.gateway().shards[0].component = component(false);
    assert_eq!(bench.told(None), (Verified::Unknown, "BackendAway"));
    assert_eq!(bench.told(violation("DeliveredTwice")).0, Verified::No, "that is no matter of a backend");
    let mut none = Bench::new();
    none.view.ready.clear();
    assert_eq!(none.told(None), (Verified::Unknown, "NoGateways"));
    let mut old = Bench::new();
    old.gateway().delivery = None;
    assert_eq!(old.told(Some(Ok(()))), (Verified::Unknown, "GatewaysTooOld"));
}

#[tokio::test(start_paused = true)]
async fn the_books_of_a_gateway_convict_as_long_as_they_are_young() {
    let mut bench = Bench::new();
    let at_ms = bench.wall.as_millisecond();
    let violation = Violation { at_ms, breach: Breach::Unstored, room: "r1".to_owned(), slot: 7, seq: 5 };
    let last_violation = Some(Box::new(violation));
    bench.gateway().delivery = Some(DeliveryStats { violations: 1, last_violation, ..DeliveryStats::default() });
    let Delivery { verified, told } = bench.round(Some(Ok(()))).unwrap();
    assert_eq!((verified, told.reason), (Verified::No, "AcknowledgedLost"));
    assert!(told.message.contains("gateway g1: message 5 of room r1 (slot 7)"), "{}", told.message);
    bench.pass(STANDS);
    assert_eq!(bench.told(Some(Ok(()))).0, Verified::Yes, "the gateway says so still, and it is old");

    let mut bench = Bench::new();
    let totals = DeliveryCounters { accepted: 2, committed: 1, ..DeliveryCounters::default() };
    bench.gateway().delivery = Some(DeliveryStats { totals, ..DeliveryStats::default() });
    assert_eq!(bench.told(None), (Verified::No, "CountersDisagree"));
}

#[tokio::test(start_paused = true)]
async fn turns_come_more_seldom_where_there_are_more_clusters() {
    for (clusters, seconds) in [(1, 15), (100, 15), (1_000, 150)] {
        let mut bench = Bench::new();
        bench.clusters = clusters;
        bench.prober.instruct(Some(front(None)));
        bench.round(None);
        assert!(bench.prober.running.is_none(), "not all at once when the operator starts");
        tokio::time::advance(AGAIN).await;
        bench.round(None);
        assert!(bench.prober.running.is_some());
        let due = bench.prober.due.unwrap() - Instant::now();
        let most = Duration::from_secs(seconds);
        assert!(due > most.mul_f64(0.85) && due <= most, "{due:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn so_many_probes_run_at_the_same_time() {
    let mut bench = Bench::new();
    bench.places.begun = Arc::new(Semaphore::new(0));
    bench.prober.instruct(Some(front(None)));
    bench.round(None);
    tokio::time::advance(AGAIN).await;
    bench.round(None);
    assert!(bench.prober.running.is_none(), "its turn has come and there is no place");
    bench.places.begun.add_permits(1);
    bench.round(None);
    assert!(bench.prober.running.is_some() && bench.places.begun.available_permits() == 0);
}
