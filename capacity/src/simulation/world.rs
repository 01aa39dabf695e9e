//! The world: connections in rooms on gateways, and what happens in it, in the order of time.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{random::Random, station::Station};

/// What one thing takes, in seconds of a processor unless said otherwise.
#[derive(Clone, Debug)]
pub struct Times {
    /// A gateway takes a message, answers it, and publishes it.
    pub message: f64,
    /// A gateway takes a message from the broker.
    pub receive: f64,
    /// A gateway reads a record of which nobody is there; 0 where the broker brings none.
    pub discard: f64,
    /// A gateway writes a message to one member.
    pub delivery: f64,
    /// A gateway keeps a connection, a second of it.
    pub idle: f64,
    /// A gateway signs somebody in.
    pub sign_in: f64,
    /// A shard stores a text.
    pub text: f64,
    /// A shard commits, whatever is in it.
    pub commit: f64,
    /// A shard reads for a sign-in.
    pub shard_sign_in: f64,
    /// The disk keeps what is committed: a wait, not work.
    pub flush: f64,
    /// The broker takes a message.
    pub publish: f64,
    /// The broker hands a message to one gateway.
    pub hand_over: f64,
    /// One gateway's line in the broker passes a message on; 0 where there is no such line.
    pub queue: f64,
    /// The Redis of limits counts a message.
    pub limit: f64,
    /// The Redis of presence hears that one user is still there.
    pub vouch: f64,
}

/// A gateway that is lost.
#[derive(Clone, Copy, Debug)]
pub struct Lost {
    /// When, in seconds.
    pub at: f64,
    /// Its clients come back at random times within so many seconds.
    pub within: f64,
}

/// What is played.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Another seed is another run.
    pub seed: u64,
    /// How long, in seconds.
    pub seconds: f64,
    /// Before this, in seconds, nothing is counted.
    pub warm_up: f64,
    /// Open connections.
    pub connections: usize,
    /// Messages a second; they come independently.
    pub messages_per_second: f64,
    /// With this, messages do not come by themselves: so many are under way, and each that is acknowledged brings the next.
    pub under_way: Option<usize>,
    /// Members online of a room.
    pub members: usize,
    /// Rooms of a connection.
    pub rooms: usize,
    /// Sign-ins a second beside those of a lost gateway.
    pub sign_ins: f64,
    /// Gateways, and processors of each.
    pub gateways: (usize, usize),
    /// Nodes of the broker, and processors of each.
    pub brokers: (usize, usize),
    /// Shards, and processors of each.
    pub shards: (usize, usize),
    /// The gateway that is lost, if one is.
    pub lost: Option<Lost>,
    /// What things take.
    pub times: Times,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Work offered to the busiest gateway, as a part of what it can do.
    pub gateways: f64,
    /// The same of the busiest node of the broker.
    pub brokers: f64,
    /// The same of the busiest line of a gateway in the broker.
    pub queues: f64,
    /// The same of the Redis of limits and presence.
    pub cache: f64,
    /// The same of the busiest shard.
    pub shards: f64,
    /// Milliseconds from the sending to the writing, of half of all deliveries.
    pub p50_ms: f64,
    /// The same of 99 of 100.
    pub p99_ms: f64,
    /// Messages committed in a second.
    pub committed_per_second: f64,
    /// Deliveries for each second of a gateway's processor.
    pub deliveries_per_processor: f64,
    /// Gateways that heard of a message, on average.
    pub gateways_per_message: f64,
    /// Texts in one commit, on average.
    pub texts_per_commit: f64,
    /// Messages under way in the second and in the last quarter, on average.
    pub under_way: (f64, f64),
    /// Seconds until everybody of the lost gateway was back; none where somebody was not.
    pub back_after: Option<f64>,
}

