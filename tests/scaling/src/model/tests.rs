//! Rules of the model.

use super::*;

fn fleet(gateways: &[&str], balance: Balance) -> Fleet {
    let mut fleet = Fleet::new(1_000, balance, 7);
    gateways.iter().for_each(|name| fleet.set_ready(name, true));
    fleet
}

/// So many people, all of them connected.
fn settled(gateways: &[&str], people: u32) -> Fleet {
    let mut fleet = fleet(gateways, Balance::Least);
    (0..200).for_each(|_| fleet.pass(people, 0));
    assert_eq!((fleet.connected(), fleet.waiting()), (people, 0));
    fleet
}

fn spread(fleet: &Fleet) -> Vec<u32> {
    fleet.gateways().values().map(|gateway| gateway.connections).collect()
}

#[test]
fn clients_are_conserved_whatever_happens() {
    let mut fleet = settled(&["a", "b", "c"], 1_500);
    let (mut came, mut went) = (1_500, 0);
    for tick in 0..600_u32 {
        match tick {
            50 => fleet.set_ready("d", true),
            100 => drop(fleet.ask("a", 300, 2_000)),
            110 => fleet.set_ready("a", false),
            150 => fleet.end("b", true),
            200 => fleet.end("c", false),
            _ => {}
        }
        let people = if tick < 300 { 1_500 } else { 700 };
        let fewer = if tick == 300 { 800 } else { 0 };
        fleet.pass(people, tick % 5);
        (came, went) = (came + tick % 5, went + tick % 5 + fewer);
        assert_eq!(fleet.connected() + fleet.waiting(), people, "in tick {tick}");
        // Were somebody lost or doubled on the way, others would have come or gone in the place.
        let counts = fleet.counts();
        assert_eq!((counts.came, counts.went), (came.into(), went.into()), "in tick {tick}");
    }
}

#[test]
fn a_moved_client_arrives_once_and_within_its_time() {
    let mut fleet = settled(&["a", "b"], 1_000);
    fleet.set_cordoned("a", true);
    let before = fleet.gateway("a").unwrap().connections;
    assert_eq!(fleet.ask("a", 200, 2_000), 200);
    assert_eq!(fleet.ask("a", 10_000, 2_000), before - 200, "nobody is asked twice");
    let mut moved = Vec::new();
    for _ in 0..21 {
        let so_far = fleet.counts().reconnects;
        fleet.pass(1_000, 0);
        moved.push(fleet.counts().reconnects - so_far);
        assert_eq!(
            (fleet.connected(), fleet.waiting()),
            (1_000, 0),
            "the new connection comes before the old one goes"
        );
    }
    assert_eq!((fleet.gateway("a").unwrap().connections, fleet.gateway("b").unwrap().connections), (0, 1_000));
    let counts = fleet.counts();
    assert_eq!((counts.forced, counts.reconnects), (u64::from(before), u64::from(before)));
    assert!(moved.iter().filter(|many| **many > 0).count() >= 20, "they spread over the two seconds: {moved:?}");
}

#[test]
fn nobody_moves_to_nowhere() {
    let mut fleet = settled(&["a", "b"], 1_000);
    fleet.set_cordoned("b", true);
    fleet.ask("a", 100, 500);
    (0..20).for_each(|_| fleet.pass(1_000, 0));
    assert_eq!((fleet.counts().forced, spread(&fleet)), (0, vec![500, 500]));
}

#[test]
fn the_least_busy_gateway_is_chosen_and_a_random_one_is_any() {
    let mut least = settled(&["a", "b"], 600);
    least.set_ready("c", true);
    (1..=20).for_each(|tick| least.pass(600 + tick * 10, 0));
    assert_eq!(spread(&least), [300, 300, 200]);
    let mut random = fleet(&["a", "b", "c"], Balance::Random);
    (0..50).for_each(|_| random.pass(900, 0));
    let counts = spread(&random);
    assert_eq!(counts.iter().sum::<u32>(), 900);
    assert!(counts.iter().all(|count| (200..400).contains(count)) && counts != [300, 300, 300], "{counts:?}");
}

#[test]
fn who_loses_a_gateway_comes_back_elsewhere_by_the_clients_own_delays() {
    let mut fleet = settled(&["a", "b"], 1_000);
    fleet.end("a", false);
    assert_eq!((fleet.waiting(), fleet.counts().lost, fleet.counts().forced), (500, 500, 0));
    (0..3).for_each(|_| fleet.pass(1_000, 0));
    let back = fleet.counts().reconnects;
    assert!((300..=375).contains(&back), "a gateway signs in 125 in 100 ms: {back}");
    (0..200).for_each(|_| fleet.pass(1_000, 0));
    assert_eq!((fleet.waiting(), fleet.counts().reconnects), (0, 500));
}

#[test]
fn a_full_gateway_refuses() {
    let mut fleet = fleet(&["a"], Balance::Least);
    (0..200).for_each(|_| fleet.pass(1_200, 0));
    assert_eq!((fleet.connected(), fleet.waiting(), fleet.places()), (1_000, 200, 1_000));
    assert!(fleet.counts().refused > 200);
    fleet.set_ready("b", true);
    (0..100).for_each(|_| fleet.pass(1_200, 0));
    assert_eq!((fleet.connected(), fleet.places()), (1_200, 2_000));
    assert_eq!(fleet.counts().reconnects, 0, "they had no connection before");
}
