//! The choice itself before 20,000 clients, with reports that are as old as they may be. Every run is the same.

use chat_gateway::hints::Hints;
use chat_gateway_config::hints::{Peer, Peers};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::assert_proportional;

const CLIENTS: u32 = 20_000;
const SEEDS: u64 = 4;

/// When gateways hear of each other, counted in clients.
#[derive(Clone, Copy, Debug)]
struct Reports {
    /// Clients between two rounds of questions.
    every: u32,
    /// Clients that come between a round and the moment in which its answers are known everywhere.
    late: u32,
}

/// Gateways with these limits.
struct Fleet {
    limits: Vec<u32>,
    connections: Vec<u32>,
    alive: Vec<bool>,
    hints: Vec<Hints>,
    rng: StdRng,
}

impl Fleet {
    fn new(limits: &[u32], connections: &[u32], seed: u64) -> Self {
        let fleet = Self {
            limits: limits.to_vec(),
            connections: connections.to_vec(),
            alive: vec![true; limits.len()],
            hints: limits.iter().map(|_| Hints::default()).collect(),
            rng: StdRng::seed_from_u64(seed),
        };
        fleet.learn(&fleet.answers());
        fleet
    }

    fn answers(&self) -> Peers {
        let alive = (0..self.limits.len()).filter(|nth| self.alive[*nth]);
        let peer = |nth: usize| Peer {
            gateway: nth.to_string(),
            address: nth.to_string(),
            connections: self.connections[nth],
            limit: self.limits[nth],
            ready_seconds: 600,
        };
        let open = alive.map(peer).filter(|peer| peer.connections < peer.limit);
        Peers { gateways: open.collect() }
    }

    fn learn(&self, answers: &Peers) {
        self.hints.iter().for_each(|hints| hints.learn(answers.clone()));
    }

    /// So many clients come, each asking any gateway that lives.
    fn come(&mut self, clients: u32, reports: Reports) {
        let mut answers = Peers::default();
        for nth in 0..clients {
            if nth % reports.every == 0 {
                answers = self.answers();
                self.hints.iter().for_each(Hints::asked);
            }
            if nth % reports.every == reports.late {
                self.learn(&answers);
            }
            let living: Vec<usize> = (0..self.limits.len()).filter(|at| self.alive[*at]).collect();
            let asked = living[self.rng.random_range(0..living.len())];
            let named = self.hints[asked].choose(None, &mut self.rng).expect("there is room");
            let numbers = named.addresses.iter().map(|address| address.parse::<usize>().unwrap());
            let takes = |at: &usize| self.alive[*at] && self.connections[*at] < self.limits[*at];
            let taken = numbers.into_iter().find(takes).expect("one of those that are named takes the client");
            self.connections[taken] += 1;
        }
    }

    /// A gateway dies, and its clients come back.
    fn lose(&mut self, nth: usize, reports: Reports) {
        self.alive[nth] = false;
        let lost = std::mem::take(&mut self.connections[nth]);
        self.come(lost, reports);
    }
}

/// All between two rounds; and with rounds, late ones, too.
const REPORTS: [Reports; 3] =
    [Reports { every: u32::MAX, late: 0 }, Reports { every: 2_000, late: 100 }, Reports { every: 5_000, late: 4_900 }];

#[tokio::test(start_paused = true)]
async fn a_burst_is_spread_by_size_and_so_are_those_whom_a_gateway_loses() {
    let limits = [4_000, 8_000, 12_000, 16_000];
    for (reports, seed) in REPORTS.into_iter().flat_map(|reports| (0..SEEDS).map(move |seed| (reports, seed))) {
        for dies in 0..limits.len() {
            let mut fleet = Fleet::new(&limits, &[0; 4], seed);
            fleet.come(CLIENTS, reports);
            assert_proportional(&format!("{reports:?}, seed {seed}"), &fleet.connections, &limits);
            fleet.lose(dies, reports);
            let others = |all: &[u32]| -> Vec<u32> {
                all.iter().enumerate().filter(|(nth, _)| *nth != dies).map(|(_, one)| *one).collect()
            };
            let what = format!("{reports:?}, seed {seed}, {dies} died");
            assert_proportional(&what, &others(&fleet.connections), &others(&limits));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_emptier_one_fills_up_and_is_not_overrun() {
    let limits = [20_000; 4];
    for (reports, seed) in REPORTS[1..].iter().flat_map(|reports| (0..SEEDS).map(move |seed| (*reports, seed))) {
        let mut fleet = Fleet::new(&limits, &[8_000, 8_000, 8_000, 2_000], seed);
        for _ in 0..CLIENTS / 1_000 {
            fleet.come(1_000, Reports { every: reports.every.min(1_000), late: reports.late.min(900) });
            let (emptiest, fullest) = (fleet.connections[3], fleet.connections[..3].iter().max().unwrap());
            assert!(f64::from(emptiest) <= 1.05 * f64::from(*fullest), "overrun: {:?}", fleet.connections);
        }
        assert_proportional(&format!("{reports:?}, seed {seed}"), &fleet.connections, &limits);
    }
}