impl Outcome {
    /// Whether what waits grows: half as much again between the second and the last quarter, and more than chance makes of few.
    #[must_use]
    pub fn grows(&self) -> bool {
        let (before, after) = self.under_way;
        after > before * 1.5 + 50.0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive,
    Taken(u32),
    Allowed(u32),
    Committed(u32),
    Routed(u32),
    Heard(u32, u16),
    Written(u32, u16, u32),
    Idle,
    Vouch,
    SignIn,
    Lose,
    Return(u32),
    Back(u32, u16),
    Count,
}

/// A time, to be ordered; none is NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
struct At(f64);

impl Eq for At {}

impl Ord for At {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

struct Message {
    room: u32,
    home: u16,
    sent: f64,
    /// Gateways that have not written it yet.
    left: u16,
}

#[derive(Default)]
struct Lane {
    under_way: Vec<u32>,
    waiting: Vec<u32>,
}

/// Where somebody is who is nowhere.
const AWAY: u16 = u16::MAX;
/// Lanes of a gateway to a shard, and texts in a commit at most: what the gateway has, see ADR 13.
const LANES: usize = 2;
const MOST_IN_A_COMMIT: usize = 256;
/// Seconds between two looks at what is there without being sent.
const TICK: f64 = 0.01;
/// Users for whom a gateway vouches at once, and seconds after which it does so again.
const VOUCHED: f64 = 200.0;
const RENEW: f64 = 15.0;

struct World<'a> {
    setup: &'a Setup,
    random: Random,
    order: u64,
    events: BinaryHeap<Reverse<(At, u64, Event)>>,
    homes: Vec<u16>,
    rooms: Vec<u32>,
    /// Members of a room on a gateway, by `room * gateways + gateway`.
    there: Vec<u32>,
    alive: Vec<bool>,
    people: Vec<u32>,
    gateways: Vec<Station>,
    brokers: Vec<Station>,
    queues: Vec<Station>,
    shards: Vec<Station>,
    cache: Station,
    lanes: Vec<Lane>,
    messages: Vec<Message>,
    open: u64,
    counted: Vec<u64>,
    waits: Vec<(f32, u32)>,
    committed: u64,
    commits: u64,
    heard: u64,
    away: u64,
    last_back: f64,
}

/// Plays it.
#[must_use]
pub fn run(setup: &Setup) -> Outcome {
    let mut world = World::new(setup);
    world.play();
    world.outcome()
}

impl<'a> World<'a> {
    fn new(setup: &'a Setup) -> Self {
        let (gateways, brokers, shards) = (setup.gateways, setup.brokers, setup.shards);
        let rooms = (setup.connections * setup.rooms / setup.members.max(1)).max(1);
        let mut world = Self {
            random: Random::new(setup.seed),
            order: 0,
            events: BinaryHeap::new(),
            homes: vec![AWAY; setup.connections],
            rooms: Vec::with_capacity(setup.connections * setup.rooms),
            there: vec![0; rooms * gateways.0],
            alive: vec![true; gateways.0],
            people: vec![0; gateways.0],
            gateways: vec![Station::new(gateways.1); gateways.0],
            brokers: vec![Station::new(brokers.1); brokers.0],
            queues: vec![Station::new(1); gateways.0],
            shards: vec![Station::new(shards.1); shards.0],
            cache: Station::new(1),
            lanes: Vec::new(),
            messages: Vec::new(),
            open: 0,
            counted: Vec::new(),
            waits: Vec::new(),
            committed: 0,
            commits: 0,
            heard: 0,
            away: 0,
            last_back: 0.0,
            setup,
        };
        world.lanes.resize_with(gateways.0 * shards.0 * LANES, Lane::default);
        // Every room has its members, dealt out like cards, so that nobody is in a room twice but by rare chance.
        let mut places: Vec<u32> = (0..setup.connections * setup.rooms).map(|place| (place % rooms) as u32).collect();
        for place in (1..places.len()).rev() {
            let other = world.random.below(place + 1);
            places.swap(place, other);
        }
        world.rooms = places;
        for who in 0..setup.connections {
            // Balancers and clients choose the emptiest gateway.
            world.settle(who, (who % gateways.0) as u16);
        }
        world
    }

