use chat_crds::chat_cluster::Schedule;

use super::*;

const ROUND: Duration = Duration::from_secs(2);
/// A new gateway is ready after so many rounds.
const START_ROUNDS: u32 = 10;

fn settings(min: i32, max: i32) -> Settings {
    Settings {
        min,
        max,
        connections: 1_000,
        messages: None,
        target: 70,
        window: Duration::from_secs(1_800),
        floors: Vec::new(),
    }
}

/// A cluster whose connections spread evenly over the gateways that are ready; every decision is carried out.
struct Fleet {
    scaler: Scaler,
    now: Instant,
    wall: Timestamp,
    /// Rounds since the start of each gateway.
    ages: Vec<u32>,
    /// Whether gateways answer.
    answers: bool,
    /// Numbers in force, one for each change.
    changes: Vec<i32>,
    accepted: u64,
    /// Connections that a gateway takes.
    places: i64,
    /// Connections that were refused.
    refused: u64,
}

impl Fleet {
    fn new(settings: Settings, gateways: usize) -> Self {
        let (now, replicas) = (Instant::now(), i32::try_from(gateways).unwrap());
        Self {
            scaler: Scaler::new(settings, Hold::None, Some(replicas), now),
            now,
            wall: "2026-11-26T00:00:00Z".parse().unwrap(),
            ages: vec![START_ROUNDS; gateways],
            answers: true,
            changes: vec![replicas],
            accepted: 0,
            places: i64::MAX,
            refused: 0,
        }
    }

    fn ready(&self) -> usize {
        self.ages.iter().filter(|age| **age >= START_ROUNDS).count()
    }

    /// One round with so many connections.
    fn round(&mut self, connections: i64) -> Decision {
        self.now += ROUND;
        self.wall += ROUND;
        self.ages.iter_mut().for_each(|age| *age += 1);
        let each = connections / i64::try_from(self.ready().max(1)).unwrap();
        // Half of those who found no place try again within a round.
        let waiting = (each - self.places).max(0) * i64::try_from(self.ready()).unwrap();
        self.refused += u64::try_from(waiting / 2).unwrap();
        let reports: Vec<Report> = self
            .ages
            .iter()
            .enumerate()
            .map(|(nth, age)| {
                let ready = *age >= START_ROUNDS;
                let connections = if ready { each.min(self.places) } else { 0 };
                let refused = if nth == 0 { self.refused } else { 0 };
                let answer = Answer { connections, accepted: self.accepted, refused };
                let answer = Some(answer).filter(|_| self.answers);
                Report { pod: format!("g{nth}"), ready, leaving: false, answer }
            })
            .collect();
        let decision = self.scaler.round(&reports, self.now, self.wall).clone();
        self.ages.resize(usize::try_from(decision.desired).unwrap(), 0);
        if self.changes.last() != Some(&decision.desired) {
            self.changes.push(decision.desired);
        }
        decision
    }

    /// So many rounds with the same number of connections.
    fn rounds(&mut self, count: u32, connections: i64) -> Decision {
        (1..count).for_each(|_| drop(self.round(connections)));
        self.round(connections)
    }

    /// How often the number changed its direction.
    fn reversals(&self) -> usize {
        let rises: Vec<bool> = self.changes.windows(2).map(|pair| pair[0] < pair[1]).collect();
        rises.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }
}

#[tokio::test(start_paused = true)]
async fn ten_times_as_many_people_get_their_gateways_within_half_a_minute() {
    let mut fleet = Fleet::new(settings(2, 50), 3);
    let calm = fleet.rounds(60, 1_400);
    assert_eq!((calm.desired, calm.reason), (3, Reason::Settled), "{}", calm.message);
    let mut needed = 0;
    while fleet.round(14_000).desired < 20 {
        needed += 1;
        assert!(ROUND * needed <= Duration::from_secs(30), "{:?}", fleet.changes);
    }
    // At most double in a step, and no overshoot for a jump that is no trend.
    assert_eq!(fleet.changes[..2], [3, 7]);
    let after = fleet.rounds(30, 14_000);
    assert!((20..=23).contains(&after.desired), "{}", after.message);
}

/// Full gateways say nothing of those whom they refuse but their number: without it the number would grow by what each new gateway takes in.
#[tokio::test(start_paused = true)]
async fn those_who_find_no_place_count_too() {
    let mut fleet = Fleet::new(settings(2, 50), 3);
    fleet.places = 1_000;
    fleet.rounds(60, 1_400);
    let mut needed = 0;
    while fleet.round(14_000).desired < 20 {
        needed += 1;
        assert!(ROUND * needed <= Duration::from_secs(60), "{:?}", fleet.changes);
    }
    // By what is taken in alone, the second step would be to 10.
    assert!(fleet.changes[..2] == [3, 7] && fleet.changes[2] >= 12, "{:?}", fleet.changes);
    let told = fleet.round(30_000);
    assert!(told.message.contains("found no place"), "{}", told.message);
}

