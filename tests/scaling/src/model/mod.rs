//! People and gateways as counts: who is connected where, who is on the way, who was made to move. Pure but for its own seeded randomness; time
//! goes on in ticks of [`TICK_MS`].
//!
//! A gateway takes people up to its capacity and at the rate at which it can sign them in. Who finds no place, or loses one, tries again the way
//! the documented clients do. Who is asked to move opens the new connection before the old one is closed.

mod load;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

pub(crate) use self::load::Load;

/// Milliseconds of a tick.
pub(crate) const TICK_MS: u64 = 100;
/// The first ceiling of a client's delay before it tries again, which doubles, and the highest: those of the TypeScript client, with full jitter.
const FIRST_DELAY_MS: u64 = 250;
const LONGEST_DELAY_MS: u64 = 8_000;
/// Sign-ins that a gateway manages in a second: five times what the operator's budget lets it take from others.
const SIGN_INS: u32 = 1_250;

/// How people come to a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Balance {
    /// To the one with the fewest connections.
    Least,
    /// To any.
    Random,
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// People who came because they wanted to be connected.
    pub(crate) came: u64,
    /// People who went because they wanted to.
    pub(crate) went: u64,
    /// Clients that had to connect anew because somebody decided so: they were asked to move, or their gateway was ended.
    pub(crate) forced: u64,
    /// Clients that had to connect anew because their gateway was lost.
    pub(crate) lost: u64,
    /// Connections made by clients that had one before.
    pub(crate) reconnects: u64,
    /// Attempts that found no place.
    pub(crate) refused: u64,
}

/// A gateway as the balancer and the people see it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gateway {
    /// Open connections.
    pub(crate) connections: u32,
    /// Whether the balancer sends people to it.
    pub(crate) ready: bool,
    /// Whether it was told to take nobody new.
    pub(crate) cordoned: bool,
    /// Attempts that it refused, since all its places were taken.
    pub(crate) turned_away: u64,
    /// Clients that were asked and have not moved yet, by the tick in which they will.
    asked: BTreeMap<u64, u32>,
    taken_in_tick: u32,
}

impl Gateway {
    fn takes(&self, capacity: u32) -> bool {
        self.ready
            && !self.cordoned
            && self.connections < capacity
            && u64::from(self.taken_in_tick) * 1_000 < u64::from(SIGN_INS) * TICK_MS
    }
}

/// Somebody between two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    had_one: bool,
    attempt: u32,
}

/// The people of one contender and its gateways.
#[derive(Debug)]
pub(crate) struct Fleet {
    capacity: u32,
    balance: Balance,
    tick: u64,
    gateways: BTreeMap<String, Gateway>,
    waiting: BTreeMap<u64, BTreeMap<Waiting, u32>>,
    counts: Counts,
    random: StdRng,
}