    fn rooms_of(&self, who: usize) -> std::ops::Range<usize> {
        who * self.setup.rooms..(who + 1) * self.setup.rooms
    }

    fn settle(&mut self, who: usize, gateway: u16) {
        self.homes[who] = gateway;
        self.people[usize::from(gateway)] += 1;
        for place in self.rooms_of(who) {
            self.there[self.rooms[place] as usize * self.setup.gateways.0 + usize::from(gateway)] += 1;
        }
    }

    fn at(&mut self, time: f64, event: Event) {
        self.order += 1;
        self.events.push(Reverse((At(time), self.order, event)));
    }

    fn play(&mut self) {
        match self.setup.under_way {
            Some(many) => (0..many).for_each(|_| self.at(0.0, Event::Arrive)),
            None => self.at(0.0, Event::Arrive),
        }
        for event in [Event::Idle, Event::Vouch, Event::Count] {
            self.at(0.0, event);
        }
        if self.setup.sign_ins > 0.0 {
            self.at(0.0, Event::SignIn);
        }
        if let Some(lost) = self.setup.lost {
            self.at(lost.at, Event::Lose);
        }
        let mut warm = false;
        while let Some(Reverse((At(now), _, event))) = self.events.pop() {
            if now > self.setup.seconds {
                break;
            }
            if !warm && now >= self.setup.warm_up {
                warm = true;
                self.begin();
            }
            self.happen(now, event);
        }
    }

    fn stations(&mut self) -> impl Iterator<Item = &mut Station> {
        let many = [&mut self.gateways, &mut self.brokers, &mut self.queues, &mut self.shards];
        many.into_iter().flatten().chain(std::iter::once(&mut self.cache))
    }

    fn begin(&mut self) {
        self.stations().for_each(Station::begin);
        self.waits.clear();
        (self.committed, self.commits, self.heard) = (0, 0, 0);
    }

    fn happen(&mut self, now: f64, event: Event) {
        let times = &self.setup.times;
        match event {
            Event::Arrive => self.arrive(now),
            Event::Taken(message) => {
                let done = self.cache.work(now, times.limit);
                self.at(done, Event::Allowed(message));
            }
            Event::Allowed(message) => self.allowed(now, message),
            Event::Committed(lane) => self.committed(now, lane as usize),
            Event::Routed(message) => self.routed(now, message),
            Event::Heard(message, gateway) => self.heard(now, message, gateway),
            Event::Written(message, _, members) => self.written(now, message, members),
            Event::Idle => {
                for gateway in 0..self.gateways.len() {
                    let work = f64::from(self.people[gateway]) * times.idle * TICK;
                    self.gateways[gateway].work(now, work);
                }
                self.at(now + TICK, Event::Idle);
            }
            Event::Vouch => {
                let people = self.people.iter().sum::<u32>();
                self.cache.work(now, times.vouch * VOUCHED);
                let pause = RENEW * VOUCHED / f64::from(people.max(1));
                self.at(now + pause, Event::Vouch);
            }
            Event::SignIn => {
                let gateway = self.somewhere();
                self.sign_in(now, gateway);
                let pause = self.random.gap(self.setup.sign_ins);
                self.at(now + pause, Event::SignIn);
            }
            Event::Lose => self.lose(now),
            Event::Return(who) => {
                let gateway = self.emptiest();
                // The place is taken from the beginning, so that not all choose the same.
                self.people[usize::from(gateway)] += 1;
                let done = self.sign_in(now, gateway);
                self.at(done, Event::Back(who, gateway));
            }
            Event::Back(who, gateway) => {
                self.people[usize::from(gateway)] -= 1;
                self.settle(who as usize, gateway);
                self.away -= 1;
                self.last_back = now;
            }
            Event::Count => {
                self.counted.push(self.open);
                self.at(now + self.setup.seconds / 200.0, Event::Count);
            }
        }
    }