#[tokio::test(start_paused = true)]
async fn silence_holds_the_number_and_never_lowers_it() {
    let mut fleet = Fleet::new(settings(2, 50), 10);
    fleet.rounds(10, 7_000);
    fleet.answers = false;
    let after = fleet.rounds(3_000, 0);
    assert_eq!((after.desired, after.stale, after.connections), (10, 10, 7_000), "{}", after.message);
    fleet.answers = true;
    // The people are gone meanwhile, which has been known for a window before a gateway goes.
    let back = fleet.rounds(2, 10);
    assert_eq!((back.desired, back.reason), (10, Reason::Stabilizing), "{}", back.message);
}

#[tokio::test(start_paused = true)]
async fn half_of_the_answers_raise_the_number_but_do_not_lower_it() {
    let now = Instant::now();
    let mut scaler = Scaler::new(settings(2, 50), Hold::None, Some(4), now);
    let wall = Timestamp::UNIX_EPOCH;
    let reports = |answering: usize, each: i64| -> Vec<Report> {
        let answer = |nth| Some(Answer { connections: each, ..Answer::default() }).filter(|_| nth < answering);
        (0..4).map(|nth| Report { pod: format!("g{nth}"), ready: true, leaving: false, answer: answer(nth) }).collect()
    };
    for second in (0..60).step_by(2) {
        scaler.round(&reports(4, 100), now + Duration::from_secs(second), wall);
    }
    for second in (60..6_000).step_by(2) {
        scaler.round(&reports(2, 100), now + Duration::from_secs(second), wall);
    }
    let decision = scaler.decision();
    assert_eq!((decision.desired, decision.reason), (4, Reason::MetricsStale), "{}", decision.message);
    scaler.round(&reports(2, 1_500), now + Duration::from_secs(6_002), wall);
    assert!(scaler.decision().desired > 4, "{}", scaler.decision().message);
}

/// The wave of 20 minutes that makes an autoscaler without a window flap: 36 reversals in six hours by the usual one.
#[tokio::test(start_paused = true)]
async fn a_short_wave_is_sat_out() {
    let mut fleet = Fleet::new(settings(2, 50), 14);
    for second in (0..6 * 3_600).step_by(2) {
        let turn = f64::from(second) / (20.0 * 60.0) * std::f64::consts::TAU;
        let decision = fleet.round((10_000.0 * (1.0 + 0.3 * turn.sin())) as i64);
        let capacity = i64::try_from(fleet.ready()).unwrap() * 1_000;
        assert!(decision.connections <= capacity * 85 / 100, "{}", decision.message);
    }
    assert!(fleet.reversals() <= 1, "{:?}", fleet.changes);
    assert!(*fleet.changes.iter().max().unwrap() <= 21, "{:?}", fleet.changes);
}

#[tokio::test(start_paused = true)]
async fn gateways_go_one_at_a_time_after_a_window_and_never_below_the_demand() {
    let mut fleet = Fleet::new(settings(2, 50), 10);
    fleet.rounds(900, 6_900);
    let before = fleet.rounds(1, 2_000);
    assert_eq!((before.desired, before.reason), (10, Reason::Stabilizing), "{}", before.message);
    let held = fleet.rounds(890, 2_000);
    assert_eq!(held.desired, 10, "{}", held.message);
    let first = fleet.rounds(15, 2_000);
    assert_eq!((first.desired, fleet.changes.clone()), (9, vec![10, 9]), "{}", first.message);
    fleet.rounds(150 * 8, 2_000);
    assert_eq!(fleet.changes, [10, 9, 8, 7, 6, 5, 4], "3 carry it, and one may be lost");
    assert_eq!(fleet.scaler.decision().reason, Reason::Settled, "{}", fleet.scaler.decision().message);
}

