//! Where there is room: what the operator has said of all gateways, and the choice among them for a client that asks where to connect.
//!
//! Whoever asked within the same two seconds would otherwise be sent to the gateway that was the emptiest then. So the choice is the better one of two, drawn at
//! random by their size, and counts whom this gateway has sent there itself since: once for each gateway, since the others are asked as often and know of the same
//! gap. If each filled it alone, a gateway that is a little emptier would be much fuller two seconds later.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chat_gateway_config::hints::{FRESH, Peer, Peers};
use rand::{Rng, RngExt as _};
use tokio::time::Instant;

/// Gateways that an answer names: the one that was chosen, and two that a client goes on to when that one does not take it.
const NAMED: usize = 3;

/// What is known of the gateways.
#[derive(Debug, Default)]
pub struct Hints {
    // A std mutex: held for some hundred steps of arithmetic, never across an await.
    known: Mutex<Option<Known>>,
}

/// What the operator said, and when.
#[derive(Debug)]
struct Known {
    heard: Instant,
    places: Vec<Place>,
}

/// A gateway that takes clients.
#[derive(Debug)]
struct Place {
    peer: Peer,
    /// Clients sent there since it said how many it has.
    sent: u32,
    /// Those of them who were sent after the operator asked last: what it says next does not know of them.
    sent_lately: u32,
}

/// Gateways for a client to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Their addresses, the best first; at least one.
    pub addresses: Vec<String>,
    /// Time after which what they rest on is too old.
    pub good_for: Duration,
}

impl Hints {
    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the word of the operator, in place of the one before.
    pub fn learn(&self, Peers { gateways }: Peers) {
        let mut known = self.known();
        let before = known.take().map(|known| known.places).unwrap_or_default();
        let sent_lately = |peer: &Peer| {
            let place = before.iter().find(|place| place.peer.gateway == peer.gateway);
            place.map_or(0, |place| place.sent_lately)
        };
        let usable = gateways.into_iter().filter(|peer| peer.limit > 0);
        let places = usable.map(|peer| {
            let sent = sent_lately(&peer);
            Place { peer, sent, sent_lately: sent }
        });
        *known = Some(Known { heard: Instant::now(), places: places.collect() });
    }

    /// Notes that the operator asks, as it asks all gateways at this moment: who is sent somewhere from now on is not in the answers.
    pub fn asked(&self) {
        if let Some(known) = self.known().as_mut() {
            known.places.iter_mut().for_each(|place| place.sent_lately = 0);
        }
    }

    /// Chooses gateways for a client, leaving out the one called `closed`; `None` when none is known that takes clients.
    pub fn choose(&self, closed: Option<&str>, rng: &mut impl Rng) -> Option<Named> {
        let mut known = self.known();
        let Known { heard, places } = known.as_mut()?;
        let later = heard.elapsed();
        let good_for = FRESH.checked_sub(later).filter(|left| !left.is_zero())?;
        let mut open: Vec<&mut Place> =
            places.iter_mut().filter(|place| place.has_room() && closed != Some(&place.peer.gateway)).collect();
        let mut addresses = Vec::with_capacity(NAMED);
        let askers = u32::try_from(open.len()).unwrap_or(u32::MAX);
        while addresses.len() < NAMED {
            let Some(at) = better_of_two(&open, (askers, later), rng) else { break };
            let place = open.swap_remove(at);
            if addresses.is_empty() {
                place.sent = place.sent.saturating_add(1);
                place.sent_lately = place.sent_lately.saturating_add(1);
            }
            addresses.push(place.peer.address.clone());
        }
        (!addresses.is_empty()).then_some(Named { addresses, good_for })
    }
}

impl Place {
    /// Connections that it will have when all have come whom so many gateways have sent there, and one more.
    fn expected(&self, askers: u32) -> u64 {
        u64::from(self.peer.connections) + u64::from(self.sent) * u64::from(askers) + 1
    }

    /// As far as this gateway knows for sure.
    fn has_room(&self) -> bool {
        self.expected(1) <= u64::from(self.peer.limit)
    }
}

/// Draws two places by their weights, so long after they were told of, and tells which of them has the smaller part of its share taken with one client more.
fn better_of_two(open: &[&mut Place], (askers, later): (u32, Duration), rng: &mut impl Rng) -> Option<usize> {
    let weights: Vec<u64> = open.iter().map(|place| place.peer.weight(later)).collect();
    let one = draw(&weights, None, rng)?;
    let Some(other) = draw(&weights, Some(one), rng) else { return Some(one) };
    // Two fractions, by what each is times the other's lower part.
    let taken = |at: usize, by: usize| u128::from(open[at].expected(askers)) * u128::from(weights[by]);
    Some(if taken(other, one) < taken(one, other) { other } else { one })
}