    fn arrive(&mut self, now: f64) {
        if self.setup.under_way.is_none() {
            let pause = self.random.gap(self.setup.messages_per_second);
            self.at(now + pause, Event::Arrive);
        }
        let (who, home) = loop {
            let who = self.random.below(self.homes.len());
            if self.homes[who] != AWAY {
                break (who, self.homes[who]);
            }
        };
        let place = who * self.setup.rooms + self.random.below(self.setup.rooms);
        let message = self.messages.len() as u32;
        self.messages.push(Message { room: self.rooms[place], home, sent: now, left: 0 });
        self.open += 1;
        let work = self.random.about(self.setup.times.message);
        let done = self.gateways[usize::from(home)].work(now, work);
        self.at(done, Event::Taken(message));
    }

    fn allowed(&mut self, now: f64, message: u32) {
        let Message { room, home, .. } = self.messages[message as usize];
        // Rooms lie in slots, and slots on shards, by their hash.
        let shard = Random::new(u64::from(room)).below(self.shards.len());
        let lane = (usize::from(home) * self.shards.len() + shard) * LANES + room as usize % LANES;
        self.lanes[lane].waiting.push(message);
        if self.lanes[lane].under_way.is_empty() {
            self.commit(now, lane);
        }
    }

    fn commit(&mut self, now: f64, lane: usize) {
        let times = &self.setup.times;
        let waiting = &mut self.lanes[lane].waiting;
        let batch: Vec<u32> = waiting.drain(..waiting.len().min(MOST_IN_A_COMMIT)).collect();
        if batch.is_empty() {
            return;
        }
        self.commits += 1;
        let work = self.random.about(times.commit + times.text * batch.len() as f64);
        self.lanes[lane].under_way = batch;
        let shard = lane / LANES % self.shards.len();
        let done = self.shards[shard].work(now, work) + times.flush;
        self.at(done, Event::Committed(lane as u32));
    }

    fn committed(&mut self, now: f64, lane: usize) {
        for message in std::mem::take(&mut self.lanes[lane].under_way) {
            self.committed += 1;
            if self.setup.under_way.is_some() {
                self.at(now, Event::Arrive);
            }
            let Message { room, .. } = self.messages[message as usize];
            let gateways = self.setup.gateways.0;
            let first = room as usize * gateways;
            let hear = self.there[first..first + gateways].iter().filter(|members| **members > 0).count();
            self.heard += hear as u64;
            let times = &self.setup.times;
            let work = self.random.about(times.publish + times.hand_over * hear as f64);
            let node = Random::new(u64::from(room) ^ 0x5bd1).below(self.brokers.len());
            let done = self.brokers[node].work(now, work);
            self.at(done, Event::Routed(message));
        }
        self.commit(now, lane);
    }

    fn routed(&mut self, now: f64, message: u32) {
        let room = self.messages[message as usize].room as usize;
        let mut left = 0;
        for gateway in (0..self.setup.gateways.0).filter(|gateway| self.alive[*gateway]).collect::<Vec<_>>() {
            if self.there[room * self.setup.gateways.0 + gateway] > 0 {
                let done = self.queues[gateway].work(now, self.setup.times.queue);
                self.at(done, Event::Heard(message, gateway as u16));
                left += 1;
            } else if self.setup.times.discard > 0.0 {
                self.gateways[gateway].work(now, self.setup.times.discard);
            }
        }
        self.messages[message as usize].left = left;
        if left == 0 {
            self.open -= 1;
        }
    }