#[tokio::test(start_paused = true)]
async fn a_trend_is_met_before_it_arrives() {
    let mut fleet = Fleet::new(settings(2, 60), 10);
    fleet.rounds(60, 6_900);
    for second in (0..1_200).step_by(2) {
        fleet.round(6_900 + second * 15);
        assert!(
            fleet.scaler.decision().connections <= i64::try_from(fleet.ready()).unwrap() * 850,
            "{:?}",
            fleet.changes
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_floor_raises_and_the_window_follows() {
    let schedule = Schedule {
        name: "show".to_owned(),
        cron: "30 0 * * *".to_owned(),
        time_zone: None,
        duration_minutes: 10,
        min_replicas: 6,
    };
    let floors = vec![Floor::read(&schedule, Timestamp::UNIX_EPOCH).unwrap()];
    let mut fleet = Fleet::new(Settings { floors, ..settings(2, 50) }, 2);
    assert_eq!(fleet.rounds(890, 10).desired, 2);
    let raised = fleet.rounds(15, 10);
    assert_eq!((raised.desired, fleet.changes.clone()), (6, vec![2, 6]), "{}", raised.message);
    assert_eq!(fleet.rounds(1_100, 10).desired, 6, "its end opens the window");
    assert_eq!(fleet.rounds(150, 10).desired, 5);
}

#[tokio::test(start_paused = true)]
async fn new_bounds_hold_at_once() {
    let mut fleet = Fleet::new(settings(2, 50), 4);
    fleet.rounds(10, 1_000);
    fleet.scaler.adjust(settings(6, 50), Hold::None, fleet.now, fleet.wall);
    assert_eq!((fleet.scaler.decision().desired, fleet.scaler.decision().reason), (6, Reason::LimitsChanged));
    fleet.scaler.adjust(settings(1, 3), Hold::None, fleet.now, fleet.wall);
    assert_eq!(fleet.scaler.decision().desired, 3);
    let full = fleet.rounds(30, 9_000);
    assert_eq!((full.desired, full.reason), (3, Reason::AtMaximum), "{}", full.message);
    assert_eq!(Scaler::new(settings(2, 5), Hold::None, Some(9), fleet.now).decision().desired, 5);
    assert_eq!(Scaler::new(settings(2, 5), Hold::None, None, fleet.now).decision().desired, 2);
}

#[tokio::test(start_paused = true)]
async fn a_pause_and_a_rollout_hold() {
    let mut fleet = Fleet::new(settings(2, 50), 6);
    fleet.scaler.adjust(settings(2, 50), Hold::Down, fleet.now, fleet.wall);
    let held = fleet.rounds(2_000, 100);
    assert_eq!((held.desired, held.reason), (6, Reason::RollingOut), "{}", held.message);
    fleet.scaler.adjust(settings(2, 50), Hold::Rebalance, fleet.now, fleet.wall);
    let held = fleet.rounds(10, 100);
    assert_eq!((held.desired, held.reason), (6, Reason::Rebalancing), "{}", held.message);
    fleet.scaler.adjust(settings(8, 50), Hold::All, fleet.now, fleet.wall);
    let paused = fleet.rounds(10, 5_900);
    assert_eq!((paused.desired, paused.reason), (6, Reason::Paused), "{}", paused.message);
    fleet.scaler.adjust(settings(2, 50), Hold::None, fleet.now, fleet.wall);
    assert!(fleet.rounds(10, 5_900).desired > 6);
}

#[tokio::test(start_paused = true)]
async fn messages_count_where_somebody_says_so() {
    let mut fleet = Fleet::new(Settings { messages: Some(100), ..settings(2, 50) }, 2);
    for _ in 0..30 {
        // 280 messages a second: what four gateways are to take.
        fleet.accepted += 560 / u64::try_from(fleet.ages.len()).unwrap();
        fleet.round(10);
    }
    let decision = fleet.scaler.decision();
    assert_eq!((decision.desired, decision.reason), (4, Reason::Settled), "{}", decision.message);
}

/// More gateways take nothing off one that is full, so it is no reason for ever more of them.
#[tokio::test(start_paused = true)]
async fn a_full_gateway_raises_the_number_early_and_keeps_it_from_falling() {
    let (start, wall) = (Instant::now(), Timestamp::UNIX_EPOCH);
    let after = |replicas, seconds: u64, connections: &[i64]| {
        let mut scaler = Scaler::new(settings(2, 50), Hold::None, Some(replicas), start);
        let report = |(nth, connections): (usize, &i64)| {
            let answer = Some(Answer { connections: *connections, ..Answer::default() });
            Report { pod: format!("g{nth}"), ready: true, leaving: false, answer }
        };
        let reports: Vec<Report> = connections.iter().enumerate().map(report).collect();
        for second in (0..=seconds).step_by(2) {
            scaler.round(&reports, start + Duration::from_secs(second), wall);
        }
        (scaler.decision().desired, scaler.decision().reason)
    };
    let uneven: Vec<i64> = std::iter::once(900).chain([711; 9]).collect();
    assert_eq!(after(10, 100, &[730; 10]), (10, Reason::Settled), "within the band");
    assert_eq!(after(10, 0, &uneven), (10, Reason::Settled), "once is not enough");
    assert_eq!(after(10, 2, &uneven), (11, Reason::GatewayBusy));
    assert_eq!(after(3, 7_200, &[900, 100, 100]), (3, Reason::Settled), "all of them are enough");
    assert_eq!(after(5, 7_200, &[900, 50, 50, 50, 50]), (5, Reason::GatewayBusy), "and none goes");
}

/// What an operator forgets when it starts anew makes it careful.
#[tokio::test(start_paused = true)]
async fn a_new_operator_watches_for_a_window_first() {
    let mut fleet = Fleet::new(settings(2, 50), 6);
    let decision = fleet.rounds(890, 100);
    assert_eq!((decision.desired, decision.reason), (6, Reason::Stabilizing), "{}", decision.message);
    assert!(decision.message.contains("less than 30 minutes"), "{}", decision.message);
}