/// An index at random, each as likely as its weight, but never `without`; `None` when there is no other.
fn draw(weights: &[u64], without: Option<usize>, rng: &mut impl Rng) -> Option<usize> {
    let candidates = || weights.iter().enumerate().filter(|(at, weight)| Some(*at) != without && **weight > 0);
    let all: u64 = candidates().map(|(_, weight)| weight).sum();
    if all == 0 {
        return None;
    }
    let mut point = rng.random_range(0..all);
    let found = candidates().find(|(_, weight)| match point.checked_sub(**weight) {
        Some(rest) => {
            point = rest;
            false
        }
        None => true,
    });
    found.map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    fn peer(name: &str, connections: u32, limit: u32) -> Peer {
        let address = format!("ws://{name}");
        Peer { gateway: name.to_owned(), address, connections, limit, ready_seconds: 600 }
    }

    fn told(gateways: &[Peer]) -> Hints {
        let hints = Hints::default();
        hints.learn(Peers { gateways: gateways.to_vec() });
        hints
    }

    /// Who is named first to so many clients, by the names of the gateways.
    fn crowd(hints: &Hints, count: usize) -> std::collections::BTreeMap<String, u32> {
        let mut rng = StdRng::seed_from_u64(1);
        let mut first = std::collections::BTreeMap::new();
        for _ in 0..count {
            *first.entry(hints.choose(None, &mut rng).unwrap().addresses.swap_remove(0)).or_default() += 1;
        }
        first
    }

    #[tokio::test(start_paused = true)]
    async fn several_are_named_each_once_and_nobody_who_is_full_or_closed() {
        let mut rng = StdRng::seed_from_u64(1);
        let hints = told(&[peer("a", 1, 10), peer("b", 2, 10), peer("c", 10, 10), peer("d", 3, 10), peer("e", 0, 10)]);
        for _ in 0..5 {
            let Named { mut addresses, good_for } = hints.choose(Some("e"), &mut rng).unwrap();
            assert_eq!(good_for, FRESH);
            addresses.sort();
            assert_eq!(addresses, ["ws://a", "ws://b", "ws://d"]);
        }
        assert_eq!(told(&[peer("a", 10, 10)]).choose(None, &mut rng), None);
        assert_eq!(told(&[peer("a", 1, 10)]).choose(Some("a"), &mut rng), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_sent_somewhere_counts_there_until_the_operator_says_more() {
        let two = [peer("a", 0, 4), peer("b", 0, 4)];
        let hints = told(&two);
        assert_eq!(crowd(&hints, 6).into_values().collect::<Vec<_>>(), [3, 3]);
        assert_eq!(crowd(&hints, 2).into_values().collect::<Vec<_>>(), [1, 1]);
        assert_eq!(hints.choose(None, &mut StdRng::seed_from_u64(1)), None, "both are as good as full");
        // They came before the operator asked, so they are in what it says.
        hints.asked();
        hints.learn(Peers { gateways: vec![peer("a", 1, 4), peer("b", 2, 4)] });
        assert_eq!(crowd(&hints, 3).into_iter().collect::<Vec<_>>(), [("ws://a".into(), 2), ("ws://b".into(), 1)]);
        // These came later than it asked.
        hints.learn(Peers { gateways: vec![peer("a", 1, 4), peer("b", 1, 4)] });
        let left = crowd(&hints, 3);
        assert_eq!(left.into_iter().collect::<Vec<_>>(), [("ws://a".into(), 1), ("ws://b".into(), 2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_gateway_is_no_magnet() {
        let mut gateways: Vec<Peer> = (0..9).map(|nth| peer(&format!("old-{nth}"), 5_000, 10_000)).collect();
        gateways.push(Peer { ready_seconds: 0, ..peer("new", 0, 10_000) });
        let first = crowd(&told(&gateways), 9_000);
        // It is one of two that are drawn in about one of forty cases, and would have all clients as the emptiest.
        assert!((100..=400).contains(&first["ws://new"]), "{first:?}");
        let hints = told(&gateways);
        tokio::time::advance(FRESH / 2).await;
        hints.learn(Peers {
            gateways: vec![Peer { ready_seconds: 60, ..peer("new", 500, 10_000) }, peer("old", 5_000, 10_000)],
        });
        assert_eq!(crowd(&hints, 1_000)["ws://new"], 1_000, "a grown one fills up");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_said_long_ago_counts_no_more() {
        let mut rng = StdRng::seed_from_u64(1);
        assert_eq!(Hints::default().choose(None, &mut rng), None);
        let hints = told(&[peer("a", 0, 4)]);
        tokio::time::advance(FRESH - Duration::from_secs(1)).await;
        assert_eq!(hints.choose(None, &mut rng).unwrap().good_for, Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(hints.choose(None, &mut rng), None);
        hints.learn(Peers { gateways: vec![peer("a", 0, 4), peer("b", 0, 0)] });
        assert_eq!(hints.choose(None, &mut rng).unwrap().addresses, ["ws://a"], "a size of nothing is no place");
        hints.learn(Peers::default());
        assert_eq!(hints.choose(None, &mut rng), None);
    }
}