    fn heard(&mut self, now: f64, message: u32, gateway: u16) {
        let room = self.messages[message as usize].room as usize;
        let members = self.there[room * self.setup.gateways.0 + usize::from(gateway)];
        let times = &self.setup.times;
        let work = self.random.about(times.receive + times.delivery * f64::from(members));
        let done = self.gateways[usize::from(gateway)].work(now, work);
        self.at(done, Event::Written(message, gateway, members));
    }

    fn written(&mut self, now: f64, message: u32, members: u32) {
        let told = &mut self.messages[message as usize];
        self.waits.push(((now - told.sent) as f32, members));
        told.left -= 1;
        if told.left == 0 {
            self.open -= 1;
        }
    }

    /// When it is done.
    fn sign_in(&mut self, now: f64, gateway: u16) -> f64 {
        let times = &self.setup.times;
        let shard = self.random.below(self.shards.len());
        self.shards[shard].work(now, times.shard_sign_in);
        self.gateways[usize::from(gateway)].work(now, times.sign_in)
    }

    fn somewhere(&mut self) -> u16 {
        loop {
            let gateway = self.random.below(self.alive.len());
            if self.alive[gateway] {
                return gateway as u16;
            }
        }
    }

    fn emptiest(&self) -> u16 {
        let living = (0..self.alive.len()).filter(|gateway| self.alive[*gateway]);
        living.min_by_key(|gateway| self.people[*gateway]).unwrap_or_default() as u16
    }

    /// The last gateway goes, and its clients come back at times of their own. What was on its way to it comes from the store, later.
    fn lose(&mut self, now: f64) {
        let gone = self.setup.gateways.0 - 1;
        let within = self.setup.lost.map_or(0.0, |lost| lost.within);
        self.alive[gone] = false;
        self.people[gone] = 0;
        for who in 0..self.homes.len() {
            if usize::from(self.homes[who]) != gone {
                continue;
            }
            self.homes[who] = AWAY;
            self.away += 1;
            for place in self.rooms_of(who) {
                self.there[self.rooms[place] as usize * self.setup.gateways.0 + gone] = 0;
            }
            let back = now + self.random.unit() * within;
            self.at(back, Event::Return(who as u32));
        }
    }

    fn outcome(mut self) -> Outcome {
        let seconds = self.setup.seconds - self.setup.warm_up;
        let busiest = |many: &[Station]| many.iter().map(|one| one.offered(seconds)).fold(0.0, f64::max);
        let busy: f64 = self.gateways.iter().map(|one| one.offered(seconds)).sum();
        let deliveries: u64 = self.waits.iter().map(|(_, members)| u64::from(*members)).sum();
        self.waits.sort_by(|one, other| one.0.total_cmp(&other.0));
        let percentile = |part: f64| {
            let mut left = deliveries as f64 * part;
            let found = self.waits.iter().find(|(_, members)| {
                left -= f64::from(*members);
                left <= 0.0
            });
            found.map_or(0.0, |(wait, _)| f64::from(*wait) * 1e3)
        };
        let quarter = self.counted.len() / 4;
        let mean = |some: &[u64]| some.iter().sum::<u64>() as f64 / some.len().max(1) as f64;
        Outcome {
            gateways: busiest(&self.gateways),
            brokers: busiest(&self.brokers),
            queues: busiest(&self.queues),
            cache: self.cache.offered(seconds),
            shards: busiest(&self.shards),
            p50_ms: percentile(0.5),
            p99_ms: percentile(0.99),
            committed_per_second: self.committed as f64 / seconds,
            deliveries_per_processor: deliveries as f64 / (busy * self.setup.gateways.1 as f64 * seconds),
            gateways_per_message: self.heard as f64 / self.committed.max(1) as f64,
            texts_per_commit: self.committed as f64 / self.commits.max(1) as f64,
            under_way: (mean(&self.counted[quarter..2 * quarter]), mean(&self.counted[3 * quarter..])),
            back_after: self.setup.lost.filter(|_| self.away == 0).map(|lost| self.last_back - lost.at),
        }
    }
}