impl Fleet {
    /// Nobody, and no gateways yet; `capacity` connections fit one.
    pub(crate) fn new(capacity: u32, balance: Balance, seed: u64) -> Self {
        Self {
            capacity,
            balance,
            tick: 0,
            gateways: BTreeMap::new(),
            waiting: BTreeMap::new(),
            counts: Counts::default(),
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// The gateways by name.
    pub(crate) fn gateways(&self) -> &BTreeMap<String, Gateway> {
        &self.gateways
    }

    /// One of them.
    pub(crate) fn gateway(&self, name: &str) -> Option<&Gateway> {
        self.gateways.get(name)
    }

    /// What happened so far.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Open connections.
    pub(crate) fn connected(&self) -> u32 {
        self.gateways.values().map(|gateway| gateway.connections).sum()
    }

    /// People between two connections.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.values().flat_map(BTreeMap::values).sum()
    }

    /// People that could be connected now: places on gateways that take people, and those who are on the others already.
    pub(crate) fn places(&self) -> u32 {
        let places = |gateway: &Gateway| {
            if gateway.ready && !gateway.cordoned { self.capacity } else { gateway.connections }
        };
        self.gateways.values().map(places).sum()
    }

    /// A gateway begins, or the balancer learns whether to send people to it.
    pub(crate) fn set_ready(&mut self, name: &str, ready: bool) {
        self.gateways.entry(name.to_owned()).or_default().ready = ready;
    }

    /// A gateway is told to take nobody new, or to take people again.
    pub(crate) fn set_cordoned(&mut self, name: &str, cordoned: bool) {
        if let Some(gateway) = self.gateways.get_mut(name) {
            gateway.cordoned = cordoned;
        }
    }

    /// A gateway is gone, by somebody's decision or by an accident; its clients try again elsewhere.
    pub(crate) fn end(&mut self, name: &str, planned: bool) {
        let Some(gateway) = self.gateways.remove(name) else { return };
        let many = u64::from(gateway.connections);
        *if planned { &mut self.counts.forced } else { &mut self.counts.lost } += many;
        for _ in 0..gateway.connections {
            self.wait(Waiting { had_one: true, attempt: 0 });
        }
    }

    /// Asks up to `count` clients of a gateway to move within so many milliseconds; returns how many were asked.
    pub(crate) fn ask(&mut self, name: &str, count: u32, within_ms: u32) -> u32 {
        let Some(gateway) = self.gateways.get_mut(name) else { return 0 };
        let left = gateway.connections.saturating_sub(gateway.asked.values().sum());
        let asked = count.min(left);
        for nth in 0..asked {
            // Evenly, as a gateway asks them.
            let after = u64::from(within_ms) * u64::from(nth) / u64::from(asked) / TICK_MS;
            *gateway.asked.entry(self.tick + 1 + after).or_default() += 1;
        }
        asked
    }

    /// Lets a tick pass, at the end of which `people` want to be connected; meanwhile `churn` more go and as many others come.
    pub(crate) fn pass(&mut self, people: u32, churn: u32) {
        self.tick += 1;
        self.gateways.values_mut().for_each(|gateway| gateway.taken_in_tick = 0);
        self.move_asked();
        let present = self.connected() + self.waiting();
        self.leave(present.saturating_sub(people) + churn.min(present));
        let due = self.waiting.remove(&self.tick).unwrap_or_default();
        for (who, many) in due {
            (0..many).for_each(|_| self.attempt(who));
        }
        let present = self.connected() + self.waiting();
        for _ in present..people {
            self.counts.came += 1;
            self.attempt(Waiting { had_one: false, attempt: 0 });
        }
    }

    fn move_asked(&mut self) {
        let mut leaving = Vec::new();
        for (name, gateway) in &mut self.gateways {
            let later = gateway.asked.split_off(&(self.tick + 1));
            let due: u32 = std::mem::replace(&mut gateway.asked, later).values().sum();
            leaving.push((name.clone(), due));
        }
        for (name, due) in leaving {
            for _ in 0..due {
                // With nowhere to go, or gone by themselves meanwhile, they stay as they are.
                let is_there = self.gateways.get(&name).is_some_and(|gateway| gateway.connections > 0);
                let Some(other) = self.choose(Some(&name)).filter(|_| is_there) else { continue };
                self.connect(&other);
                if let Some(gateway) = self.gateways.get_mut(&name) {
                    gateway.connections -= 1;
                }
                self.counts.forced += 1;
                self.counts.reconnects += 1;
            }
        }
    }

    fn attempt(&mut self, who: Waiting) {
        match self.choose(None) {
            Some(name) => {
                self.connect(&name);
                self.counts.reconnects += u64::from(who.had_one);
            }
            None => {
                self.counts.refused += 1;
                self.turn_away();
                self.wait(Waiting { attempt: who.attempt.saturating_add(1), ..who });
            }
        }
    }

    /// Whoever comes to full gateways is refused by one of them; one that signs in as many as it can makes people wait, and refuses nobody.
    fn turn_away(&mut self) {
        let capacity = self.capacity;
        let mut open: Vec<_> = self.gateways.values_mut().filter(|one| one.ready && !one.cordoned).collect();
        if open.iter().all(|gateway| gateway.connections >= capacity)
            && let Some(first) = open.first_mut()
        {
            first.turned_away += 1;
        }
    }

    fn wait(&mut self, who: Waiting) {
        let ceiling = (FIRST_DELAY_MS << who.attempt.min(8)).min(LONGEST_DELAY_MS);
        let after = self.random.random_range(0..=ceiling) / TICK_MS;
        *self.waiting.entry(self.tick + 1 + after).or_default().entry(who).or_default() += 1;
    }

    fn choose(&mut self, not: Option<&str>) -> Option<String> {
        let capacity = self.capacity;
        let mut open =
            self.gateways.iter().filter(|(name, gateway)| gateway.takes(capacity) && not != Some(name.as_str()));
        let chosen = match self.balance {
            Balance::Least => open.min_by_key(|(_, gateway)| gateway.connections),
            Balance::Random => {
                let count = open.clone().count();
                (count > 0).then(|| open.nth(self.random.random_range(0..count))).flatten()
            }
        };
        chosen.map(|(name, _)| name.clone())
    }

    fn connect(&mut self, name: &str) {
        if let Some(gateway) = self.gateways.get_mut(name) {
            gateway.connections += 1;
            gateway.taken_in_tick += 1;
        }
    }

    /// So many people leave, whoever and wherever they are.
    fn leave(&mut self, many: u32) {
        for _ in 0..many {
            self.counts.went += 1;
            let waiting = self.waiting();
            let mut at = match self.connected() + waiting {
                0 => return,
                all => self.random.random_range(0..all),
            };
            if at < waiting {
                self.give_up(at);
                continue;
            }
            at -= waiting;
            for gateway in self.gateways.values_mut() {
                if at < gateway.connections {
                    gateway.connections -= 1;
                    break;
                }
                at -= gateway.connections;
            }
        }
    }

    /// The one at this place among those who wait does not try again.
    fn give_up(&mut self, mut at: u32) {
        for many in self.waiting.values_mut().flat_map(BTreeMap::values_mut) {
            if at < *many {
                *many -= 1;
                return;
            }
            at -= *many;
        }
    }
}
